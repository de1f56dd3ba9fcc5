package coverage

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/sweep"
)

// Property: only a status that says that the latest sweep of the present spec saw everything
// proves anything.
func TestStatusIsTakenAtItsWord(t *testing.T) {
	passed, _ := ran(entry(1, v1alpha1.SourceEvent, map[string]int{"v1": 10}), v1alpha1.OutcomePass, 3590)
	waiting := entry(2, v1alpha1.SourceSweep, map[string]int{"v1": 20, "v2": 20})
	foreign := entry(3, v1alpha1.SourceSweep, map[string]int{"v1": 30})
	foreign.Spec.Trigger.UID = "other"
	entries := []v1alpha1.ImageVerification{passed, waiting, foreign}
	ended := metav1.NewTime(at(60))
	gap, state := int32(1), v1alpha1.CoverageGap
	swept := func(change func(*v1alpha1.ImageTrigger)) *v1alpha1.ImageTrigger {
		of := trigger()
		of.Status.LastSweep = &v1alpha1.SweepStatus{StartedAt: metav1.NewTime(at(50)), FinishedAt: ended, Repositories: 2, Pushes: 4, Gap: gap, Coverage: state}
		of.MarkSwept("fine", noon)
		change(of)
		return of
	}
	want := Report{Namespace: "team-a", Trigger: "all", State: v1alpha1.CoverageGap, AsOf: &ended, Repositories: 2, Pushes: 4, Covered: 3, Pending: 2, Recovered: 2, Gap: 1}
	if diff := cmp.Diff(want, FromStatus(swept(func(*v1alpha1.ImageTrigger) {}), entries, at(120), DefaultMaxAge)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		name   string
		change func(*v1alpha1.ImageTrigger)
		want   string
	}{
		{"never swept", func(t *v1alpha1.ImageTrigger) { t.Status.LastSweep = nil }, "no sweep of the trigger"},
		{"of another spec", func(t *v1alpha1.ImageTrigger) { t.Generation = 2 }, "spec has changed"},
		{"in part", func(t *v1alpha1.ImageTrigger) { t.MarkNotSwept("ReadFailed", "refused", noon) }, "ReadFailed: refused"},
		{"without a condition", func(t *v1alpha1.ImageTrigger) { t.Status.Conditions = nil }, "no condition Swept"},
		{"with a condition that is not known", func(t *v1alpha1.ImageTrigger) { t.Status.Conditions[0].Status = metav1.ConditionUnknown }, "Swept: fine"},
		{"long ago", func(t *v1alpha1.ImageTrigger) { t.Status.LastSweep.StartedAt.Time = at(-3481) }, "began 1h0m1s ago"},
		{"in the future", func(t *v1alpha1.ImageTrigger) { t.Status.LastSweep.StartedAt.Time = at(1000) }, "began in the future"},
		{"by an older Revet", func(t *v1alpha1.ImageTrigger) { t.Status.LastSweep.Coverage = "" }, "as none does of an older Revet"},
		{"by a newer Revet", func(t *v1alpha1.ImageTrigger) { t.Status.LastSweep.Coverage = "Perhaps" }, "does not say whether it saw everything"},
		{"by one that does not say why", func(t *v1alpha1.ImageTrigger) { t.Status.LastSweep.Coverage = v1alpha1.CoverageNotKnown }, "does not say whether it saw everything"},
		{"by an account that sees nothing", func(t *v1alpha1.ImageTrigger) {
			t.Status.LastSweep.Coverage = v1alpha1.CoverageNotKnown
			t.Status.LastSweep.Unknown = []v1alpha1.Unknown{{Reason: sweep.StreamsNotVisible, Count: 1, Message: "may not get", Cure: "grant it"}}
		}, "may not get"},
		{"by one that says two things", func(t *v1alpha1.ImageTrigger) {
			t.Status.LastSweep.Unknown = []v1alpha1.Unknown{{Reason: sweep.StreamsNotVisible, Count: 1, Message: "may not get", Cure: "grant it"}}
		}, "may not get"},
	} {
		t.Run(test.name, func(t *testing.T) {
			gap, state = 0, v1alpha1.CoverageCovered
			r := FromStatus(swept(test.change), nil, at(120), DefaultMaxAge)
			if len(r.Unknown) != 1 || !strings.Contains(r.Unknown[0].Message, test.want) || r.Unknown[0].Cure == "" || r.State != v1alpha1.CoverageNotKnown {
				t.Errorf("report %+v", r)
			}
			gap, state = 1, v1alpha1.CoverageGap
			if r := FromStatus(swept(func(*v1alpha1.ImageTrigger) {}), nil, at(120), DefaultMaxAge); r.State != v1alpha1.CoverageGap {
				t.Errorf("a gap is %q", r.State)
			}
		})
	}
}

// A gap of pushes that may be exempt, and that the sweep could not read, is not known.
func TestAGapThatTheSweepCouldNotReadIsNotKnown(t *testing.T) {
	of := trigger()
	of.Status.LastSweep = &v1alpha1.SweepStatus{StartedAt: metav1.NewTime(noon), FinishedAt: metav1.NewTime(noon), Pushes: 1, Gap: 1,
		Coverage: v1alpha1.CoverageNotKnown, Unknown: []v1alpha1.Unknown{{Reason: sweep.ReadFailed, Count: 1}}}
	of.MarkNotSwept(sweep.ReadFailed, "refused", noon)
	if r := FromStatus(of, nil, noon, DefaultMaxAge); r.State != v1alpha1.CoverageNotKnown || r.Gap != 1 {
		t.Errorf("report %+v", r)
	}
}

func TestStatesOfAPush(t *testing.T) {
	run := func(number int32, outcome v1alpha1.Outcome) v1alpha1.RunStatus {
		return v1alpha1.RunStatus{Number: number, Outcome: outcome}
	}
	for _, test := range []struct {
		name  string
		run   int32
		phase v1alpha1.Phase
		runs  []v1alpha1.RunStatus
		want  state
	}{
		{"in error after a verdict on an earlier push", 2, v1alpha1.PhaseError, []v1alpha1.RunStatus{run(1, v1alpha1.OutcomePass), run(2, v1alpha1.OutcomeError)}, failed},
		{"passed, and tried again without a verdict", 1, v1alpha1.PhaseError, []v1alpha1.RunStatus{run(1, v1alpha1.OutcomePass), run(2, v1alpha1.OutcomeError)}, decided},
		{"an outcome that is not known", 1, v1alpha1.PhasePassed, []v1alpha1.RunStatus{run(1, "odd")}, pending},
		{"no status yet", 0, "", nil, pending},
		{"skipped by decision", v1alpha1.RunSkipped, v1alpha1.PhasePassed, nil, skipped},
		{"an entry that was skipped", 0, v1alpha1.PhaseSkipped, nil, skipped},
		{"an entry in error without a run", 0, v1alpha1.PhaseError, nil, failed},
		{"pushed again since the verdict", 0, v1alpha1.PhasePassed, []v1alpha1.RunStatus{run(1, v1alpha1.OutcomePass)}, pending},
		{"passed", 1, v1alpha1.PhasePassed, []v1alpha1.RunStatus{run(1, v1alpha1.OutcomePass)}, decided},
		{"failed its checks, and another run is under way", 1, v1alpha1.PhaseRunning, []v1alpha1.RunStatus{run(1, v1alpha1.OutcomeFail), run(2, "")}, decided},
		{"under way", 2, v1alpha1.PhaseRunning, []v1alpha1.RunStatus{run(1, v1alpha1.OutcomePass), run(2, "")}, pending},
		{"in error", 1, v1alpha1.PhaseError, []v1alpha1.RunStatus{run(1, v1alpha1.OutcomeError)}, failed},
		{"tried again", 1, v1alpha1.PhaseRunning, []v1alpha1.RunStatus{run(1, v1alpha1.OutcomeError), run(2, "")}, pending},
		{"passed when tried again", 1, v1alpha1.PhasePassed, []v1alpha1.RunStatus{run(1, v1alpha1.OutcomeError), run(2, v1alpha1.OutcomePass)}, decided},
		{"a run that is no longer kept", 1, v1alpha1.PhaseFailed, []v1alpha1.RunStatus{run(12, v1alpha1.OutcomeFail)}, decided},
		{"a phase that is not known", 0, "Odd", nil, pending},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := &v1alpha1.ImageVerification{Status: v1alpha1.ImageVerificationStatus{Phase: test.phase, Runs: test.runs}}
			if got := stateOf(e, &v1alpha1.TagStatus{Run: test.run}); got != test.want {
				t.Errorf("state %d, want %d", got, test.want)
			}
		})
	}
}

// Property: of runs that an entry no longer keeps the verdict speaks, for the pushes up to it.
func TestTheVerdictSpeaksForRunsThatAreNoLongerKept(t *testing.T) {
	e := &v1alpha1.ImageVerification{Status: v1alpha1.ImageVerificationStatus{
		Phase: v1alpha1.PhaseError, Runs: []v1alpha1.RunStatus{{Number: 12, Outcome: v1alpha1.OutcomeError}},
		Verdict: &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass, Number: 2},
	}}
	for run, want := range map[int32]state{1: decided, 2: decided, 3: failed, 12: failed} {
		if got := stateOf(e, &v1alpha1.TagStatus{Run: run}); got != want {
			t.Errorf("a push of run %d has state %d, want %d", run, got, want)
		}
	}
}
