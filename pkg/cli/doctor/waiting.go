package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

const (
	// stuckAfter is how long an entry may wait, or Revet look for its run, before that
	// needs an explanation.
	stuckAfter = 10 * time.Minute
	// mostReasons bounds how many reasons for waiting are reported.
	mostReasons = 5
)

// stuck are the entries that wait too long for one reason.
type stuck struct {
	reason string
	count  int
	oldest *v1alpha1.ImageVerification
	since  time.Time
}

// waiting reports the entries that wait for their run for too long, by reason.
func (d *doctor) waiting(entries []v1alpha1.ImageVerification) []Finding {
	const check = "waiting"
	limit := command.Ago(d.now.Add(-stuckAfter), d.now)
	waits, groups := d.stuck(entries)
	if len(groups) == 0 {
		return []Finding{ok(check, "%d of %d entries wait for their run, none longer than %s", waits, len(entries), limit)}
	}
	var findings []Finding
	for _, g := range groups[:min(len(groups), mostReasons)] {
		explain := fmt.Sprintf("kubectl revet explain %s -n %s", g.oldest.Name, g.oldest.Namespace)
		findings = append(findings, problem(check, cmp.Or(command.CureOf(g.reason, g.oldest.Status.Message), explain),
			"%s longer than %s; %s for %s: %s: %s", entriesWait(g.count), limit,
			g.oldest.Name, command.Ago(g.since, d.now), cmp.Or(g.reason, "no reason is recorded"), g.oldest.Status.Message))
	}
	if more := len(groups) - mostReasons; more > 0 {
		findings = append(findings, problem(check, "kubectl revet get --phase Pending,Requested -o wide", "entries wait for %d more reasons", more))
	}
	return findings
}

func entriesWait(n int) string {
	if n == 1 {
		return "1 entry waits for its run"
	}
	return fmt.Sprintf("%d entries wait for their runs", n)
}

// stuck counts the entries that wait, and groups those that wait too long by reason, the
// largest group first.
func (d *doctor) stuck(entries []v1alpha1.ImageVerification) (waits int, groups []*stuck) {
	byReason := map[string]*stuck{}
	for i := range entries {
		e := &entries[i]
		at, waiting := waitsSince(e)
		if !waiting {
			continue
		}
		waits++
		if d.now.Sub(at) < stuckAfter {
			continue
		}
		g := byReason[e.Status.Reason]
		if g == nil {
			g = &stuck{reason: e.Status.Reason}
			byReason[e.Status.Reason] = g
			groups = append(groups, g)
		}
		g.count++
		if g.oldest == nil || at.Before(g.since) {
			g.oldest, g.since = e, at
		}
	}
	slices.SortStableFunc(groups, func(a, b *stuck) int { return cmp.Or(cmp.Compare(b.count, a.count), a.since.Compare(b.since)) })
	return waits, groups
}

// waitsSince returns since when an entry waits for its run.
func waitsSince(e *v1alpha1.ImageVerification) (time.Time, bool) {
	switch e.Phase() {
	case v1alpha1.PhasePending:
		if push := lifecycle.Undecided(e); push != nil {
			return push.ObservedAt.Time, true
		}
		return e.CreationTimestamp.Time, true
	case v1alpha1.PhaseRequested:
		if run := e.Status.CurrentRun(); run != nil {
			return run.RequestedAt.Time, true
		}
		return e.CreationTimestamp.Time, true
	default:
		return time.Time{}, false
	}
}
