// Command git serves one repository with two commits, over git's own protocol on
// HTTP, and prints their hashes. It can be cloned and nothing else. Of the three images
// of the first commit, each passes; of those of the second, the worker runs as root.
package main

import (
	"embed"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/go-git/go-billy/v5"
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
	hashes, err := commits(store)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("good", hashes[0])
	fmt.Println("bad", hashes[1])
	endpoint, err := transport.NewEndpoint("http://git/shop.git")
	if err != nil {
		log.Fatal(err)
	}
	h := &handler{endpoint, server.NewServer(server.MapLoader{endpoint.String(): store})}
	s := &http.Server{Addr: ":8080", Handler: h, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(s.ListenAndServe())
}

// commits makes the repository, and returns the hashes of its commits.
func commits(store *memory.Storage) (hashes [2]plumbing.Hash, err error) {
	tree := memfs.New()
	repository, err := git.InitWithOptions(store, tree, git.InitOptions{DefaultBranch: plumbing.Main})
	if err != nil {
		return hashes, err
	}
	work, err := repository.Worktree()
	if err != nil {
		return hashes, err
	}
	if err := write(tree); err != nil {
		return hashes, err
	}
	if hashes[0], err = commit(work, "Three images"); err != nil {
		return hashes, err
	}
	if err := asRoot(tree, "worker/Dockerfile"); err != nil {
		return hashes, err
	}
	hashes[1], err = commit(work, "Run the worker as root")
	return hashes, err
}

// write fills the tree with the files, and with a program for each image.
func write(tree billy.Filesystem) error {
	app, err := program()
	if err != nil {
		return err
	}
	return fs.WalkDir(files, "repository", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		image := path.Base(path.Dir(name))
		if err := util.WriteFile(tree, path.Join(image, "app"), app, 0o755); err != nil {
			return err
		}
		return util.WriteFile(tree, path.Join(image, path.Base(name)), raw, 0o644)
	})
}

// asRoot changes the user of a Dockerfile.
func asRoot(tree billy.Filesystem, name string) error {
	raw, err := util.ReadFile(tree, name)
	if err != nil {
		return err
	}
	changed := strings.Replace(string(raw), "USER 65532\n", "USER root\n", 1)
	if changed == string(raw) {
		return fmt.Errorf("%s names no user", name)
	}
	return util.WriteFile(tree, name, []byte(changed), 0o644)
}

func commit(work *git.Worktree, message string) (plumbing.Hash, error) {
	if err := work.AddWithOptions(&git.AddOptions{All: true}); err != nil {
		return plumbing.ZeroHash, err
	}
	return work.Commit(message, &git.CommitOptions{Author: &object.Signature{Name: "A Builder", Email: "builder@example.com", When: time.Unix(1700000000, 0)}})
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
