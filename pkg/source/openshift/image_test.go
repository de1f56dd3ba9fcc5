package openshift_test

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
	"github.com/revet-dev/revet/pkg/source/openshift"
)

type everything struct{}

func (everything) Runnable(image.Digest) bool { return true }

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

// Which of the recorded Images show that they run: all but the signature, the
// attestation, the SBOM and the artefacts.
func TestRecordedImagesShowWhetherTheyRun(t *testing.T) {
	images := recordedImages(t)
	shy := map[string]bool{"5291d841": true, "c13447d5": true, "893706f7": true, "06c6c646": true, "bdcb8fea": true}
	for short, img := range images {
		if got := openshift.Runs(img); got == shy[short] {
			t.Errorf("%s shows that it runs: %t", short, got)
		}
		delete(shy, short)
	}
	for short := range shy {
		t.Errorf("%s was not recorded", short)
	}
}

func TestWhatShowsThatItRuns(t *testing.T) {
	metadata := func(raw string) *imagev1.Image {
		return &imagev1.Image{DockerImageMetadata: runtime.RawExtension{Raw: []byte(raw)}}
	}
	index := func(children ...imagev1.ImageManifest) *imagev1.Image {
		return &imagev1.Image{DockerImageManifests: children}
	}
	for _, test := range []struct {
		name string
		img  *imagev1.Image
		want bool
	}{
		{"nothing", &imagev1.Image{}, false},
		{"an architecture", metadata(`{"Architecture":"amd64"}`), true},
		{"an unknown architecture", metadata(`{"Architecture":"Unknown"}`), false},
		{"a command", metadata(`{"Config":{"Cmd":["/app"]}}`), true},
		{"an entry point", metadata(`{"Config":{"Entrypoint":["/app"]}}`), true},
		{"labels only", metadata(`{"Config":{"Labels":{"a":"b"}}}`), false},
		{"metadata that cannot be read", metadata(`{"Architecture":7}`), false},
		{"layers only", &imagev1.Image{DockerImageLayers: []imagev1.ImageLayer{{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip"}}}, false},
		{"an index for a platform", index(imagev1.ImageManifest{OS: "linux", Architecture: "arm64"}), true},
		{"an index for a platform, beside its attestation", index(imagev1.ImageManifest{OS: "unknown", Architecture: "unknown"}, imagev1.ImageManifest{OS: "linux", Architecture: "arm64"}), true},
		{"an index of attestations", index(imagev1.ImageManifest{OS: "unknown", Architecture: "unknown"}), false},
		{"an index for no platform", index(imagev1.ImageManifest{Digest: "x"}), false},
		{"an index by its media type only", &imagev1.Image{DockerImageManifestMediaType: "application/vnd.oci.image.index.v1+json"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := openshift.Runs(test.img); got != test.want {
				t.Errorf("it shows that it runs: %t, want %t", got, test.want)
			}
		})
	}
}

// What no host runs, as BuildKit marks its attestations, is no part of the facts.
func TestFactsLeaveOutWhatNoHostRuns(t *testing.T) {
	child := func(architecture, layer string, size int64) *imagev1.Image {
		return &imagev1.Image{
			DockerImageMetadata: runtime.RawExtension{Raw: []byte(`{"Architecture":"` + architecture + `"}`)},
			DockerImageLayers:   []imagev1.ImageLayer{{MediaType: layer, LayerSize: size}},
		}
	}
	children := openshift.Children{
		"a": child("amd64", "application/vnd.oci.image.layer.v1.tar+gzip", 100),
		"b": child("unknown", "application/vnd.in-toto+json", 7),
	}
	for _, test := range []struct {
		name string
		odd  imagev1.ImageManifest
	}{
		{"unknown/unknown", imagev1.ImageManifest{Digest: "b", OS: "unknown", Architecture: "unknown"}},
		{"an unknown system", imagev1.ImageManifest{Digest: "b", OS: "Unknown", Architecture: "amd64"}},
		{"an unknown architecture", imagev1.ImageManifest{Digest: "b", OS: "linux", Architecture: "UNKNOWN", Variant: "v8"}},
		{"no platform, and the configuration of an attestation", imagev1.ImageManifest{Digest: "b"}},
		{"the same child once more", imagev1.ImageManifest{Digest: "a", OS: "linux", Architecture: "amd64"}},
		{"one that was not read", imagev1.ImageManifest{Digest: "c", OS: "unknown", Architecture: "unknown"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			img := &imagev1.Image{DockerImageManifests: []imagev1.ImageManifest{{Digest: "a", OS: "linux", Architecture: "amd64"}, test.odd}}
			got, err := openshift.Facts(img, children, nil)
			want := v1alpha1.ImageFacts{Platforms: []string{"linux/amd64"}, Layers: 1, Size: 100, Source: "Image"}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("facts, error %v (-want +got):\n%s", err, diff)
			}
		})
	}
	single, err := openshift.Facts(children["b"], nil, nil)
	if diff := cmp.Diff(v1alpha1.ImageFacts{Layers: 1, Size: 7, Source: "Image"}, single); diff != "" || err != nil {
		t.Errorf("facts of an attestation alone, error %v (-want +got):\n%s", err, diff)
	}
}

func TestFactsOfRecordedImages(t *testing.T) {
	images := recordedImages(t)
	children := openshift.Children{}
	for _, img := range images {
		children[img.Name] = img
	}
	const ociManifest = "application/vnd.oci.image.manifest.v1+json"
	const recordedRevision = "152d8a17cb0642f9f3b2abcb2a8415c2f6ddc047"
	labels := []string{"maintainer", "absent"}
	for _, test := range []struct {
		name, short string
		children    openshift.Children
		want        v1alpha1.ImageFacts
	}{
		{"an image", "875fa3b3", nil, v1alpha1.ImageFacts{MediaType: ociManifest, Platforms: []string{"linux/amd64"},
			Labels: map[string]string{"maintainer": "acme"}, Layers: 1, Size: 153, ClaimedRevision: recordedRevision, Source: "Image"}},
		{"a docker schema 2 image, without that label", "d2157fb8", nil, v1alpha1.ImageFacts{
			MediaType: "application/vnd.docker.distribution.manifest.v2+json", Platforms: []string{"linux/amd64"}, Layers: 1, Size: 149, Source: "Image"}},
		{"an index with its children", "0776ac4c", children, v1alpha1.ImageFacts{MediaType: "application/vnd.oci.image.index.v1+json",
			Platforms: []string{"linux/amd64", "linux/arm64"}, Labels: map[string]string{"maintainer": "acme"}, Layers: 2, Size: 302,
			RevisionIgnored: v1alpha1.RevisionDiffers, Source: "Image"}}, // one of the two claims none
		{"an index whose children are not there", "831f5576", children, v1alpha1.ImageFacts{MediaType: "application/vnd.oci.image.index.v1+json",
			Platforms: []string{"linux/amd64"}, Source: "Image"}},
		{"an artefact", "06c6c646", nil, v1alpha1.ImageFacts{MediaType: ociManifest, Layers: 1, Size: 15, Source: "Image"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := openshift.Facts(images[test.short], test.children, labels)
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
			"Config":{"Labels":{"org.opencontainers.image.base.name":"quay.example/base:1","org.opencontainers.image.revision":"0abc"}}}`)},
		DockerImageLayers: []imagev1.ImageLayer{{LayerSize: 10}, {LayerSize: -5}},
	}
	got, err := openshift.Facts(img, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	created := metav1.NewTime(time.Date(2026, 10, 1, 2, 3, 4, 0, time.UTC))
	want := v1alpha1.ImageFacts{Platforms: []string{"windows/arm64/v8"}, Layers: 2, Size: 10, Created: &created, Base: "quay.example/base:1",
		ClaimedRevision: "0abc", Source: "Image"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	// Whoever may push writes the media type, and it goes into each entry.
	img.DockerImageManifestMediaType = strings.Repeat("x", 1<<20)
	index := &imagev1.Image{DockerImageManifestMediaType: img.DockerImageManifestMediaType, DockerImageManifests: []imagev1.ImageManifest{{OS: "linux"}}}
	for _, of := range []*imagev1.Image{img, index} {
		if got, err := openshift.Facts(of, nil, nil); err != nil || len(got.MediaType) != 255 {
			t.Errorf("a media type of %d bytes, %v", len(got.MediaType), err)
		}
	}
	img.DockerImageMetadata.Raw = []byte(`{`)
	if _, err := openshift.Facts(img, nil, nil); err == nil {
		t.Error("metadata that cannot be read gives facts")
	}
}

func TestChildDigestsAreValidAndUnique(t *testing.T) {
	img := &imagev1.Image{DockerImageManifests: []imagev1.ImageManifest{{Digest: "sha256:" + hexA}, {Digest: "x"}, {Digest: "sha256:" + hexA}}}
	got := openshift.ChildDigests(img)
	if len(got) != 1 || got[0].Hex() != hexA {
		t.Errorf("got %v", got)
	}
}

// An index has no annotations in its Image object: it claims what its children agree on, and a
// child that was not read agrees with nobody.
func TestTheRevisionOfAnIndexIsItsChildrens(t *testing.T) {
	child := func(revision string) *imagev1.Image {
		return &imagev1.Image{DockerImageMetadata: runtime.RawExtension{Raw: []byte(
			`{"Architecture":"amd64","Config":{"Labels":{"org.opencontainers.image.revision":"` + revision + `"}}}`)}}
	}
	index := &imagev1.Image{DockerImageManifests: []imagev1.ImageManifest{
		{Digest: "a", OS: "linux", Architecture: "amd64"}, {Digest: "b", OS: "linux", Architecture: "arm64"}}}
	for name, test := range map[string]struct {
		children openshift.Children
		want     string
		ignored  v1alpha1.RevisionIgnored
	}{
		"they agree":       {openshift.Children{"a": child("0abc"), "b": child("0abc")}, "0abc", ""},
		"they differ":      {openshift.Children{"a": child("0abc"), "b": child("1abc")}, "", v1alpha1.RevisionDiffers},
		"one was not read": {openshift.Children{"a": child("0abc")}, "", v1alpha1.RevisionDiffers},
		"one is hostile":   {openshift.Children{"a": child("0abc"), "b": child("$(id)")}, "", v1alpha1.RevisionMalformed},
	} {
		got, err := openshift.Facts(index, test.children, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.ClaimedRevision != test.want || got.RevisionIgnored != test.ignored {
			t.Errorf("%s: revision %q, ignored %q; want %q and %q", name, got.ClaimedRevision, got.RevisionIgnored, test.want, test.ignored)
		}
	}
}
