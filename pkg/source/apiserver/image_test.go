package apiserver_test

import (
	"encoding/json"
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
		"5291d841": {sig, image.Attachment},
		"c13447d5": {strings.Replace(sig, ".sig", ".att", 1), image.Attachment},
		"893706f7": {strings.Replace(sig, ".sig", ".sbom", 1), image.Attachment},
		"06c6c646": {sig, image.NoRootFS},
		"bdcb8fea": {"artifact", image.NoRootFS},
		"0776ac4c": {"multi", image.HasRunnableChild},
		"0bb0a6de": {"orig", image.HasRunnableChild},
		"52799613": {"latest", image.HasRunnableChild},
		"831f5576": {"sparse", image.HasRunnableChild},
	}
	for short, img := range images {
		w, ok := want[short]
		if !ok {
			w.tag, w.reason = "latest", image.HasRootFS
		}
		delete(want, short)
		if got := apiserver.Content(img, nil).Runnability(w.tag); got != w.reason {
			t.Errorf("%s under %q: %q, want %q", short, w.tag, got, w.reason)
		}
	}
	for short := range want {
		t.Errorf("%s was not recorded", short)
	}
	// By another tag the payload in an ordinary layer is verified: a name is
	// needed to exempt it, as a name alone is not enough.
	if got := apiserver.Content(images["5291d841"], nil).Runnability("latest"); got != image.HasRootFS {
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
		{"a signature without metadata", signature, nil, image.NoRootFS},
		{"an index of referrers that were read", referrers, apiserver.Children{"a": signature}, image.NoRunnableChild},
		{"an index of referrers that were not read", referrers, nil, image.HasRunnableChild},
		{"an index by its media type only", &imagev1.Image{DockerImageManifestMediaType: "application/vnd.oci.image.index.v1+json"}, nil, image.NothingKnown},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := apiserver.Content(test.img, test.children).Runnability("latest"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
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
