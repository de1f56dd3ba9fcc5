package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// percentile is the least of the values that p percent of them do not exceed. Values is sorted; of none it is 0.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// median is the value in the middle; of an even number the mean of the two, and of none it is 0.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// times are measured durations.
type times []time.Duration

func (t times) p(percent float64) time.Duration {
	return percentile(slices.Sorted(slices.Values(t)), percent)
}

// ms writes a duration in milliseconds.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond)) }

// table is what is printed in columns.
type table struct{ rows [][]string }

func (t *table) row(cells ...any) {
	row := make([]string, 0, len(cells))
	for _, c := range cells {
		row = append(row, fmt.Sprint(c))
	}
	t.rows = append(t.rows, row)
}

func (t *table) String() string {
	var s strings.Builder
	w := tabwriter.NewWriter(&s, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range t.rows {
		fmt.Fprintln(w, strings.Join(row, "\t")+"\t")
	}
	_ = w.Flush() // a builder takes everything
	return s.String()
}

// report is what is printed, and what became of the goals.
type report struct {
	out   io.Writer
	goals []goal
}

// goal is one of the measurement's, with what was measured.
type goal struct {
	what, limit, measured string
	met                   bool
}

// say prints a line at once.
func (r *report) say(format string, args ...any) { fmt.Fprintf(r.out, format+"\n", args...) }

// judge notes a goal: to be at most limit, both in the same unit.
func (r *report) judge(what, unit string, limit, measured float64, notes ...any) {
	g := goal{what: what, limit: fmt.Sprintf("at most %g%s", limit, unit), measured: fmt.Sprintf("%.5g%s", measured, unit), met: measured <= limit}
	if math.IsNaN(measured) {
		g.measured = "nothing"
	}
	if len(notes) > 0 {
		g.measured += " (" + fmt.Sprint(notes...) + ")"
	}
	r.goals = append(r.goals, g)
}

// conclude prints all goals, and reports whether each is met.
func (r *report) conclude() bool {
	all := true
	r.say("")
	for _, g := range r.goals {
		word := "met   "
		if !g.met {
			word, all = "MISSED", false
		}
		r.say("%s  %s: goal %s, measured %s", word, g.what, g.limit, g.measured)
	}
	return all
}
