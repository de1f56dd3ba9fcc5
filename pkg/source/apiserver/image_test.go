package apiserver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source/apiserver"
)

type everything struct{}

func (everything) Runnable(string, image.Digest) bool { return true }

// recordedImages returns all recorded Images by the first 8 digits of their digests.
func recordedImages(t *testing.T) map[string]*imagev1.Image {
	t.Helper()
	images := map[string]*imagev1.Image{}
	eachRecorded(t, "Image", func(t *testing.T, body []byte) {
		var img imagev1.Image
		if err := json.Unmarshal(body, &img); err != nil {
			t.Fatal(err)
		}
		images[img.Name[7:15]] = &img
	})
	return images
}

// Which of the recorded Images can run, and why.
func TestRecordedImagesAreRunnableOrNot(t *testing.T) {
	images := recordedImages(t)
	sig := "sha256-" + hexA + ".sig"
	want := map[string]struct {
		tag    string
		reason image.Runnability
	}{
		"5291d841": {sig, image.NothingKnown},
		"c13447d5": {strings.Replace(sig, ".sig", ".att", 1), image.NothingKnown},
		"893706f7": {strings.Replace(sig, ".sig", ".sbom", 1), image.NothingKnown},
		"06c6c646": {sig, image.NothingKnown},
		"bdcb8fea": {"artifact", image.NothingKnown},
		"0776ac4c": {"multi", image.HasRunnableChild},
		"0bb0a6de": {"orig", image.HasRunnableChild},
		"52799613": {"latest", image.HasRunnableChild},
		"831f5576": {"sparse", image.HasRunnableChild},
	}
	for short, img := range images {
		w, ok := want[short]
		if !ok {
			w.tag, w.reason = "latest", image.NothingKnown
		}
		delete(want, short)
		if got := apiserver.Content(img, nil).Runnability(); got != w.reason {
			t.Errorf("%s under %q: %q, want %q", short, w.tag, got, w.reason)
		}
	}
	for short := range want {
		t.Errorf("%s was not recorded", short)
	}
	// By another tag the payload in an ordinary layer is verified: a name is
	// needed to exempt it, as a name alone is not enough.
	if got := apiserver.Content(images["5291d841"], nil).Runnability(); got != image.NothingKnown {
		t.Errorf("under another tag: %q", got)
	}
}

func TestContentOfWhatTellsLittle(t *testing.T) {
	signature := &imagev1.Image{DockerImageManifestMediaType: "application/vnd.oci.image.manifest.v1+json",
		DockerImageLayers: []imagev1.ImageLayer{{MediaType: "application/vnd.dev.cosign.simplesigning.v1+json"}}}
	referrers := &imagev1.Image{DockerImageManifests: []imagev1.ImageManifest{{Digest: "a"}}}
	for _, test := range []struct {
		name     string
		img      *imagev1.Image
		children apiserver.Children
		want     image.Runnability
	}{
		{"an Image of which nothing is filled in", &imagev1.Image{}, nil, image.NothingKnown},
		{"metadata that cannot be read", &imagev1.Image{DockerImageLayers: signature.DockerImageLayers,
			DockerImageMetadata: runtime.RawExtension{Raw: []byte(`{"Size":"big"}`)}}, nil, image.NothingKnown},
		{"a signature without metadata", signature, nil, image.NothingKnown},
		{"an index of referrers that were read", referrers, apiserver.Children{"a": signature}, image.NoRunnableChild},
		{"an index of referrers that were not read", referrers, nil, image.HasRunnableChild},
		{"an index by its media type only", &imagev1.Image{DockerImageManifestMediaType: "application/vnd.oci.image.index.v1+json"}, nil, image.NothingKnown},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := apiserver.Content(test.img, test.children).Runnability(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Of an index for no platform the children are read, until one can run or is not
// known; of any other they are not.
func TestReadContent(t *testing.T) {
	artefact := &imagev1.Image{DockerImageManifestMediaType: "application/vnd.oci.image.manifest.v1+json",
		DockerImageLayers: []imagev1.ImageLayer{{MediaType: "application/sarif+json"}}}
	runs := &imagev1.Image{DockerImageManifestMediaType: "application/vnd.oci.image.manifest.v1+json",
		DockerImageLayers: []imagev1.ImageLayer{{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip"}}}
	digest := func(n int) string { return fmt.Sprintf("sha256:%064x", n) }
	index := func(os string, children ...int) *imagev1.Image {
		img := &imagev1.Image{}
		for _, n := range children {
			img.DockerImageManifests = append(img.DockerImageManifests, imagev1.ImageManifest{Digest: digest(n), OS: os})
		}
		return img
	}
	known := map[string]*imagev1.Image{digest(1): artefact, digest(2): artefact, digest(3): runs}
	var many []int
	for n := range 65 {
		many = append(many, n+100)
		known[digest(n+100)] = artefact
	}
	broken := index("", 1)
	broken.DockerImageManifests = append(broken.DockerImageManifests, imagev1.ImageManifest{Digest: "x"})
	for _, test := range []struct {
		name  string
		img   *imagev1.Image
		want  image.Runnability
		reads int
	}{
		{"a list of artefacts", index("", 1, 2), image.NoRunnableChild, 2},
		{"a list of attestations", index("unknown", 1), image.NoRunnableChild, 1},
		{"a list that an image is in", index("", 1, 3, 2), image.HasRunnableChild, 2},
		{"a list of what is not known", index("", 4, 1), image.HasRunnableChild, 1},
		{"a list with what is no digest", broken, image.HasRunnableChild, 1},
		{"a very long list", index("", many...), image.HasRunnableChild, 0},
		{"an index for platforms", index("linux", 1), image.HasRunnableChild, 0},
		{"a single artefact", artefact, image.NothingKnown, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			reads := 0
			got, err := apiserver.ReadContent(test.img, func(d string) (*imagev1.Image, error) {
				reads++
				return known[d], nil
			})
			if err != nil || got.Runnability() != test.want || reads != test.reads {
				t.Errorf("%q after %d reads, %v; want %q after %d", got.Runnability(), reads, err, test.want, test.reads)
			}
		})
	}
	if _, err := apiserver.ReadContent(index("", 1), func(string) (*imagev1.Image, error) { return nil, errors.New("away") }); err == nil {
		t.Error("a child that cannot be read is taken for one that is not there")
	}
}

func TestFactsOfRecordedImages(t *testing.T) {
	images := recordedImages(t)
	children := apiserver.Children{}
	for _, img := range images {
		children[img.Name] = img
	}
	const ociManifest = "application/vnd.oci.image.manifest.v1+json"
	labels := []string{"maintainer", "absent"}
	for _, test := range []struct {
		name, short string
		children    apiserver.Children
		want        v1alpha1.ImageFacts
	}{
		{"an image", "875fa3b3", nil, v1alpha1.ImageFacts{MediaType: ociManifest, Platforms: []string{"linux/amd64"},
			Labels: map[string]string{"maintainer": "acme"}, Layers: 1, Size: 153, Source: "Image"}},
		{"a docker schema 2 image, without that label", "d2157fb8", nil, v1alpha1.ImageFacts{
			MediaType: "application/vnd.docker.distribution.manifest.v2+json", Platforms: []string{"linux/amd64"}, Layers: 1, Size: 149, Source: "Image"}},
		{"an index with its children", "0776ac4c", children, v1alpha1.ImageFacts{MediaType: "application/vnd.oci.image.index.v1+json",
			Platforms: []string{"linux/amd64", "linux/arm64"}, Labels: map[string]string{"maintainer": "acme"}, Layers: 2, Size: 302, Source: "Image"}},
		{"an index whose children are not there", "831f5576", children, v1alpha1.ImageFacts{MediaType: "application/vnd.oci.image.index.v1+json",
			Platforms: []string{"linux/amd64"}, Source: "Image"}},
		{"an artefact", "06c6c646", nil, v1alpha1.ImageFacts{MediaType: ociManifest, Layers: 1, Size: 15, Source: "Image"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := apiserver.Facts(images[test.short], test.children, labels)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFactsThatNoRecordingShows(t *testing.T) {
	img := &imagev1.Image{
		DockerImageConfig: `{"os":"windows","variant":"v8"}`,
		DockerImageMetadata: runtime.RawExtension{Raw: []byte(`{"Architecture":"arm64","Created":"2026-10-01T02:03:04.5Z",
			"Config":{"Labels":{"org.opencontainers.image.base.name":"quay.example/base:1"}}}`)},
		DockerImageLayers: []imagev1.ImageLayer{{LayerSize: 10}, {LayerSize: -5}},
	}
	got, err := apiserver.Facts(img, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	created := metav1.NewTime(time.Date(2026, 10, 1, 2, 3, 4, 0, time.UTC))
	want := v1alpha1.ImageFacts{Platforms: []string{"windows/arm64/v8"}, Layers: 2, Size: 10, Created: &created, Base: "quay.example/base:1", Source: "Image"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	img.DockerImageMetadata.Raw = []byte(`{`)
	if _, err := apiserver.Facts(img, nil, nil); err == nil {
		t.Error("metadata that cannot be read gives facts")
	}
}

func TestChildDigestsAreValidAndUnique(t *testing.T) {
	img := &imagev1.Image{DockerImageManifests: []imagev1.ImageManifest{{Digest: "sha256:" + hexA}, {Digest: "x"}, {Digest: "sha256:" + hexA}}}
	got := apiserver.ChildDigests(img)
	if len(got) != 1 || got[0].Hex() != hexA {
		t.Errorf("got %v", got)
	}
}
