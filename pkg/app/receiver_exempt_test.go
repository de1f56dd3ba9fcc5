package app

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Anybody may write an Image object before the digest is pushed. Whatever it shows, only
// what the registry has under the digest exempts a push; and what cannot be read there
// is recorded.
func TestAnImageObjectExemptsNothing(t *testing.T) {
	single := func(architecture, layer string) func(string) *imagev1.Image {
		return func(string) *imagev1.Image { return imageOf(1, architecture, layer) }
	}
	index := func(children ...imagev1.ImageManifest) func(string) *imagev1.Image {
		return func(string) *imagev1.Image {
			return &imagev1.Image{DockerImageManifestMediaType: "application/vnd.oci.image.index.v1+json", DockerImageManifests: children}
		}
	}
	signature := single("", "application/vnd.dev.cosign.simplesigning.v1+json")
	reports := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{Add: artefact()})
	runs := randomImage(t)
	none := func(string) *imagev1.Image { return nil }
	for _, test := range []struct {
		name   string
		pushed remote.Taggable
		shows  func(digest string) *imagev1.Image
		answer http.HandlerFunc
		host   string
		exempt bool
	}{
		{name: "a signature that is shown as one", pushed: artefact(), shows: signature, exempt: true},
		{name: "a signature without an Image object", pushed: artefact(), shows: none, exempt: true},
		{name: "a list of reports", pushed: reports, shows: index(imagev1.ImageManifest{Digest: digestOf(4)}), exempt: true},
		{name: "an image that is shown as a signature", pushed: runs, shows: signature},
		{name: "an image of no known platform", pushed: runs, shows: single("unknown", rootFSLayer)},
		{name: "an image that is shown as an empty index", pushed: runs, shows: index()},
		{name: "an image that is shown as a list of reports", pushed: runs, shows: index(imagev1.ImageManifest{Digest: digestOf(4)})},
		{name: "an image that is shown as attestations", pushed: runs, shows: index(imagev1.ImageManifest{Digest: digestOf(4), OS: "unknown", Architecture: "unknown"})},
		{name: "an image in a list of reports", pushed: mutate.AppendManifests(reports, mutate.IndexAddendum{Add: runs}), shows: index(imagev1.ImageManifest{Digest: digestOf(4)})},
		{name: "a signature that is shown as an image", pushed: artefact(), shows: single("amd64", rootFSLayer)},
		{name: "a signature whose registry does not answer", pushed: artefact(), shows: signature,
			answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }},
		{name: "a signature whose registry has other bytes", pushed: artefact(), shows: signature,
			answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"schemaVersion":2}`)) }},
		{name: "a signature in a registry that is not listed", pushed: artefact(), shows: signature, host: "registry.example.com"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			digest := s.push("shop/web:v1", test.pushed)
			if test.host == "" {
				test.host = s.host
			}
			web := streamOf("web", nil)
			web.Status.DockerImageRepository = test.host + "/shop/web"
			web.Status.Tags = []imagev1.NamedTagEventList{{Tag: "sha256-" + strings.Repeat("a", 64) + ".sig", Items: []imagev1.TagEvent{{Created: metav1.NewTime(noon), Image: digest}}}}
			c := registered(t, s, triggerNamed("shop", "vet"))
			if err := c.client.Create(t.Context(), web.DeepCopy()); err != nil {
				t.Fatal(err)
			}
			if img := test.shows(digest); img != nil {
				img.Name = digest
				if err := c.client.Create(t.Context(), img); err != nil {
					t.Fatal(err)
				}
			}
			if test.answer != nil {
				s.answering(test.answer)
			}
			if code, body := send(t, c.receiver(), update(t, web)); code != http.StatusAccepted {
				t.Fatalf("answered %d %s, want 202", code, body)
			}
			want := 1
			if test.exempt {
				want = 0
			}
			if diff := cmp.Diff(want, len(c.pushes())); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
		})
	}
}
