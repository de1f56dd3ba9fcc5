package oci_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Of an index, the images of the chosen platforms are looked at and no others;
// a platform that is chosen and not there is an error.
func TestWalkSelected(t *testing.T) {
	type outcome struct {
		Images     []string
		Unselected int
		Missing    int
		Says       string
	}
	index := func(t *testing.T, s fixture) oci.Descriptor {
		v8 := onPlatform(s.image(t, "darwin", layerType), "linux", "arm64")
		v8.Platform.Variant = "v8"
		return s.index(t, onPlatform(s.image(t, "linux", layerType), "linux", "amd64"), v8, s.image(t, "windows", layerType))
	}
	missing := func(t *testing.T, s fixture) oci.Descriptor {
		gone := s.put(t, []byte("gone"))
		delete(s, gone.Digest)
		return s.index(t, onPlatform(s.image(t, "linux", layerType), "linux", "amd64"), onPlatform(gone, "linux", "s390x"))
	}
	single := func(t *testing.T, s fixture) oci.Descriptor { return s.image(t, "linux", layerType) }
	attested := func(t *testing.T, s fixture) oci.Descriptor {
		return s.index(t, onPlatform(s.image(t, "linux", layerType), "linux", "amd64"), onPlatform(s.image(t, "linux", intotoType), "unknown", "unknown"))
	}
	// of is an index of images whose configurations do not say what the index says.
	of := func(platforms ...string) func(*testing.T, fixture) oci.Descriptor {
		return func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, s.forPlatforms(t, platforms...)...)
		}
	}
	unplaced := func(platforms ...string) func(*testing.T, fixture) oci.Descriptor {
		return func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, append(s.forPlatforms(t, platforms...), s.image(t, "linux", layerType))...)
		}
	}
	tests := []struct {
		name     string
		root     func(*testing.T, fixture) oci.Descriptor
		selected string
		want     outcome
	}{
		{"all", index, "", outcome{Images: []string{"linux/amd64", "darwin/amd64", "windows/amd64"}}},
		{"one", index, "linux/amd64", outcome{Images: []string{"linux/amd64"}, Unselected: 2}},
		{"a variant by its architecture", index, "linux/arm64", outcome{Images: []string{"darwin/amd64"}, Unselected: 2}},
		{"a variant", index, "linux/arm64/v8", outcome{Images: []string{"darwin/amd64"}, Unselected: 2}},
		{"a later variant, which runs the earlier", index, "linux/arm64/v9", outcome{Images: []string{"darwin/amd64", "windows/amd64"}, Unselected: 1}},
		{"an earlier variant, which does not run the later", of("linux/arm/v7"), "linux/arm/v6", outcome{Says: "platform linux/arm/v6"}},
		{"two names of one platform", of("linux/x86_64", "linux/amd64", "linux/arm64"), "linux/amd64", outcome{Images: []string{"os0/amd64", "os1/amd64"}, Unselected: 1}},
		{"names in other letters", of("Linux/AMD64", "linux/x86-64/v1", "linux/s390x"), "linux/amd64", outcome{Images: []string{"os0/amd64", "os1/amd64"}, Unselected: 1}},
		{"a choice by another name", of("linux/arm64", "linux/amd64"), "linux/aarch64", outcome{Images: []string{"os0/amd64"}, Unselected: 1}},
		{"a name that says a variant", of("linux/armhf", "linux/armel"), "linux/arm/v6", outcome{Images: []string{"os1/amd64"}, Unselected: 1}},
		{"a platform without a system", of("/amd64", "linux/amd64"), "linux/amd64", outcome{Images: []string{"os0/amd64", "os1/amd64"}}},
		{"variants that the host runs, too", of("linux/arm/v5", "linux/arm/v6", "linux/arm/v8"), "linux/arm/v7", outcome{Images: []string{"os0/amd64", "os1/amd64"}, Unselected: 1}},
		{"variants of which the host's own is there", of("linux/arm/v5", "linux/arm/v7"), "linux/arm/v7", outcome{Images: []string{"os1/amd64"}, Unselected: 1}},
		{"an architecture that the host runs, too", of("linux/386", "linux/s390x"), "linux/amd64", outcome{Images: []string{"os0/amd64"}, Unselected: 1}},
		{"the same beside the host's own", of("linux/386", "linux/amd64"), "linux/amd64", outcome{Images: []string{"os1/amd64"}, Unselected: 1}},
		{"the same beside one that asks for a feature", func(t *testing.T, s fixture) oci.Descriptor {
			d := onPlatform(s.image(t, "os1", layerType), "linux", "amd64")
			d.Platform.OSFeatures = "sse"
			return s.index(t, onPlatform(s.image(t, "os0", layerType), "linux", "386"), d)
		}, "linux/amd64", outcome{Images: []string{"os0/amd64", "os1/amd64"}}},
		{"the same beside one that asks for a feature without a name", func(t *testing.T, s fixture) oci.Descriptor {
			d := onPlatform(s.image(t, "os1", layerType), "linux", "amd64")
			d.Platform.OSFeatures = ","
			return s.index(t, onPlatform(s.image(t, "os0", layerType), "linux", "386"), d)
		}, "linux/amd64", outcome{Images: []string{"os0/amd64", "os1/amd64"}}},
		{"the same beside one for a variant that the host may not have", of("linux/386", "linux/amd64/v3"), "linux/amd64", outcome{Images: []string{"os0/amd64", "os1/amd64"}}},
		{"an architecture of 32 bits", of("linux/arm/v7", "linux/amd64"), "linux/arm64", outcome{Images: []string{"os0/amd64"}, Unselected: 1}},
		{"an image without a platform, where there is no other", unplaced("linux/s390x"), "linux/amd64", outcome{Images: []string{"linux/amd64"}, Unselected: 1}},
		{"an image without a platform that is for another, where there is no other", unplaced("linux/s390x", "linux/amd64"), "linux/arm64", outcome{Says: "platform linux/arm64"}},
		{"an image without a platform that could be taken instead", unplaced("linux/x86_64"), "linux/amd64", outcome{Images: []string{"os0/amd64", "linux/amd64"}}},
		{"an attestation that is gone", func(t *testing.T, s fixture) oci.Descriptor {
			gone := s.image(t, "unknown", intotoType)
			delete(s, gone.Digest)
			return s.index(t, onPlatform(s.image(t, "linux", layerType), "linux", "amd64"), onPlatform(gone, "unknown", "unknown"))
		}, "linux/amd64", outcome{Images: []string{"linux/amd64"}, Missing: 1}},
		{"an artefact under the platform that is chosen", func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, onPlatform(s.image(t, "linux", layerType), "linux", "amd64"), onPlatform(s.artefact(t, "application/x-a"), "linux", "arm64"))
		}, "linux/arm64", outcome{Says: "platform linux/arm64"}},
		{"what the image says where the index does not", index, "windows/amd64", outcome{Images: []string{"windows/amd64"}, Unselected: 2}},
		{"two, one of which is not there", index, "linux/amd64,linux/s390x", outcome{Says: "platform linux/s390x"}},
		{"none of those that are there", index, "plan9/amd64", outcome{Says: "platform plan9/amd64"}},
		{"a child that is missing and not chosen", missing, "linux/amd64", outcome{Images: []string{"linux/amd64"}, Unselected: 1}},
		{"a child that is missing and chosen", missing, "linux/s390x", outcome{Says: "it is not there"}},
		{"a single image of that platform", single, "linux/amd64", outcome{Images: []string{"linux/amd64"}}},
		{"a single image of another", single, "linux/arm64", outcome{Says: "platform linux/arm64"}},
		{"an attestation, which has no platform", attested, "linux/amd64", outcome{Images: []string{"linux/amd64"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := fixture{}
			chosen, err := oci.ParseSelection(tt.selected)
			if err != nil {
				t.Fatal(err)
			}
			tree, err := oci.Walk(t.Context(), tt.root(t, s).Digest, chosen, s.read)
			got := outcome{Unselected: len(tree.Unselected), Missing: len(tree.MissingAttachments)}
			for _, i := range tree.Images {
				got.Images = append(got.Images, i.Config.String())
			}
			var e *oci.Error
			if err != nil && (!errors.As(err, &e) || e.Reason != oci.ReasonMissing || !strings.Contains(err.Error(), tt.want.Says) || tt.want.Says == "") {
				t.Fatalf("error is %v, want %q", err, tt.want.Says)
			}
			if err == nil && tt.want.Says != "" {
				t.Errorf("no error; want %q", tt.want.Says)
			}
			tt.want.Says = ""
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("walk (-want +got):\n%s", diff)
			}
		})
	}
}

// forPlatforms puts an image for each platform as an index writes it.
func (s fixture) forPlatforms(t *testing.T, platforms ...string) []oci.Descriptor {
	t.Helper()
	var all []oci.Descriptor
	for i, p := range platforms {
		parts := append(strings.Split(p, "/"), "")
		d := onPlatform(s.image(t, fmt.Sprintf("os%d", i), layerType), parts[0], parts[1])
		d.Platform.Variant = parts[2]
		all = append(all, d)
	}
	return all
}

// What is no list of platforms chooses nothing.
func TestParseSelection(t *testing.T) {
	for in, want := range map[string]string{
		"":                                   "",
		" , ":                                "",
		"linux/amd64":                        "linux/amd64",
		"linux/amd64, linux/arm64/v8":        "linux/amd64,linux/arm64/v8",
		"linux":                              "error",
		"linux/amd64/v8/x":                   "error",
		"Linux/amd64":                        "error",
		"linux/amd64;linux/arm64":            "error",
		"linux/" + strings.Repeat("a b", 99): "error",
	} {
		got, err := oci.ParseSelection(in)
		if text := got.String(); err != nil && want != "error" || err == nil && text != want {
			t.Errorf("%q gives %q, %v; want %q", in, text, err, want)
		}
	}
}
