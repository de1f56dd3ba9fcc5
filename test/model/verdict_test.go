package model_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// life is one entry whose runs begin, end and disappear, beside what its verdict must be.
type life struct {
	entry v1alpha1.ImageVerification
	now   time.Time
	want  string
	told  []string
}

// verdictSteps are what becomes of an entry. Each returns what it did.
var verdictSteps = []func(*life, *rand.Rand) string{
	func(l *life, _ *rand.Rand) string { return l.begin("push") },
	func(l *life, _ *rand.Rand) string { return l.end(v1alpha1.OutcomePass, lifecycle.Passed) },
	func(l *life, _ *rand.Rand) string { return l.end(v1alpha1.OutcomeFail, lifecycle.Failed) },
	func(l *life, _ *rand.Rand) string { return l.end(v1alpha1.OutcomeError, lifecycle.RunFailed) },
	func(l *life, _ *rand.Rand) string { return l.end(v1alpha1.OutcomeError, lifecycle.NotAnImage) },
	func(l *life, _ *rand.Rand) string { return l.end("", "") },
	func(l *life, _ *rand.Rand) string { // the run is pruned before its end is read
		lifecycle.RecordEnd(&l.entry.Status, lifecycle.Vanished, "gone", l.now)
		return "vanished"
	},
	func(l *life, _ *rand.Rand) string { // a newer push supersedes it, or the trigger is deleted
		lifecycle.EndWithoutRun(&l.entry.Status, v1alpha1.Cause{}, lifecycle.Superseded, "newer", l.now)
		return "skipped"
	},
	func(l *life, _ *rand.Rand) string {
		lifecycle.RecordWait(&l.entry.Status, lifecycle.Queued, "full", l.now)
		return "waits"
	},
	func(l *life, _ *rand.Rand) string {
		lifecycle.RecordAttempt(&l.entry.Status, lifecycle.Trigger{}, l.now)
		lifecycle.RecordStartFailure(&l.entry.Status, "no node", l.now)
		return "does not start"
	},
	func(l *life, r *rand.Rand) string { // somebody deletes the entry, or its status is lost
		if r.IntN(4) > 0 {
			return "stays"
		}
		l.entry = v1alpha1.ImageVerification{}
		l.want = ""
		return "lost"
	},
}

func (l *life) begin(cause string) string {
	if l.entry.Status.CurrentRun() != nil {
		return "is under way"
	}
	name := fmt.Sprintf("run-%d", l.entry.Status.RunCount+1)
	lifecycle.RecordBegin(&l.entry.Status, v1alpha1.RunStatus{Name: name, Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: cause}}, l.now)
	return "begins " + name
}

func (l *life) end(o v1alpha1.Outcome, reason lifecycle.Reason) string {
	run := l.entry.Status.CurrentRun()
	if run == nil {
		return "has no run to end"
	}
	name := run.Name
	if o == v1alpha1.OutcomePass || o == v1alpha1.OutcomeFail {
		l.want = fmt.Sprintf("%s by %s", o, name)
	}
	lifecycle.RecordOutcome(&l.entry.Status, lifecycle.PipelineRun{Name: name, Finished: l.now}, lifecycle.Outcome{Outcome: o, Reason: reason}, l.now)
	lifecycle.RecordRetry(&l.entry.Status, lifecycle.Trigger{Ready: true, Retries: 1}, l.now)
	return fmt.Sprintf("%s ends %q", name, o)
}

// store writes the entry and reads it again, as the API server would.
func (l *life) store() error {
	raw, err := json.Marshal(l.entry)
	if err != nil {
		return err
	}
	l.entry = v1alpha1.ImageVerification{}
	return json.Unmarshal(raw, &l.entry)
}

// live plays a history and returns what is wrong, or "". spoil is how the entry is written wrongly.
func live(seed uint64, spoil func(before, after *v1alpha1.ImageVerificationStatus)) string {
	r := rand.New(rand.NewPCG(seed, 0))
	l := &life{now: time.Unix(1_700_000_000, 0)}
	for range 200 {
		l.now = l.now.Add(time.Minute)
		before := l.entry.Status.DeepCopy()
		l.told = append(l.told, verdictSteps[r.IntN(len(verdictSteps))](l, r))
		spoil(before, &l.entry.Status)
		if err := l.store(); err != nil {
			return err.Error()
		}
		got := ""
		if v := l.entry.Status.Verdict; v != nil {
			got = fmt.Sprintf("%s by %s", v.Outcome, v.Run)
		}
		if got != l.want {
			return fmt.Sprintf("seed %d: the verdict is %q, want %q, after: %s", seed, got, l.want, strings.Join(l.told, ", "))
		}
	}
	return ""
}

// The property: the verdict is the newest run's that gave one, whatever becomes of the entry and
// of its other runs; an entry that was lost has none.
func TestTheVerdictIsTheNewestRunsThatGaveOne(t *testing.T) {
	for seed := range uint64(300) {
		if failure := live(seed, func(_, _ *v1alpha1.ImageVerificationStatus) {}); failure != "" {
			t.Fatal(failure)
		}
	}
}

// The model can fail: it finds a verdict that is lost, that is kept too long, and that comes from
// elsewhere than a run.
func TestTheModelFindsAWrongVerdict(t *testing.T) {
	type status = v1alpha1.ImageVerificationStatus
	for name, spoil := range map[string]func(before, after *status){
		"it goes when the next run begins": func(before, after *status) {
			if before.CurrentRun() == nil && after.CurrentRun() != nil {
				after.Verdict = nil
			}
		},
		"it goes with its run": func(_, after *status) {
			if v := after.Verdict; v != nil && !slices.ContainsFunc(after.Runs, func(r v1alpha1.RunStatus) bool { return r.Number == v.Number }) {
				after.Verdict = nil
			}
		},
		"it goes with a skipped push": func(_, after *status) {
			if after.Phase == v1alpha1.PhaseSkipped {
				after.Verdict = nil
			}
		},
		"an older one comes back": func(before, after *status) {
			if before.Verdict != nil && after.Verdict != nil {
				after.Verdict = before.Verdict
			}
		},
		"it comes from an error": func(_, after *status) {
			if run := after.LatestRun(); run != nil && run.Outcome == v1alpha1.OutcomeError {
				after.Verdict = &v1alpha1.Verdict{Outcome: v1alpha1.OutcomeFail, Run: run.Name}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(300) {
				if live(seed, spoil) != "" {
					return
				}
			}
			t.Error("no history shows it")
		})
	}
}
