//go:build linux

package tenants

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is what one thing took that was measured in a case.
type row struct {
	Hazard, What    string
	Alone, Attacked times
	// Within bounds each time under attack. Without it the median is bounded, by twice the
	// median alone.
	Within time.Duration
}

// median is that of what was not missed, or 0.
func (t times) median() time.Duration {
	if len(t.Took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t.Took))
	return sorted[len(sorted)/2]
}

func (t times) most() time.Duration {
	if len(t.Took) == 0 {
		return 0
	}
	return slices.Max(t.Took)
}

// String is median / most, and what was missed.
func (t times) String() string {
	s := "-"
	if len(t.Took) > 0 {
		s = milliseconds(t.median()) + " / " + milliseconds(t.most())
	}
	if t.Missed > 0 {
		s += fmt.Sprintf(", %d missed", t.Missed)
	}
	return s
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.0f ms", float64(d.Microseconds())/1000)
}

// bound says what was allowed under attack.
func (r row) bound() string {
	if r.Within > 0 {
		return "each " + milliseconds(r.Within)
	}
	return fmt.Sprintf("median %s", milliseconds(timesAlone*r.Alone.median()))
}

// kept reports whether it took no more than was allowed, and nothing was missed.
func (r row) kept() bool {
	switch {
	case r.Attacked.Missed > 0 || len(r.Attacked.Took) == 0 || r.Alone.Missed > 0 || len(r.Alone.Took) == 0:
		return false
	case r.Within > 0:
		return r.Attacked.most() <= r.Within
	default:
		return r.Attacked.median() <= timesAlone*r.Alone.median()
	}
}

// ratio is that of the medians.
func (r row) ratio() string {
	if len(r.Alone.Took) == 0 || len(r.Attacked.Took) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(r.Attacked.median())/float64(r.Alone.median()))
}

func (r row) verdict() string {
	if r.kept() {
		return "kept"
	}
	return "MISSED"
}

func (r row) cells() []string {
	return []string{r.Hazard, r.What, r.Alone.String(), r.Attacked.String(), r.ratio(), r.bound(), r.verdict()}
}

func (r row) String() string { return strings.Join(r.cells()[1:], "; ") }

// table prints all rows, and reports whether all bounds were kept.
func table(out io.Writer, all []row) bool {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\ncase\tmeasured\talone (median / most)\tunder attack\tratio\tbound\tverdict")
	kept := true
	for _, r := range all {
		_, _ = fmt.Fprintln(w, strings.Join(r.cells(), "\t"))
		kept = kept && r.kept()
	}
	_ = w.Flush() // out is the terminal's
	return kept
}
