package chaos

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// lateAfter is how long a digest may still start after it failed while a controller leads.
const lateAfter = 30 * time.Second

// GateResult is what became of one seed of the play gate.
type GateResult struct {
	// Verdicts and Errors are the runs that ended with and without one.
	Verdicts, Errors int
	Digests          int
	// Kills counts those of each target; LeaderKills those of a controller that led.
	Kills       map[string]int
	LeaderKills int
	// Takeovers counts how often another controller took the lease, and Led is for how long one led.
	Takeovers int
	Led       time.Duration
	// Shards is the division in the end.
	Shards int32
	Tries  *tries
	// Settle is from the last verdict and fault until map and ledger were equal.
	Settle  time.Duration
	Settled bool
	// Refused are digests and tags that did not start in the end, and should.
	Refused []string
	// Differences are those of map and ledger in the end.
	Differences []string
}

// tries are the Pods that were tried, and what the API server said.
type tries struct {
	mu sync.Mutex

	All, Answered, Admitted int
	// Tags counts the answers about tags, and Restarted those soon after the API server was started.
	Tags, Restarted int
	// Failed counts admissions of digests that had failed, Led and Wall are for how long at most.
	Failed    int
	Led, Wall time.Duration
	// Behind counts refusals of digests that had passed, BehindLed and BehindWall are for how long at most.
	Behind                int
	BehindLed, BehindWall time.Duration
	// Wrong are admissions that must never be, and Late those of digests that had failed too long ago.
	Wrong, Late []string
}

// admitted takes an admission.
func (t *tries) admitted(what string, f finding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Admitted++
	if f.wrong != "" {
		t.Wrong = append(t.Wrong, what+" was admitted, and "+f.wrong)
	}
	if f.wall <= 0 {
		return
	}
	t.Failed++
	t.Led, t.Wall = max(t.Led, f.led), max(t.Wall, f.wall)
	if f.led > lateAfter {
		t.Late = append(t.Late, fmt.Sprintf("%s was admitted %.1f s after it failed in entry %s, with a leader for %.1f s",
			what, f.wall.Seconds(), f.by, f.led.Seconds()))
	}
}

// refused takes a refusal of a digest that should have started for so long.
func (t *tries) refused(wall, led time.Duration) {
	if wall <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Behind++
	t.BehindLed, t.BehindWall = max(t.BehindLed, led), max(t.BehindWall, wall)
}

// wrongly takes an admission that was counted before and must not be.
func (t *tries) wrongly(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Wrong = append(t.Wrong, what)
}

// Faults are what is not as promised.
func (r *GateResult) Faults() []string {
	all := slices.Concat(r.Tries.Wrong, r.Tries.Late, r.Refused, r.Differences)
	if !r.Settled {
		all = append(all, fmt.Sprintf("map and ledger were not equal %.0f s after the last fault", r.Settle.Seconds()))
	}
	if r.Tries.Answered == 0 || r.Tries.Admitted == 0 || r.Tries.Admitted == r.Tries.Answered {
		all = append(all, fmt.Sprintf("%d of %d tries were admitted: nothing was put to the test", r.Tries.Admitted, r.Tries.Answered))
	}
	return all
}

// gateReport prints what is wrong with one seed, if anything is.
func gateReport(o Options, r Result) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(o.Out, format+"\n", args...) }
	g := r.Gate
	line("seed %d: %d verdicts, %d errors and %d faults in %.0f s; %d takeovers; %d objects of digests in the end",
		r.Seed, g.Verdicts, g.Errors, r.Faults, r.Took.Seconds(), g.Takeovers, g.Shards)
	line("seed %d: %d times a digest was refused that had passed, %.1f s before at most, with a leader for at most %.1f s",
		r.Seed, g.Tries.Behind, g.Tries.BehindWall.Seconds(), g.Tries.BehindLed.Seconds())
	for _, list := range []struct {
		what  string
		lines []string
	}{
		{"WRONGLY ADMITTED", g.Tries.Wrong}, {"DENIED TOO LATE", g.Tries.Late},
		{"WRONGLY REFUSED", g.Refused}, {"MAP AND LEDGER DIFFER", g.Differences},
	} {
		for i, l := range list.lines {
			if i == mostShown {
				line("seed %d: %s: and %d more", r.Seed, list.what, len(list.lines)-i)
				break
			}
			line("seed %d: %s: %s", r.Seed, list.what, l)
		}
	}
	if !g.Settled {
		line("seed %d: NOT SETTLED after %.0f s", r.Seed, g.Settle.Seconds())
	}
	if r.Failed() {
		line("seed %d: again with: make chaos PLAY=gate PUSHES=%d RATE=%v SEEDS=%d FAULTS=%q; timeline and logs: %s",
			r.Seed, o.Shape.Pushes, o.Shape.Rate, r.Seed, o.Faults, r.Dir)
	}
}

// gateTable prints all seeds.
func gateTable(out io.Writer, results []Result) {
	_, _ = fmt.Fprintln(out, "\nA gate in mode Deny while verdicts turn, and its controllers and the API server are killed.")
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...any) {
		for _, c := range cells {
			_, _ = fmt.Fprintf(t, "%v\t", c)
		}
		_, _ = fmt.Fprintln(t)
	}
	row("seed", "verdicts", "errors", "digests", "controllers killed", "while leading", "API server killed", "led for",
		"tries", "answered", "of tags", "after a restart", "admitted", "wrongly", "after failing", "longest", "led", "too late",
		"wrongly refused", "differences", "settled after")
	for _, r := range results {
		g := r.Gate
		settled := fmt.Sprintf("%.0f s", g.Settle.Seconds())
		if !g.Settled {
			settled = "NOT in " + settled
		}
		seconds := func(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
		row(r.Seed, g.Verdicts, g.Errors, g.Digests,
			g.Kills["controller-1"]+g.Kills["controller-2"], g.LeaderKills, g.Kills["apiserver"],
			fmt.Sprintf("%.0f of %.0f s", g.Led.Seconds(), r.Took.Seconds()),
			g.Tries.All, g.Tries.Answered, g.Tries.Tags, g.Tries.Restarted, g.Tries.Admitted, len(g.Tries.Wrong),
			g.Tries.Failed, seconds(g.Tries.Wall), seconds(g.Tries.Led), len(g.Tries.Late),
			len(g.Refused), len(g.Differences), settled)
	}
	_ = t.Flush() // out has been written to
}
