package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// CauseRule is everything that differs between the causes of a run. To add a cause, add a
// row to causes, and a constant and a value of the enum to v1alpha1.CauseType; then run make
// generate. A new class stands in queue.go, and in the order that doc.go tells.
type CauseRule struct {
	Type v1alpha1.CauseType
	// KeyPrefix narrows the row to causes whose key begins with it.
	KeyPrefix string
	// Class orders the queue of a trigger: entries of a lower class run first.
	Class int
	// Filtered: the trigger's filter, and the check that the digest is an image,
	// can end the pushes without a run.
	Filtered bool
	// Supersedable: newer pushes of the same tags can replace the run, where the
	// trigger says superseded: Skip.
	Supersedable bool
	// FireFirst: the first run may be fired before it is recorded. The entry's
	// creation is then the record of the intent.
	FireFirst bool
	// ReadsImage: the image's facts are read before each run. Otherwise they are
	// read only if no earlier run left them in the status.
	ReadsImage bool
	// AnswersPush: the time from a push to the run is worth a metric.
	AnswersPush bool
	// EventTrigger is the value of trigger.type in CDEvents.
	EventTrigger string

	// owed decides for an entry without a current run that needs one for this cause. It
	// returns false if the entry needs none now; After then says when it will if nothing
	// happens before, and 0 never.
	owed func(*v1alpha1.ImageVerification, Facts, time.Time) (Decision, bool)
	// rank orders entries of one class.
	rank func(*v1alpha1.ImageVerification, []Head) Rank
}

// Causes is the table of causes. An entry that is owed several runs gets the one of the
// first row first; Class orders different entries.
func Causes() []CauseRule {
	return []CauseRule{
		{
			Type: v1alpha1.CauseVanished, Class: classPush, EventTrigger: "event",
			owed: owedVanished, rank: rankFirstPush,
		},
		{
			Type: v1alpha1.CauseRecreated, Class: classPush, EventTrigger: "event",
			Filtered: true, Supersedable: true, FireFirst: true, ReadsImage: true,
			owed: owedRecreated, rank: rankPush,
		},
		{
			Type: v1alpha1.CausePush, Class: classPush, EventTrigger: "event",
			Filtered: true, Supersedable: true, FireFirst: true, ReadsImage: true, AnswersPush: true,
			owed: owedPush, rank: rankPush,
		},
		{
			Type: v1alpha1.CauseManual, Class: classManual, EventTrigger: "manual",
			ReadsImage: true,
			owed:       owedManual, rank: rankFirstPush,
		},
		{
			Type: v1alpha1.CauseRetry, Class: classRetry, EventTrigger: "event",
			owed: owedRetry, rank: rankRetry,
		},
		{
			Type: v1alpha1.CauseManual, KeyPrefix: RenewalPrefix, Class: classRenewal, EventTrigger: "manual",
			ReadsImage: true,
			owed:       owedRenewal, rank: rankFirstPush,
		},
	}
}

// RenewalPrefix begins the id of a request that asks for a verdict where none was kept. It
// is a manual request to every version, but its run goes after all others, and it needs
// none once the entry has a verdict. No id that the command line makes for a person begins
// so, whatever the person is called.
const RenewalPrefix = "renewal/"

// unknownCause is the rule of a type that is not in the table, which is a bug: it
// goes last, and nothing ends it without a run.
var unknownCause = CauseRule{
	Class: classUnknown, ReadsImage: true, EventTrigger: "other",
	rank: func(*v1alpha1.ImageVerification, []Head) Rank { return Rank{} },
}

// RuleOf returns the rule of a cause: of its type, the row with the longest prefix.
func RuleOf(cause v1alpha1.Cause) CauseRule {
	best, found := unknownCause, false
	for _, c := range Causes() {
		if c.Type != cause.Type || !strings.HasPrefix(cause.Key, c.KeyPrefix) {
			continue
		}
		if !found || len(c.KeyPrefix) > len(best.KeyPrefix) {
			best, found = c, true
		}
	}
	return best
}

// firstOwed decides for an entry without a current run: for the first row by which it is owed
// one, or that it is idle until a row may owe it one.
func firstOwed(rows []CauseRule, e *v1alpha1.ImageVerification, f Facts, now time.Time) Decision {
	idle := Decision{Action: Idle, Reason: Reason(e.Status.Reason)}
	for _, row := range rows {
		d, needed := row.owed(e, f, now)
		if needed {
			return d
		}
		if d.After > 0 && (idle.After == 0 || d.After < idle.After) {
			idle.After = d.After
		}
	}
	return idle
}

// owedVanished: the PipelineRun of the latest run was deleted before its outcome was recorded.
func owedVanished(e *v1alpha1.ImageVerification, f Facts, now time.Time) (Decision, bool) {
	last := e.Status.LatestRun()
	if last == nil || !ended(last, Vanished) || e.Status.Phase == v1alpha1.PhaseSkipped {
		return Decision{}, false
	}
	return start(e, v1alpha1.Cause{Type: v1alpha1.CauseVanished, Key: last.Name}, f, now), true
}

// owedRecreated: somebody deleted the entry, and its push was recorded again.
func owedRecreated(e *v1alpha1.ImageVerification, f Facts, now time.Time) (Decision, bool) {
	push := Undecided(e)
	if push == nil || f.RecreatedFrom == "" || e.Status.RunCount > 0 {
		return Decision{}, false
	}
	return decidePush(e, push, v1alpha1.Cause{Type: v1alpha1.CauseRecreated, Key: f.RecreatedFrom}, f, now), true
}

// owedPush: a push is undecided.
func owedPush(e *v1alpha1.ImageVerification, f Facts, now time.Time) (Decision, bool) {
	push := Undecided(e)
	if push == nil {
		return Decision{}, false
	}
	return decidePush(e, push, pushCause(push.PushRecord), f, now), true
}

// owedManual: somebody asked for a run.
func owedManual(e *v1alpha1.ImageVerification, f Facts, now time.Time) (Decision, bool) {
	cause, open := request(e, false)
	if !open {
		return Decision{}, false
	}
	return start(e, cause, f, now), true
}

// owedRenewal: somebody asked for the verdict that an entry lacks.
func owedRenewal(e *v1alpha1.ImageVerification, f Facts, now time.Time) (Decision, bool) {
	cause, open := request(e, true)
	switch v := e.Status.Verdict; {
	case !open:
		return Decision{}, false
	case v != nil:
		return Decision{Action: Covered, Reason: VerdictReason(v), Cause: cause, Run: v.Number}, true
	default:
		return start(e, cause, f, now), true
	}
}

// request returns the cause of the first request without a run, of those that are renewals
// or of the others.
func request(e *v1alpha1.ImageVerification, renewal bool) (v1alpha1.Cause, bool) {
	for _, id := range e.Spec.Requests {
		cause := v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: id}
		if id != "" && !slices.Contains(e.Status.HandledRequests, id) && Renewal(cause) == renewal {
			return cause, true
		}
	}
	return v1alpha1.Cause{}, false
}

// RenewalAsked reports whether an entry has such a request that is not answered.
func RenewalAsked(e *v1alpha1.ImageVerification) bool {
	_, open := request(e, true)
	return open
}

// RequestOpen reports whether somebody asked for a run that has not been decided.
func RequestOpen(e *v1alpha1.ImageVerification) bool {
	_, open := request(e, false)
	return open
}

// Renewal reports whether a cause is a request for the verdict that an entry lacks.
func Renewal(cause v1alpha1.Cause) bool { return RuleOf(cause).Class == classRenewal }

// owedRetry: the infrastructure of the latest run failed, or its RuntimeClass exists by now.
func owedRetry(e *v1alpha1.ImageVerification, f Facts, now time.Time) (Decision, bool) {
	if cause, ok := restartable(&e.Status, f.Trigger); ok {
		return start(e, cause, f, now), true
	}
	if Scheduled(&e.Status) {
		return repeat(e, f, now), true
	}
	return Decision{}, false
}

// pushCause returns the cause that a push is. Where a repository shows no times, the
// sequence tells the pushes of a tag apart.
func pushCause(p v1alpha1.PushRecord) v1alpha1.Cause {
	key := p.Tag + "@" + p.PushedAt.UTC().Format(time.RFC3339)
	if p.Sequence > 0 {
		key = fmt.Sprintf("%s#%d", p.Tag, p.Sequence)
	}
	return v1alpha1.Cause{Type: v1alpha1.CausePush, Key: key}
}

// decidePush decides for a push, unless it was there before the trigger or a verdict covers it.
func decidePush(e *v1alpha1.ImageVerification, push *v1alpha1.TagStatus, cause v1alpha1.Cause, f Facts, now time.Time) Decision {
	if push.Source == v1alpha1.SourceExisting {
		return Decision{Action: Skip, Reason: Existing,
			Message: "pushed before the trigger was created; set existing: Verify to verify such images"}
	}
	if run, reason := covering(&e.Status, f.Trigger, now); run > 0 {
		return Decision{Action: Covered, Reason: reason, Run: run}
	}
	return start(e, cause, f, now)
}
