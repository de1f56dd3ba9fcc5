package layers_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
)

// Whatever the layers are: this is what there is to see of them, and these are the
// kinds of what is seen differently.
func TestOpen(t *testing.T) {
	for _, test := range []struct {
		name   string
		layers [][]entry
		want   map[string]string
		kinds  []layers.Kind
	}{
		{name: "the upper layer's file counts", layers: [][]entry{{{name: "a", text: "1"}, {name: "b", text: "1"}}, {{name: "a", text: "2"}}},
			want: map[string]string{"/": "", "a": "2", "b": "1"}},
		{name: "a whiteout", layers: [][]entry{{{name: "d/"}, {name: "d/a", text: "1"}, {name: "d/b", text: "1"}}, {{name: "d/.wh.a"}}},
			want: map[string]string{"/": "", "d/": "", "d/b": "1"}},
		{name: "a whiteout of a directory", layers: [][]entry{{{name: "d/"}, {name: "d/e/"}, {name: "d/e/a", text: "1"}, {name: "x", text: "1"}}, {{name: ".wh.d"}}},
			want: map[string]string{"/": "", "x": "1"}},
		{name: "an opaque root", layers: [][]entry{{{name: "a", text: "1"}}, {{name: ".wh..wh..opq"}, {name: "b", text: "2"}}},
			want: map[string]string{"/": "", "a": "1", "b": "2"}, kinds: []layers.Kind{layers.OpaqueRoot}},
		{name: "a whiteout and its directory in one layer", layers: [][]entry{{{name: "var/"}, {name: "var/a", text: "1"}}, {{name: ".wh.var"}, {name: "var/"}}},
			want: map[string]string{"/": "", "var/": "", "var/a": "1"}, kinds: []layers.Kind{layers.WhiteoutAndEntry}},
	} {
		t.Run(test.name, func(t *testing.T) { open(t, test.want, test.kinds, test.layers...) })
	}
}

func open(t *testing.T, want map[string]string, kinds []layers.Kind, all ...[]entry) {
	t.Helper()
	from, img := imageOf(t, all...)
	tree, err := layers.Open(t.Context(), from, img, layers.Limits{}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if diff := cmp.Diff(want, show(t, tree)); diff != "" {
		t.Errorf("it shows something else (-want +got):\n%s", diff)
	}
	var got []layers.Kind
	for _, a := range tree.Ambiguities() {
		got = append(got, a.Kind)
	}
	if diff := cmp.Diff(kinds, got); diff != "" {
		t.Errorf("something else is ambiguous (-want +got):\n%s\n%v", diff, tree.Ambiguities())
	}
	checked, err := layers.Check(t.Context(), from, img, layers.Limits{})
	if diff := cmp.Diff(tree.Ambiguities(), checked, cmp.Comparer(func(a, b image.Digest) bool { return a == b })); err != nil || diff != "" {
		t.Errorf("Check finds something else (-Open +Check), error %v:\n%s", err, diff)
	}
}
