package sweep

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	fakeregistry "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/source/registry"
	"github.com/revet-dev/revet/pkg/source/registry/registrytest"
)

// fill pushes an image of its own under each name.
func fill(t *testing.T, host string, names ...string) {
	t.Helper()
	for _, n := range names {
		img, err := random.Image(16, 1)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := name.ParseReference(host+"/"+n, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, img); err != nil {
			t.Fatal(err)
		}
	}
}

// Property: of a registry that answers in its own way, a sweep records every tag, or says that
// it does not know; and once the registry answers as others do, the next sweep records the rest.
func TestSweepsOfOddRegistriesRecordAllOrSayNotKnown(t *testing.T) {
	const repositories, tags = 2, 15
	quiet := log.New(io.Discard, "", 0)
	odd := registrytest.New(fakeregistry.New(fakeregistry.Logger(quiet)), registrytest.Oddities{})
	server := httptest.NewUnstartedServer(odd)
	server.Config.ErrorLog = quiet
	server.Start()
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	for r := range repositories {
		for tag := range tags {
			fill(t, host, fmt.Sprintf("team/r%d:v%02d", r, tag))
		}
	}
	const indexType = "application/vnd.oci.image.index.v1+json"
	for _, test := range []struct {
		name     string
		oddities registrytest.Oddities
		known    bool
	}{
		{"none", registrytest.Oddities{}, true},
		{"no HEAD: 405", registrytest.Oddities{Head: 405}, true},
		{"no HEAD: 404", registrytest.Oddities{Head: 404}, true},
		{"no digest, no type", registrytest.Oddities{NoDigest: true, Type: "none"}, true},
		{"a digest that it does not have", registrytest.Oddities{Digest: digest(1).String()}, true},
		{"images as text", registrytest.Oddities{Type: "text/plain"}, true},
		{"images as indexes", registrytest.Oddities{Type: indexType}, true},
		{"short pages", registrytest.Oddities{Page: 3}, true},
		{"short pages, empty ones between", registrytest.Oddities{Page: 3, EmptyPages: 2}, true},
		{"links without <>", registrytest.Oddities{Page: 3, Link: registrytest.Bare}, true},
		{"behind a proxy", registrytest.Oddities{Page: 1, Link: registrytest.OtherHost}, true},
		{"all of it", registrytest.Oddities{
			Head: 405, NoDigest: true, Type: "text/plain", Page: 2, Link: registrytest.ByQuery,
		}, true},
		{"pages in circles", registrytest.Oddities{Page: 3, Link: registrytest.Circle}, false},
		{"empty pages without end", registrytest.Oddities{Page: 3, EmptyPages: 1 << 20}, false},
		{"HEAD fails: 500", registrytest.Oddities{Head: 500}, true},
		{"every answer is cut", registrytest.Oddities{Cut: 1}, false},
		{"some answers are cut", registrytest.Oddities{Head: 405, Page: 5, Cut: 7}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newEnv(t)
			c := registry.New(func(string, string) (insecure, ok bool) { return true, true })
			w.sweeper.Registry = registry.NewReader(c, w.client, time.Now)
			asked := registries(host+"/team/r0", host+"/team/*")
			asked.Spec.Existing = v1alpha1.ExistingVerify
			odd.Set(test.oddities)
			r, recorded := w.sweep(asked), len(w.entries())
			all := recorded == repositories*tags
			if all != test.known || (r.Coverage() == v1alpha1.CoverageCovered) != all || r.Gap > r.Unread {
				t.Errorf("%d entries, %s: %+v", recorded, r.Coverage(), r)
			}
			odd.Set(registrytest.Oddities{})
			r, recorded = w.sweep(asked), len(w.entries())
			all = recorded == repositories*tags && r.Pushes == repositories*tags
			if !all || r.Coverage() != v1alpha1.CoverageCovered {
				t.Errorf("after that: %d entries, %s: %+v", recorded, r.Coverage(), r)
			}
		})
	}
}
