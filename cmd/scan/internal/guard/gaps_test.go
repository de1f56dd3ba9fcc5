package guard_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/cmd/scan/internal/guard"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// Gaps are counted and a few examples named, however many an image makes, and whatever
// bytes its names are of.
func TestGapsAreBounded(t *testing.T) {
	var g guard.Gaps
	for i := range 1000 {
		g.Add(result.RuleUnreadFiles, "npm", "broken; repair it", fmt.Sprintf("%03d", i))
	}
	g.Add(result.RuleNoPackages, "", "none; add some", "\xe4"+strings.Repeat("x", 300))
	want := []result.Gap{
		{Rule: result.RuleNoPackages, Message: "none; add some", Count: 1, Examples: []string{"\uFFFD" + strings.Repeat("x", 197) + "..."}},
		{Rule: result.RuleUnreadFiles, Subject: "npm", Message: "broken; repair it", Count: 1000, Examples: []string{"000", "001", "002", "003", "004"}},
	}
	if diff := cmp.Diff(want, g.All()); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	for i := range 1000 {
		g.Add(result.RuleUncoveredPackages, fmt.Sprint(i), "no records; mirror some", "x")
	}
	total := 0
	for _, gap := range g.All() {
		total += gap.Count
	}
	if n := len(g.All()); n > 110 || total != 2001 {
		t.Errorf("%d gaps of %d things, want at most 110 of 2001", n, total)
	}
}
