package signature

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/sigstore"
)

const emptyType = "application/vnd.oci.empty.v1+json"

// shelf is a stub registry with what there is about one image. It has what tests
// put on it, and serves lists of referrers in the ways that registries do.
type shelf struct {
	t         *testing.T
	digest    image.Digest
	tags      map[string]string // of digests
	content   map[string]string // by digest
	referrers []fetch.Referrer
	// fault answers before the shelf does, if it answers.
	fault func(w http.ResponseWriter, r *http.Request) bool
	way   way
}

// way is how a registry lists referrers.
type way struct {
	name        string
	fallback    bool   // under the tag only; the API answers with refusal
	refusal     int    // 404 if it is 0
	pageSize    int    // 0 for one page
	contentType string // of the list
	configType  bool   // artifactType is that of the configuration
}

var ways = []way{
	{name: "referrers API", contentType: "application/vnd.oci.image.index.v1+json"},
	{name: "in pages", pageSize: 7, contentType: "application/vnd.oci.image.index.v1+json"},
	{name: "another Content-Type", contentType: "text/plain; charset=utf-8"},
	{name: "the type of the configuration", configType: true, contentType: "application/json"},
	{name: "fallback tag", fallback: true},
	{name: "fallback tag after 405", fallback: true, refusal: http.StatusMethodNotAllowed},
}

func newShelf(t *testing.T, w way) *shelf {
	return &shelf{t: t, digest: signedDigest(t), tags: map[string]string{}, content: map[string]string{}, way: w}
}

func (s *shelf) put(text string) string {
	d := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text)))
	s.content[d] = text
	return d
}

// recorded puts on the shelf what cosign wrote. Bundles are changed by edits, pairs
// of texts, and everything that names them with them.
func (s *shelf) recorded(name string, edits ...string) {
	s.t.Helper()
	var r struct {
		Tags, Manifests, Blobs map[string]string
		Referrers              []string
	}
	if err := json.Unmarshal(recorded(s.t, "recorded/"+name+".json"), &r); err != nil {
		s.t.Fatal(err)
	}
	edit := strings.NewReplacer(edits...)
	moved := map[string]string{}
	for d, text := range r.Blobs {
		moved[d] = s.put(edit.Replace(text))
	}
	for d, text := range r.Manifests {
		for from, to := range moved {
			text = strings.ReplaceAll(text, from, to)
		}
		moved[d] = s.put(edit.Replace(text))
	}
	for tag, d := range r.Tags {
		s.tags[tag] = moved[d]
	}
	for _, d := range r.Referrers {
		var m struct {
			ArtifactType string
			Annotations  map[string]string
		}
		if err := json.Unmarshal([]byte(s.content[moved[d]]), &m); err != nil {
			s.t.Fatal(err)
		}
		s.refer(moved[d], m.ArtifactType, m.Annotations)
	}
}

func (s *shelf) refer(d, artifactType string, annotations map[string]string) {
	s.t.Helper()
	parsed, err := image.ParseDigest(d)
	if err != nil {
		s.t.Fatal(err)
	}
	s.referrers = append(s.referrers, fetch.Referrer{Digest: parsed, ArtifactType: artifactType, Annotations: annotations})
}

// attach refers to the image with one blob, as clients do.
func (s *shelf) attach(layerType, blob string, annotations map[string]string) (layer string) {
	s.t.Helper()
	layer = s.put(blob)
	raw, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "artifactType": layerType, "annotations": annotations,
		"config":  map[string]any{"mediaType": emptyType, "digest": s.put("{}"), "size": 2},
		"layers":  []any{map[string]any{"mediaType": layerType, "digest": layer, "size": len(blob)}},
		"subject": map[string]any{"digest": s.digest.String()},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.refer(s.put(string(raw)), layerType, annotations)
	return layer
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/team/app/"), "/")
	switch {
	case r.URL.Path == "/v2/", s.fault != nil && s.fault(w, r):
		return
	case kind == "referrers" && s.way.fallback && s.way.refusal > 0:
		w.WriteHeader(s.way.refusal)
		return
	case kind == "referrers" && !s.way.fallback, name == "sha256-"+s.digest.Hex() && s.way.fallback && len(s.referrers) > 0:
		s.list(w, r)
		return
	case s.tags[name] != "":
		name = s.tags[name]
	}
	text, ok := s.content[name]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	fmt.Fprint(w, text)
}

func (s *shelf) list(w http.ResponseWriter, r *http.Request) {
	first := 0
	_, _ = fmt.Sscanf(r.URL.Query().Get("from"), "%d", &first) // none is the first page
	rest := s.referrers[first:]
	if n := s.way.pageSize; n > 0 && len(rest) > n {
		rest = rest[:n]
		w.Header().Set("Link", fmt.Sprintf(`<%s?from=%d>; rel="next"`, r.URL.Path, first+n))
	}
	all := []any{}
	for _, e := range rest {
		artifactType := e.ArtifactType
		if s.way.configType {
			artifactType = emptyType
		}
		all = append(all, map[string]any{"digest": e.Digest.String(), "artifactType": artifactType, "annotations": e.Annotations})
	}
	w.Header().Set("Content-Type", s.way.contentType)
	_ = json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "manifests": all})
}

// source serves the shelf.
func (s *shelf) source() *Remote {
	s.t.Helper()
	server := httptest.NewServer(s)
	s.t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	repository, err := image.ParseRepository(host + "/team/app")
	if err != nil {
		s.t.Fatal(err)
	}
	trust, err := fetch.LoadTrust("", []string{host})
	if err != nil {
		s.t.Fatal(err)
	}
	patience := fetch.Patience{Pause: time.Millisecond, Repeats: 1}
	source, err := NewRemote(s.t.Context(), repository, fetch.Options{Trust: trust, Patience: patience})
	if err != nil {
		s.t.Fatal(err)
	}
	return source
}

// state is what comes of the shelf under both policies: they differ in what they
// fail, and not in what they see.
func (s *shelf) state() (string, error) {
	s.t.Helper()
	keys, err := sigstore.ParseKeys("trusted", recorded(s.t, "recorded/trusted.pub"))
	if err != nil {
		s.t.Fatal(err)
	}
	found, err := Look(s.t.Context(), s.source(), s.digest, keys)
	if e := (*oci.Error)(nil); errors.As(err, &e) {
		return "Error " + string(e.Reason), err
	}
	if err != nil {
		s.t.Fatal(err)
	}
	required, optional := Judge(Required, s.digest, found), Judge(Optional, s.digest, found)
	if required.Signature != optional.Signature {
		s.t.Errorf("it is %q if signatures are required, and %q if not", required.Signature, optional.Signature)
	}
	return string(required.Signature), nil
}
