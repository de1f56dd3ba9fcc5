package selector

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// The expression of a pattern matches what the pattern does.
func TestExpressionsMatchAsPatternsDo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	words := func(most int, from ...string) string {
		all := make([]string, 1+r.IntN(most))
		for i := range all {
			all[i] = from[r.IntN(len(from))]
		}
		return strings.Join(all, "/")
	}
	matched := 0
	for range 3000 {
		pattern := words(4, "a", "b", "*", "**", "a*", "*b", "?", "a.b", "a?*")
		g, err := newGlob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		e := regexp.MustCompile("^(?:" + g.expression() + ")$")
		for range 20 {
			name := words(5, "a", "b", "ab", "axb", "a.b", "aab")
			want := g.match(name)
			if want {
				matched++
			}
			if got := e.MatchString(name); got != want {
				t.Fatalf("%s matches %s: %t, and %s does: %t", pattern, name, want, e, got)
			}
		}
	}
	if matched < 3000 {
		t.Errorf("only %d matched: the test compares too little", matched)
	}
}

func TestExpressionsAreParts(t *testing.T) {
	n, err := ParseNames("team/a*:v?")
	if err != nil {
		t.Fatal(err)
	}
	if repository, tag := n.Expressions(); repository != `team/a[^/:@]*` || tag != `v[^/:@]` {
		t.Errorf("got %s and %s", repository, tag)
	}
	n, err = ParseNames("team/**")
	if err != nil {
		t.Fatal(err)
	}
	if repository, tag := n.Expressions(); repository != `team(?:/[^/:@]*)*` || tag != "" {
		t.Errorf("got %s and %q", repository, tag)
	}
}
