package guard

import (
	"cmp"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/pipeline/result"
)

const (
	maxExamples = 5
	maxExample  = 200
	maxSubjects = 100
)

// Gaps collects gaps, one for each rule and subject.
type Gaps struct {
	byKey map[key]*result.Gap
}

type key struct{ rule, subject string }

// Add counts one thing that was not checked, unless its example was already counted.
func (g *Gaps) Add(rule, subject, message, example string) {
	if g.byKey == nil {
		g.byKey = map[key]*result.Gap{}
	}
	k := key{rule, clip(subject)}
	gap := g.byKey[k]
	if gap == nil && len(g.byKey) >= maxSubjects {
		// Merge subjects if there are too many.
		k.subject = ""
		gap = g.byKey[k]
	}
	if gap == nil {
		gap = &result.Gap{Rule: rule, Subject: k.subject, Message: message}
		g.byKey[k] = gap
	}
	gap.Count++
	if example = clip(example); example != "" && len(gap.Examples) < maxExamples && !slices.Contains(gap.Examples, example) {
		gap.Examples = append(gap.Examples, example)
	}
}

// All returns the gaps, sorted.
func (g *Gaps) All() []result.Gap {
	var all []result.Gap
	for _, gap := range g.byKey {
		slices.Sort(gap.Examples)
		all = append(all, *gap)
	}
	Sort(all)
	return all
}

// Sort sorts gaps by rule and subject.
func Sort(all []result.Gap) {
	slices.SortFunc(all, func(a, b result.Gap) int {
		return cmp.Or(strings.Compare(a.Rule, b.Rule), strings.Compare(a.Subject, b.Subject))
	})
}

func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxExample {
		return s
	}
	return strings.ToValidUTF8(s[:maxExample], "") + "..."
}
