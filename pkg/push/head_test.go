package push

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHead(t *testing.T) {
	type pushed struct {
		Moment
		digest string
	}
	for _, test := range []struct {
		name   string
		pushes []pushed
		want   []string
	}{
		{"no push", nil, nil},
		{"the later push counts", []pushed{{Moment{PushedAt: 1}, "a"}, {Moment{PushedAt: 2}, "b"}}, []string{"b"}},
		{"pushes of one second have no order", []pushed{{Moment{PushedAt: 2}, "b"}, {Moment{PushedAt: 2}, "a"}, {Moment{PushedAt: 1}, "c"}}, []string{"a", "b"}},
		{"a later push ends a tie", []pushed{{Moment{PushedAt: 2}, "b"}, {Moment{PushedAt: 2}, "a"}, {Moment{PushedAt: 3}, "c"}}, []string{"c"}},
		{"a sequence outweighs the time", []pushed{{Moment{PushedAt: 9, Sequence: 1}, "a"}, {Moment{PushedAt: 1, Sequence: 2}, "b"}}, []string{"b"}},
		{"one sequence twice has no order", []pushed{{Moment{PushedAt: 9, Sequence: 1}, "b"}, {Moment{PushedAt: 1, Sequence: 1}, "a"}}, []string{"a", "b"}},
		{"the same push twice", []pushed{{Moment{PushedAt: 1}, "a"}, {Moment{PushedAt: 1}, "a"}}, []string{"a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 { // the order of arrival does not matter
				var h Head
				for _, p := range test.pushes {
					h = h.Raised(p.Moment, p.digest)
				}
				if diff := cmp.Diff(test.want, h.All()); diff != "" {
					t.Errorf("head (-want +got):\n%s", diff)
				}
				slices.Reverse(test.pushes)
			}
		})
	}
}
