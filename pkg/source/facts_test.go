package source_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
)

func TestFactsOfChildrenAddUp(t *testing.T) {
	older, newer := metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), metav1.NewTime(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC))
	first := v1alpha1.ImageFacts{Layers: 2, Size: 10, Created: &newer, Platforms: []string{"linux/own"}}
	second := v1alpha1.ImageFacts{Layers: 1, Size: 5, Created: &older, Base: "base:1", Labels: map[string]string{"a": "b"}, Platforms: []string{"linux/own"}}
	type child struct {
		platform *image.Platform
		facts    v1alpha1.ImageFacts
	}
	for _, test := range []struct {
		name     string
		children []child
		want     v1alpha1.ImageFacts
	}{
		{"none", nil, v1alpha1.ImageFacts{}},
		{"two", []child{{&image.Platform{OS: "linux", Architecture: "amd64"}, first}, {&image.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}, second}},
			v1alpha1.ImageFacts{Layers: 3, Size: 15, Created: &newer, Base: "base:1", Labels: map[string]string{"a": "b"}, Platforms: []string{"linux/amd64", "linux/arm64/v8"}}},
		{"BuildKit's attestation", []child{{&image.Platform{OS: "linux", Architecture: "amd64"}, first}, {&image.Platform{OS: "unknown", Architecture: "unknown"}, second}},
			v1alpha1.ImageFacts{Layers: 2, Size: 10, Created: &newer, Platforms: []string{"linux/amd64"}}},
		{"only the architecture is unknown", []child{{&image.Platform{OS: "linux", Architecture: "Unknown"}, second}}, v1alpha1.ImageFacts{}},
		{"no platform in the index", []child{{nil, first}}, v1alpha1.ImageFacts{Layers: 2, Size: 10, Created: &newer, Platforms: []string{"linux/own"}}},
		{"an empty platform in the index", []child{{&image.Platform{}, first}}, v1alpha1.ImageFacts{Layers: 2, Size: 10, Created: &newer, Platforms: []string{"linux/own"}}},
		{"half a platform in the index", []child{{&image.Platform{OS: "linux"}, first}}, v1alpha1.ImageFacts{Layers: 2, Size: 10, Created: &newer}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got v1alpha1.ImageFacts
			for _, c := range test.children {
				source.AddChild(&got, c.platform, c.facts)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFactsAreBounded(t *testing.T) {
	var got v1alpha1.ImageFacts
	for n := range 100 {
		source.AddChild(&got, &image.Platform{OS: "linux", Architecture: fmt.Sprint(n, strings.Repeat("x", 500))}, v1alpha1.ImageFacts{Layers: source.Count(1 << 30), Size: 1 << 62})
	}
	if len(got.Platforms) != 32 || len(got.Platforms[0]) > 128 || got.Layers != 1<<20 || got.Size < 0 {
		t.Errorf("%d platforms of %d bytes, %d layers, %d bytes", len(got.Platforms), len(got.Platforms[0]), got.Layers, got.Size)
	}
	if base := source.Base(nil, map[string]string{"org.opencontainers.image.base.name": strings.Repeat("x", 5000)}); len(base) != 512 {
		t.Errorf("a base of %d bytes", len(base))
	}
}
