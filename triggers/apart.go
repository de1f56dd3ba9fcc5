package triggers

import "regexp"

// marked are lines of the manifests that are there in one form of the pipeline only. They are
// written as comments: the mark stands where the line begins.
var (
	apartLine = regexp.MustCompile(`(?m)^( *)#apart `)
	groupLine = regexp.MustCompile(`(?m)^( *)#group `)
)

// Apart returns manifests of this folder in the form in which publishing is a Pod of its own, with
// an account and a volume. It reports whether they had lines of that form.
func Apart(manifests []byte) ([]byte, bool) { return unmark(manifests, apartLine) }

// Group returns manifests of this folder with a group that may write to volumes of root. It reports
// whether they had such a line.
func Group(manifests []byte) ([]byte, bool) { return unmark(manifests, groupLine) }

func unmark(manifests []byte, mark *regexp.Regexp) ([]byte, bool) {
	return mark.ReplaceAll(manifests, []byte("$1")), mark.Match(manifests)
}
