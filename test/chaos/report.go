package chaos

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

const mostShown = 20

// report prints what is wrong with one seed, if anything is.
func report(o Options, r Result) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(o.Out, format+"\n", args...) }
	line("seed %d: %d pushes and %d faults in %.0f s; entries: %v", r.Seed, r.Revet.Pushes, r.Faults, r.Took.Seconds(), states(r.Revet))
	if !r.Settled {
		line("seed %d: NOT SETTLED after %.0f s", r.Seed, r.Settle.Seconds())
	}
	for _, list := range []struct {
		what  string
		lines []string
	}{
		{"LOST by revet", r.Revet.Lost}, {"DOUBLED by revet", r.Revet.Doubled}, {"UNSETTLED", r.Revet.Unsettled}, {"THE HARNESS IS AT FAULT", r.Revet.Unshown},
		{"lost by the direct EventListener", r.Plain.Lost}, {"doubled by the direct EventListener", r.Plain.Doubled},
	} {
		for i, l := range list.lines {
			if i == mostShown {
				line("seed %d: %s: and %d more", r.Seed, list.what, len(list.lines)-i)
				break
			}
			line("seed %d: %s: %s", r.Seed, list.what, l)
		}
	}
	if r.Coverage != "" {
		line("seed %d: kubectl revet coverage says:\n%s", r.Seed, r.Coverage)
	}
	if r.Tenant != "" {
		line("seed %d: %s", r.Seed, r.Tenant)
	}
	troubleTable(o.Out, r.Seed, r.Troubles)
	if r.Failed() {
		line("seed %d: again with: make chaos PUSHES=%d SEEDS=%d FAULTS=%q PLAY=%s; timeline and logs: %s", r.Seed, o.Shape.Pushes, r.Seed, o.Faults, o.Play, r.Dir)
	}
}

func states(a Account) []string {
	var all []string
	for _, state := range slices.Sorted(maps.Keys(a.States)) {
		all = append(all, fmt.Sprintf("%d %s", a.States[state], state))
	}
	return all
}

// table prints all seeds, both ways side by side.
func table(out io.Writer, results []Result) {
	_, _ = fmt.Fprintln(out, "\nRevet and the direct EventListener, under the same pushes and faults at the same time. A stand-in completed the runs.")
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...any) {
		for _, c := range cells {
			_, _ = fmt.Fprintf(t, "%v\t", c)
		}
		_, _ = fmt.Fprintln(t)
	}
	row("seed", "way", "pushes", "faults", "shown", "digests", "covered", "lost", "doubled", "runs", "repeats", "by sweeps", "runs/s", "settled after")
	for _, r := range results {
		settled := fmt.Sprintf("%.0f s", r.Settle.Seconds())
		if !r.Settled {
			settled = "NOT in " + settled
		}
		a, p := r.Revet, r.Plain
		row(r.Seed, "revet", a.Pushes, r.Faults, a.Shown, a.Digests, a.Covered, len(a.Lost), len(a.Doubled), a.Runs, a.Repeats, a.Recovered, fmt.Sprintf("%.1f", r.RevetRate), settled)
		row(r.Seed, "plain", p.Pushes, r.Faults, p.Shown, p.Digests, p.Covered, len(p.Lost), len(p.Doubled), p.Runs, "-", "-", fmt.Sprintf("%.1f", r.PlainRate), "-")
	}
	_ = t.Flush() // out has been written to
}
