package selector_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/selector"
)

// reference is the contract of a pattern, as a regular expression.
func reference(pattern string) *regexp.Regexp {
	var b strings.Builder
	segments := strings.Split(pattern, "/")
	for i, s := range segments {
		if s == "**" {
			// Any number of segments, each with the slash that parts it from the rest.
			switch {
			case len(segments) == 1:
				b.WriteString(".*")
			case i == 0:
				b.WriteString("(?:[^/]*/)*")
			case i == len(segments)-1:
				b.WriteString("(?:/[^/]*)*")
			default:
				b.WriteString("(?:/[^/]*)*/")
			}
			continue
		}
		if i > 0 && (segments[i-1] != "**" || i == len(segments)) {
			b.WriteString("/")
		}
		for _, c := range s {
			switch c {
			case '*':
				b.WriteString("[^/]*")
			case '?':
				b.WriteString("[^/]")
			default:
				b.WriteString(regexp.QuoteMeta(string(c)))
			}
		}
	}
	return regexp.MustCompile(`^(?s:` + b.String() + `)$`)
}

// A pattern matches what its contract says, for tags and for repositories, and
// answers at once whatever it is.
func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{
		{"v*", "v1"}, {"*-dev", "v1-dev"}, {"?", "x"}, {"**/app", "a/b/app"}, {"team/**", "team"}, {"**/a/**/b", "a/x/b"}, {"a**", "ab"}, {"[a]", "a"},
		{strings.Repeat("*a", 50), strings.Repeat("a", 120)}, {strings.Repeat("**/", 20) + "x", strings.Repeat("a/", 60) + "y"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 512 || len(name) > 256 {
			return // bounds of the API
		}
		start := time.Now()
		defer func() {
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("%q against %q took %v", pattern, name, took)
			}
		}()
		if s, err := selector.Compile(trigger(streams(v1alpha1.ImageStreamSelector{}, pattern))); err == nil && image.ValidTag(name) {
			if got, want := s.Stream("demo", nil, "app", nil).Admit(name), reference(pattern).MatchString(name); got != want {
				t.Errorf("tag %q against %q: %t, want %t", name, pattern, got, want)
			}
		}
		s, err := selector.Compile(trigger(repository("r.example/" + pattern)))
		r, parseErr := image.ParseRepository("r.example/" + name)
		if err != nil || parseErr != nil || twoStars.MatchString(pattern) {
			return
		}
		if got, want := s.MatchesRepository(r), reference(pattern).MatchString(name); got != want {
			t.Errorf("repository %q against %q: %t, want %t", name, pattern, got, want)
		}
	})
}

// twoStars are patterns for which the reference above is too simple.
var twoStars = regexp.MustCompile(`\*\*/\*\*`)
