package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

const (
	// latestEnds bounds how many ends of runs are compared: one of each entry, the
	// newest first.
	latestEnds = 20
	// again is how many of these make a cause one that recurs.
	again = 3
	// recent is how many ends without a cause show that the cause is gone.
	recent = 5
)

// end is how an entry ended, as far as it did.
type end struct {
	entry *v1alpha1.ImageVerification
	at    time.Time
	// cause is the zero value for a verdict, and for a push that was skipped.
	cause   cause
	message string
}

// cause is what runs without a verdict have in common.
type cause struct{ reason, stepError string }

func (c cause) String() string { return strings.Trim(c.reason+", "+c.stepError, ", ") }

// recurring are the ends that share a cause.
type recurring struct {
	cause       cause
	count       int
	newest      end
	first, last time.Time
}

// errors reports the causes that ended runs without a verdict again and again, and the
// other entries in Error.
func (d *doctor) errors(t *v1alpha1.ImageTrigger, entries []v1alpha1.ImageVerification) []Finding {
	const check = "errors"
	replay := fmt.Sprintf("kubectl revet replay --error --trigger %s -n %s", t.Name, t.Namespace)
	ends := newestEnds(entries)
	var findings []Finding
	reported := map[cause]bool{}
	for _, r := range recur(ends) {
		reported[r.cause] = true
		cure := cmp.Or(command.CureOf(r.cause.reason, r.newest.message), "fix what the message names")
		findings = append(findings, problem(check, cure+"; afterwards: "+replay, "%s; for example %s: %s", r.summary(len(ends)), r.newest.entry.Name, r.newest.message))
	}
	var newest *v1alpha1.ImageVerification
	others := 0
	for i := range entries {
		e := &entries[i]
		if ended, _ := endOf(e); e.Phase() != v1alpha1.PhaseError || reported[ended.cause] {
			continue
		}
		others++
		if newest == nil {
			newest = e
		}
	}
	if newest == nil {
		return findings
	}
	return append(findings, warn(check, "fix the cause, then: "+replay,
		"%s in Error; the newest, %s: %s: %s", entriesEnded(others), newest.Name, newest.Status.Reason, newest.Status.Message))
}

// summary says how often and when the cause ended one of the latest runs.
func (r recurring) summary(latest int) string {
	first, last := r.first.UTC().Format(command.SecondLayout), r.last.UTC().Format(command.SecondLayout)
	if r.count == 1 {
		return fmt.Sprintf("the only run ended in Error (%s) at %s", r.cause, last)
	}
	return fmt.Sprintf("%d of the latest %d runs ended in Error (%s), between %s and %s", r.count, latest, r.cause, first, last)
}

func entriesEnded(n int) string {
	if n == 1 {
		return "1 entry ended"
	}
	return fmt.Sprintf("%d entries ended", n)
}

// newestEnds returns the latest ends, newest first.
func newestEnds(entries []v1alpha1.ImageVerification) []end {
	var ends []end
	for i := range entries {
		if e, ended := endOf(&entries[i]); ended {
			ends = append(ends, e)
		}
	}
	slices.SortStableFunc(ends, func(a, b end) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.entry.Name, b.entry.Name)) })
	return ends[:min(len(ends), latestEnds)]
}

// endOf returns how the latest run of an entry that ended did, or how the entry ended
// in Error without such a run.
func endOf(e *v1alpha1.ImageVerification) (end, bool) {
	for _, r := range slices.Backward(e.Status.Runs) {
		if r.Outcome == "" {
			continue
		}
		ended := end{entry: e, at: r.RequestedAt.Time, message: cmp.Or(r.Message, e.Status.Message)}
		if r.FinishedAt != nil {
			ended.at = r.FinishedAt.Time
		}
		// That there is no image to verify is an answer.
		if r.Outcome == v1alpha1.OutcomeError && r.Reason != string(lifecycle.NotAnImage) {
			ended.cause = causeOf(r.Reason, r.Message)
		}
		return ended, true
	}
	if e.Phase() != v1alpha1.PhaseError {
		return end{}, false
	}
	return end{entry: e, at: command.LastPushed(e), cause: causeOf(e.Status.Reason, e.Status.Message), message: e.Status.Message}, true
}

func causeOf(reason, message string) cause {
	if reason == "" {
		reason = string(lifecycle.Unknown)
	}
	return cause{reason: reason, stepError: command.StepError(message)}
}

// recur returns the causes that recur, the most frequent first. A cause recurs if it
// ended several of the latest runs, or all of them, and some of the very latest.
func recur(ends []end) []recurring {
	var all []*recurring
	for i, e := range ends {
		if e.cause == (cause{}) {
			continue
		}
		at := slices.IndexFunc(all, func(r *recurring) bool { return r.cause == e.cause })
		if at < 0 {
			if i >= recent {
				continue // five newer runs ended otherwise: the cause is gone
			}
			at = len(all)
			all = append(all, &recurring{cause: e.cause, newest: e, last: e.at})
		}
		all[at].count++
		all[at].first = e.at
	}
	var found []recurring
	for _, r := range all {
		if r.count >= again || r.count == len(ends) {
			found = append(found, *r)
		}
	}
	slices.SortStableFunc(found, func(a, b recurring) int { return cmp.Compare(b.count, a.count) })
	return found
}
