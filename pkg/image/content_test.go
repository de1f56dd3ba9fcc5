package image_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
)

const (
	tarGzip = "application/vnd.oci.image.layer.v1.tar+gzip"
	signing = "application/vnd.dev.cosign.simplesigning.v1+json"
	inToto  = "application/vnd.in-toto+json"
)

// A name alone never exempts an image, and what is not known is verified.
func TestRunnability(t *testing.T) {
	sigTag := "sha256-" + hexA + ".sig"
	manifest := func(arch string, command bool, layers ...string) image.Content {
		return image.Content{Kind: image.ContentImage, Architecture: arch, Command: command, LayerTypes: layers}
	}
	index := func(children ...image.Content) image.Content {
		return image.Content{Kind: image.ContentIndex, Children: children}
	}
	for _, test := range []struct {
		name     string
		content  image.Content
		tag      string
		want     image.Runnability
		runnable bool
	}{
		{"nothing known", image.Content{}, "latest", image.NothingKnown, true},
		{"nothing known, under a signature's tag", image.Content{}, sigTag, image.NothingKnown, true},
		{"a kind that is not known", image.Content{Kind: "Chart"}, "latest", image.NothingKnown, true},
		{"an image with a layer", manifest("amd64", true, tarGzip), "latest", image.HasRootFS, true},
		{"an image with a layer, under a signature's tag", manifest("amd64", true, tarGzip), sigTag, image.HasRootFS, true},
		{"a layer and an architecture only, under a signature's tag", manifest("amd64", false, tarGzip), sigTag, image.HasRootFS, true},
		{"a layer and a command only, under a signature's tag", manifest("", true, tarGzip), sigTag, image.HasRootFS, true},
		{"a layer and an empty configuration", manifest("", false, tarGzip), "latest", image.HasRootFS, true},
		{"a layer and an empty configuration, under a signature's tag", manifest("", false, tarGzip), sigTag, image.Attachment, false},
		{"the same, platform unknown", manifest("unknown", false, tarGzip), sigTag, image.Attachment, false},
		{"the same, as an attestation", manifest("", false, tarGzip), "sha256-" + hexA + ".att", image.Attachment, false},
		{"the same, as an SBOM", manifest("", false, tarGzip), "sha256-" + hexA + ".sbom", image.Attachment, false},
		{"a tag almost like a signature's: short", manifest("", false, tarGzip), "sha256-" + hexA[1:] + ".sig", image.HasRootFS, true},
		{"a tag almost like a signature's: upper case", manifest("", false, tarGzip), "sha256-" + strings.ToUpper(hexA) + ".sig", image.HasRootFS, true},
		{"a tag almost like a signature's: longer", manifest("", false, tarGzip), sigTag + "x", image.HasRootFS, true},
		{"a tag almost like a signature's: other suffix", manifest("", false, tarGzip), "sha256-" + hexA + ".exe", image.HasRootFS, true},
		{"a tag almost like a signature's: colon for the dash", manifest("", false, tarGzip), "sha256:" + hexA + ".sig", image.HasRootFS, true},
		{"a signature under its tag", manifest("", false, signing), sigTag, image.NoRootFS, false},
		{"a signature under any tag", manifest("", false, signing), "latest", image.NoRootFS, false},
		{"BuildKit's attestation", manifest("unknown", false, inToto), "x", image.NoRootFS, false},
		{"an artefact without layers", manifest("", false), "x", image.NoRootFS, false},
		{"an odd layer, and a platform", manifest("wasm", false, "application/wasm"), "x", image.DeclaresPlatform, true},
		{"a layer called a signature, and a command", manifest("", true, signing), sigTag, image.DeclaresPlatform, true},
		{"no layers listed, and a platform", manifest("amd64", false), "x", image.DeclaresPlatform, true},
		{"an artefact beside a real layer", manifest("amd64", true, signing, tarGzip), "x", image.HasRootFS, true},
		{"an index, children not read", index(image.Content{}, image.Content{}), "v1", image.HasRunnableChild, true},
		{"an index, children not listed", index(), "v1", image.NothingKnown, true},
		{"an index with an image and its attestation", index(manifest("unknown", false, inToto), manifest("arm64", true, tarGzip)), "v1", image.HasRunnableChild, true},
		{"an index of referrers", index(manifest("", false, signing), manifest("", false, inToto)), "sha256-" + hexA, image.NoRunnableChild, false},
		{"an index of referrers, one not read", index(manifest("", false, signing), image.Content{}), "sha256-" + hexA, image.HasRunnableChild, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.content.Runnability(test.tag)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("reason (-want +got):\n%s", diff)
			}
			if got.Runnable() != test.runnable || test.content.Runnable(test.tag) != test.runnable {
				t.Errorf("runnable is %t, want %t", got.Runnable(), test.runnable)
			}
		})
	}
	if !image.Runnability("").Runnable() || !image.Runnability("Bug").Runnable() {
		t.Error("a reason that is not known is not runnable: it must be verified")
	}
}

func TestIsRootFSLayer(t *testing.T) {
	for mediaType, want := range map[string]bool{
		"application/vnd.oci.image.layer.v1.tar": true,
		tarGzip:                                  true,
		"application/vnd.oci.image.layer.v1.tar+zstd":                  true,
		"application/vnd.oci.image.layer.v1.tar+gzip+encrypted":        true,
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": true,
		"application/vnd.docker.image.rootfs.diff.tar":                 true,
		"application/vnd.docker.image.rootfs.diff.tar.gzip":            true,
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":    true,
		"":                                      false,
		signing:                                 false,
		inToto:                                  false,
		"text/spdx+json":                        false,
		"application/vnd.dsse.envelope.v1+json": false,
		"application/vnd.cncf.helm.chart.content.v1.tar+gzip": false,
		"application/vnd.oci.image.layer.v1.tarball":          false,
		"x/application/vnd.oci.image.layer.v1.tar":            false,
	} {
		if got := image.IsRootFSLayer(mediaType); got != want {
			t.Errorf("IsRootFSLayer(%q) is %t, want %t", mediaType, got, want)
		}
	}
}

func TestCarryLabelsTakesOnlyWhatIsNamed(t *testing.T) {
	labels := map[string]string{"tier": "prod", "big": strings.Repeat("é", 600), "secret": "x", "bad": "a\xffb"}
	got := image.CarryLabels(labels, []string{"tier", "big", "absent", "bad"})
	want := map[string]string{"tier": "prod", "big": strings.Repeat("é", 512), "bad": "ab"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if got := image.CarryLabels(labels, nil); got != nil {
		t.Errorf("without names there are labels: %v", got)
	}
}

func TestCutNeverSplitsACharacter(t *testing.T) {
	for in, want := range map[string]string{"": "", "abc": "abc", "abcdef": "abcd", "abcéé": "abc", "\xff\xff\xff\xff\xff": ""} {
		if got := image.Cut(in, 4); got != want {
			t.Errorf("Cut(%q, 4) is %q, want %q", in, got, want)
		}
	}
}
