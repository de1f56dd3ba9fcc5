package source_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
)

// Property: as many children are listed as there is room for, the others are counted, and a
// platform that does not fit is not cut to another one, nor read as another.
func TestListChild(t *testing.T) {
	d, err := image.ParseDigest("sha256:" + strings.Repeat("a", 64))
	if err != nil {
		t.Fatal(err)
	}
	var facts v1alpha1.ImageFacts
	for _, p := range []*image.Platform{
		{OS: "linux", Architecture: "arm", Variant: "v7"}, nil, {OS: "linux"}, {OS: "linux", Architecture: strings.Repeat("b", 59)},
		{OS: "linux", Architecture: strings.Repeat("b", 58)}, {OS: "linux/amd64", Architecture: "v1"}, {OS: "linux", Architecture: "arm/v7"},
	} {
		source.ListChild(&facts, d, p)
	}
	var platforms []string
	for _, c := range facts.Children {
		platforms = append(platforms, c.Platform)
	}
	if diff := cmp.Diff([]string{"linux/arm/v7", "", "", "", "linux/" + strings.Repeat("b", 58), "", ""}, platforms); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	for range 58 {
		source.ListChild(&facts, d, nil)
	}
	if len(facts.Children) != 64 || facts.ChildrenOmitted != 1 {
		t.Errorf("%d children and %d omitted, want 64 and 1", len(facts.Children), facts.ChildrenOmitted)
	}
}
