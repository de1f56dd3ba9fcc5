// Command git serves one repository with one commit, over git's own protocol on
// HTTP, and prints the commit's hash. It can be cloned and nothing else.
package main

import (
	"embed"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"path"
	"time"

	"github.com/go-git/go-billy/v5/memfs"
	"github.com/go-git/go-billy/v5/util"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/server"
	"github.com/go-git/go-git/v5/storage/memory"
)

//go:embed repository
var files embed.FS

const service = "git-upload-pack"

func main() {
	store := memory.NewStorage()
	hash, err := commit(store)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("commit", hash)
	endpoint, err := transport.NewEndpoint("http://git/shop.git")
	if err != nil {
		log.Fatal(err)
	}
	h := &handler{endpoint, server.NewServer(server.MapLoader{endpoint.String(): store})}
	s := &http.Server{Addr: ":8080", Handler: h, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(s.ListenAndServe())
}

// commit makes the repository.
func commit(store *memory.Storage) (plumbing.Hash, error) {
	tree := memfs.New()
	repository, err := git.InitWithOptions(store, tree, git.InitOptions{DefaultBranch: plumbing.Main})
	if err != nil {
		return plumbing.ZeroHash, err
	}
	work, err := repository.Worktree()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	err = fs.WalkDir(files, "repository", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		to := path.Join(path.Base(path.Dir(name)), path.Base(name))
		if err := util.WriteFile(tree, to, raw, 0o644); err != nil {
			return err
		}
		_, err = work.Add(to)
		return err
	})
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return work.Commit("Three images", &git.CommitOptions{Author: &object.Signature{Name: "A Builder", Email: "builder@example.com", When: time.Unix(1700000000, 0)}})
}

type handler struct {
	endpoint *transport.Endpoint
	server   transport.Transport
}

// ServeHTTP is the smart protocol's two requests.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var err error
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/shop.git/info/refs" && r.URL.Query().Get("service") == service:
		err = h.advertise(w, r)
	case r.Method == http.MethodPost && r.URL.Path == "/shop.git/"+service:
		err = h.upload(w, r)
	default:
		http.NotFound(w, r)
	}
	if err != nil {
		log.Print(err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (h *handler) advertise(w http.ResponseWriter, r *http.Request) error {
	session, err := h.server.NewUploadPackSession(h.endpoint, nil)
	if err != nil {
		return err
	}
	defer session.Close()
	refs, err := session.AdvertisedReferencesContext(r.Context())
	if err != nil {
		return err
	}
	refs.Prefix = [][]byte{[]byte("# service=" + service), pktline.Flush}
	w.Header().Set("Content-Type", "application/x-"+service+"-advertisement")
	return refs.Encode(w)
}

func (h *handler) upload(w http.ResponseWriter, r *http.Request) error {
	request := packp.NewUploadPackRequest()
	if err := request.Decode(r.Body); err != nil {
		return err
	}
	session, err := h.server.NewUploadPackSession(h.endpoint, nil)
	if err != nil {
		return err
	}
	defer session.Close()
	answer, err := session.UploadPack(r.Context(), request)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-"+service+"-result")
	return answer.Encode(w)
}
