package selector

import (
	"regexp"
	"strings"
)

// expression returns the glob as a regular expression in RE2 syntax, neither anchored nor
// grouped. The whole of a name matches it exactly if the glob matches.
func (g glob) expression() string {
	var b strings.Builder
	part := "" // what stands between the last segment and the next
	for i, s := range g.segments {
		last := i == len(g.segments)-1
		switch {
		case s != anySegments:
			b.WriteString(part)
			writeSegment(&b, s)
			part = "/"
		case i > 0 && g.segments[i-1] == anySegments:
			// It stands for no more than the one before it.
		case i == 0:
			b.WriteString(`(?:[^/:@]*/)*`)
			part = ""
		default:
			b.WriteString(`(?:/[^/:@]*)*`)
		}
		if last && s == anySegments && part == "" {
			b.WriteString(`[^/:@]*`)
		}
	}
	return b.String()
}

func writeSegment(b *strings.Builder, segment string) {
	for _, c := range segment {
		switch c {
		case '*':
			b.WriteString(`[^/:@]*`)
		case '?':
			b.WriteString(`[^/:@]`)
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
}

// Expressions returns the patterns as regular expressions in RE2 syntax, which the whole of a
// repository and the whole of a tag have to match. Tag is empty if any tags match. No wildcard
// stands for a colon or an @, so that the expressions may be parts of one for a reference.
func (n Names) Expressions() (repository, tag string) {
	if n.tag != nil {
		tag = n.tag.expression()
	}
	return n.repository.expression(), tag
}
