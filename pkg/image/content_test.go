package image_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
)

// Only what is proven not to run is exempt; what is not known is verified.
func TestRunnability(t *testing.T) {
	runs := image.Content{Kind: image.ContentImage}
	artefact := image.Content{Kind: image.ContentImage, ConfigType: "application/vnd.cncf.helm.config.v1+json", OtherConfig: true}
	signature := image.Content{Kind: image.ContentImage, NoArchive: true}
	blob := image.Content{Kind: image.ContentBlob}
	index := func(complete bool, children ...image.Content) image.Content {
		return image.Content{Kind: image.ContentIndex, Children: children, Complete: complete}
	}
	for _, test := range []struct {
		name     string
		content  image.Content
		want     image.Runnability
		runnable bool
	}{
		{"nothing known", image.Content{}, image.NothingKnown, true},
		{"a kind that is not known", image.Content{Kind: "Chart", OtherConfig: true, NoArchive: true}, image.NothingKnown, true},
		{"an image", runs, image.HasImageConfig, true},
		{"an artefact", artefact, image.NoImageConfig, false},
		{"a signature in an image's clothes", signature, image.NoArchive, false},
		{"bytes that are no manifest", blob, image.NoManifest, false},
		{"an index of which nothing was read", index(false), image.NothingKnown, true},
		{"an index without children", index(true), image.NoRunnableChild, false},
		{"an index of artefacts", index(true, artefact, signature, blob), image.NoRunnableChild, false},
		{"an index of artefacts, and more", index(false, artefact), image.NothingKnown, true},
		{"an index with an image", index(true, artefact, runs), image.HasRunnableChild, true},
		{"an index with an image, and more", index(false, runs), image.HasRunnableChild, true},
		{"an index with a child that was not read", index(true, artefact, image.Content{}), image.HasRunnableChild, true},
		{"an index of indexes of artefacts", index(true, index(true, artefact)), image.NoRunnableChild, false},
		{"an index with an index that was not read", index(true, index(false)), image.HasRunnableChild, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.content.Runnability()
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("reason (-want +got):\n%s", diff)
			}
			if got.Runnable() != test.runnable || test.content.Runnable() != test.runnable {
				t.Errorf("runnable is %t, want %t", got.Runnable(), test.runnable)
			}
			if (test.content.Why() == image.Content{}.Why()) != test.runnable {
				t.Errorf("people are told: %s", test.content.Why())
			}
		})
	}
	claimed := image.Content{Kind: image.ContentBlob, ClaimedBlob: true}
	if deep := index(true, artefact, index(true, claimed)); deep.Runnable() || !deep.Claimed() || index(true, artefact, blob).Claimed() {
		t.Error("a registry's word about a blob is not told from a proof")
	}
	if !image.Runnability("Later").Runnable() || !image.Runnability("").Runnable() {
		t.Error("a reason that is not known exempts")
	}
}
