package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/revet-dev/revet/pkg/source/registry/registrytest"
)

// A notification becomes a record, in whatever way the registry answers.
func TestNotificationsOfOddRegistries(t *testing.T) {
	nowhere := httptest.NewServer(http.NotFoundHandler())
	nowhere.Close()
	for name, oddities := range map[string]registrytest.Oddities{
		"HEAD answers 404":                       {Head: 404},
		"HEAD answers 405":                       {Head: 405},
		"HEAD answers 501":                       {Head: 501},
		"HEAD answers without a digest":          {NoDigest: true},
		"HEAD answers with another algorithm":    {Digest: "sha512:" + strings.Repeat("a", 128)},
		"HEAD answers with a digest of nothing":  {Digest: fullDigest("0")},
		"manifests are JSON":                     {Type: "application/json"},
		"manifests are text":                     {Type: "text/plain"},
		"manifests have a charset":               {Type: "application/vnd.oci.image.index.v1+json; charset=utf-8"},
		"manifests have no type":                 {Type: "none"},
		"blobs are where nobody lets Revet":      {Storage: "https://10.0.0.1"},
		"blobs are where nobody answers":         {Storage: nowhere.URL},
		"HEAD, types, digests and blobs are odd": {Head: 405, NoDigest: true, Type: "none", Storage: nowhere.URL},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			c := registered(t, s, registryTrigger(s, "shop", "vet"))
			r := c.receiver()
			var want []string
			img := randomImage(t)
			single := s.push("web:single", img)
			index := s.push("web:index", mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img}))
			s.odd.Set(oddities)
			for tag, digest := range map[string]string{"single": single, "index": index} {
				if code, body := send(t, r, notify(t, firstToken, target{"web", tag, digest})); code != http.StatusAccepted {
					t.Errorf("%s: answered %d %s", tag, code, body)
				}
				want = append(want, fmt.Sprintf("vet %s@%s 1", tag, digest))
			}
			got := c.tags()
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
		})
	}
}

// A push that only sha512 names cannot be recorded. The trigger's owner sees why.
func TestNotificationsOfUnsupportedDigests(t *testing.T) {
	claimed := "sha512:" + strings.Repeat("a", 128)
	s := newSite(t)
	s.answering(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Docker-Content-Digest", claimed)
		if strings.Contains(r.URL.Path, "/manifests/sha256:") {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(`{"errors":[{"code":"MANIFEST_UNKNOWN"}],"schemaVersion":2,"config":{},"layers":[]}`))
	})
	c := registered(t, s, registryTrigger(s, "shop", "vet"))
	r := c.receiver()
	if code, body := send(t, r, notify(t, firstToken, target{"web", "v1", claimed})); code != http.StatusAccepted || len(c.tags()) != 0 {
		t.Errorf("answered %d %s with %v recorded", code, body, c.tags())
	}
	if n := c.log.FilterField(zapReason("DigestUnsupported")).Len(); n != 1 {
		t.Errorf("logged the reason %d times, want once", n)
	}
}
