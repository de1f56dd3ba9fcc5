package layers_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Links lead no deeper than Linux opens: the paths of a tree that is 2,000 directories
// deep for each of them would fill the memory.
func TestOpenBoundsDepth(t *testing.T) {
	deep := strings.Repeat("d/", 1500)
	from, img := imageOf(t, []entry{
		{name: deep + "a", text: "1"},
		{name: "l", symbolic: deep},
		{name: "l/" + deep + "b", text: "2"},
		{name: "m", symbolic: "l/" + deep},
		{name: "m/" + deep + "c", text: "3"},
		{name: "l/d/e", text: "4"},
	})
	tree, err := layers.Open(t.Context(), from, img, layers.Limits{}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if diff := cmp.Diff(kinds(layers.EntryName, layers.EntryName), kindsOf(tree.Ambiguities())); diff != "" {
		t.Errorf("something else is ambiguous (-want +got):\n%s", diff)
	}
	var files []string
	longest := 0
	err = tree.Walk(func(e *layers.Entry) error {
		if e.Type == layers.File {
			files = append(files, strings.TrimPrefix(e.Path, deep))
		}
		longest = max(longest, len(e.Path))
		return nil
	})
	if diff := cmp.Diff([]string{"a", "d/e"}, files); err != nil || diff != "" || longest > 4000+255 {
		t.Errorf("the longest path has %d bytes, error %v; files (-want +got):\n%s", longest, err, diff)
	}
}

// The paths of all entries together are bounded: each is short where a link leads deep,
// and one entry implies many directories.
func TestOpenBoundsPaths(t *testing.T) {
	deep := strings.Repeat(strings.Repeat("d", 249)+"/", 15)
	linked, implied := []entry{{name: deep}, {name: "l", symbolic: deep}}, []entry{}
	for i := range 512<<20/len(deep) + 1 {
		linked = append(linked, entry{name: fmt.Sprintf("l/%d", i)})
	}
	for i := range 512<<20/(1900*1900) + 1 {
		implied = append(implied, entry{name: fmt.Sprintf("%d/%sa", i, strings.Repeat("d/", 1900))})
	}
	for name, entries := range map[string][]entry{"linked": linked, "implied": implied} {
		from, img := imageOf(t, entries)
		_, err := layers.Check(t.Context(), from, img, layers.Limits{})
		var e *oci.Error
		if !errors.As(err, &e) || e.Reason != oci.ReasonTooLarge || !strings.Contains(err.Error(), "bytes of paths") {
			t.Errorf("%s: error is %v, want one of too many bytes of paths", name, err)
		}
	}
}
