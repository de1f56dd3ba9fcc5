package selector

import (
	"fmt"
	"path"
	"strings"
)

// anySegments matches any number of path segments.
const anySegments = "**"

// glob is one compiled pattern.
type glob struct {
	segments []string
}

// newGlob checks a pattern. It refuses [ and \, which are special in path.Match but not here, and
// which no name can contain.
func newGlob(pattern string) (glob, error) {
	if pattern == "" {
		return glob{}, fmt.Errorf("the pattern is empty; write * to match everything")
	}
	if i := strings.IndexAny(pattern, `[]\`); i >= 0 {
		return glob{}, fmt.Errorf("pattern %q has %q at %d; only *, ? and, as a whole path segment, ** are special", pattern, pattern[i], i)
	}
	g := glob{segments: strings.Split(pattern, "/")}
	for _, s := range g.segments {
		if s == "" {
			return glob{}, fmt.Errorf("pattern %q has an empty path segment", pattern)
		}
		if s != anySegments && strings.Contains(s, anySegments) {
			return glob{}, fmt.Errorf("pattern %q has ** beside other characters in %q; ** stands alone between slashes", pattern, s)
		}
	}
	return g, nil
}

// match reports whether the whole of name matches.
func (g glob) match(name string) bool {
	return matchSegments(g.segments, strings.Split(name, "/"))
}

// matchSegments is the usual algorithm with a single backtracking point, the latest **. An earlier
// ** never has to be tried again.
func matchSegments(pattern, name []string) bool {
	p, n := 0, 0
	star, from := -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == anySegments:
			star, from = p, n
			p++
		case p < len(pattern) && matchSegment(pattern[p], name[n]):
			p++
			n++
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == anySegments {
		p++
	}
	return p == len(pattern)
}

// matchSegment uses path.Match, because its * never matches a slash and its running time is bounded
// in the same way. Its only error, a bad pattern, was ruled out before.
func matchSegment(pattern, segment string) bool {
	ok, err := path.Match(pattern, segment)
	return ok && err == nil
}

// matchAny reports whether any of the globs matches.
func matchAny(globs []glob, name string) bool {
	for _, g := range globs {
		if g.match(name) {
			return true
		}
	}
	return false
}

// Names is a pattern for repositories, under the names in the ledger's entries, or for some of
// their tags.
type Names struct {
	repository glob
	tag        *glob // nil: any tags
}

// ParseNames parses repository or repository:tag, both patterns.
func ParseNames(pattern string) (Names, error) {
	repository, tag := pattern, ""
	if i := strings.LastIndexByte(pattern, ':'); i > strings.LastIndexByte(pattern, '/') {
		repository, tag = pattern[:i], pattern[i+1:]
		if tag == "" {
			return Names{}, fmt.Errorf("pattern %q ends with a colon; write a tag after it, or leave it out", pattern)
		}
	}
	var n Names
	var err error
	if n.repository, err = newGlob(repository); err != nil || tag == "" {
		return n, err
	}
	t, err := newGlob(tag)
	if err == nil && (len(t.segments) != 1 || tag == anySegments) {
		err = fmt.Errorf("pattern %q can never match: a tag has no slashes; write * for any characters", tag)
	}
	n.tag = &t
	return n, err
}

// Match reports whether the repository matches and, if the pattern has a tag, whether all tags
// match.
func (n Names) Match(repository string, tags []string) bool {
	if !n.repository.match(repository) {
		return false
	}
	if n.tag == nil {
		return true
	}
	for _, t := range tags {
		if !n.tag.match(t) {
			return false
		}
	}
	return len(tags) > 0
}
