package layers

import (
	"fmt"
	"hash/maphash"
	"testing"
)

// Names are told apart by themselves and not by their hashes, of which among so many
// some are equal; what is removed is gone, and the others are still there.
func TestManyNames(t *testing.T) {
	n := newNodes(maphash.MakeSeed(), &text{})
	const many = 300_000
	refs := make([]ref, many)
	for i := range many {
		name := fmt.Sprint(i)
		if r := n.find(root, name); r != 0 {
			t.Fatalf("%q is found as %q", name, n.name(r))
		}
		r, err := n.add(root, name)
		if err != nil {
			t.Fatal(err)
		}
		refs[i] = r
	}
	for i := 0; i < many; i += 2 {
		n.remove(refs[i])
	}
	for i := range many {
		want := refs[i]
		if i%2 == 0 {
			want = 0
		}
		if r := n.find(root, fmt.Sprint(i)); r != want {
			t.Fatalf("%d is found as %d, want %d", i, r, want)
		}
	}
}
