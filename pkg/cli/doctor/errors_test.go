package doctor

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

// ended are the entries whose latest runs ended so, the newest first. A letter is a run:
// p passed, f failed, r could not reach the registry, d lacked the database, v vanished,
// n found that it is no image, and u is under way.
func ended(runs string) []v1alpha1.ImageVerification {
	var entries []v1alpha1.ImageVerification
	for i, letter := range runs {
		before := time.Duration(i+1) * time.Minute
		e := commandtest.Entry(fmt.Sprintf("app-%d", i), "demo/app", commandtest.DigestA, commandtest.Record("v1", before, 0, v1alpha1.SourceEvent))
		run := v1alpha1.RunStatus{Number: 1, RequestedAt: *commandtest.Micro(before), FinishedAt: commandtest.Second(before)}
		switch letter {
		case 'p':
			run.Outcome, e.Status.Phase = v1alpha1.OutcomePass, v1alpha1.PhasePassed
		case 'f':
			run.Outcome, e.Status.Phase = v1alpha1.OutcomeFail, v1alpha1.PhaseFailed
		case 'r':
			run.Outcome, run.Reason, run.Message = v1alpha1.OutcomeError, "RunFailed", "fetch: RegistryUnavailable: refused (Failed)"
		case 'd':
			run.Outcome, run.Reason, run.Message = v1alpha1.OutcomeError, "RunFailed", "scan: DatabaseMissing: 404 (Failed)"
		case 'v':
			run.Outcome, run.Reason, run.Message = v1alpha1.OutcomeError, "Vanished", "the run was deleted"
		case 'n':
			run.Outcome, run.Reason, run.Message = v1alpha1.OutcomeError, "NotAnImage", "fetch: NotAnImage: a list of signatures"
		case 'u':
			run.FinishedAt, e.Status.Phase = nil, v1alpha1.PhaseRunning
		}
		if run.Outcome == v1alpha1.OutcomeError {
			e.Status.Phase, e.Status.Reason, e.Status.Message = v1alpha1.PhaseError, run.Reason, run.Message
		}
		if letter == 'n' {
			e.Status.Phase = v1alpha1.PhaseSkipped
		}
		e.Status.Runs = []v1alpha1.RunStatus{run}
		entries = append(entries, e)
	}
	return entries
}

// A cause that ends runs again and again is a problem, with its count, its cure and how to
// repeat the runs. One that does not recur, or no longer does, is a warning.
func TestCausesThatRecurAreProblems(t *testing.T) {
	registry, database := command.Cure("RegistryUnavailable"), command.Cure("DatabaseMissing")
	afterwards := "; afterwards: kubectl revet replay --error --trigger prod -n demo"
	recurs := func(cause string, count, latest, first, last, example int, message, cure string) Finding {
		at := func(minutes int) string {
			return commandtest.At(time.Duration(minutes) * time.Minute).Format(command.SecondLayout)
		}
		return Finding{Level: LevelProblem, Check: "errors", Cure: cure + afterwards, Message: fmt.Sprintf(
			"%d of the latest %d runs ended in Error (%s), between %s and %s; for example app-%d: %s", count, latest, cause, at(first), at(last), example, message)}
	}
	others := func(text string) Finding {
		return Finding{Level: LevelWarning, Check: "errors", Message: text, Cure: "fix the cause, then: kubectl revet replay --error --trigger prod -n demo"}
	}
	const refused, missing = "fetch: RegistryUnavailable: refused (Failed)", "scan: DatabaseMissing: 404 (Failed)"
	for _, test := range []struct {
		name, runs string
		want       []Finding
	}{
		{"no entry", "", nil},
		{"no run has ended", "uu", nil},
		{"runs that found no image, and so skipped the push", "nnnn", nil},
		{"such runs among others", "nrn", []Finding{others("1 entry ended in Error; the newest, app-1: RunFailed: " + refused)}},
		{"verdicts only, bad ones too", "pfpf", nil},
		{"every run, by one cause", "rr", []Finding{recurs("RunFailed, RegistryUnavailable", 2, 2, 2, 1, 0, refused, registry)}},
		{"the only run", "r", []Finding{{Level: LevelProblem, Check: "errors", Cure: registry + afterwards,
			Message: "the only run ended in Error (RunFailed, RegistryUnavailable) at 2026-11-21 11:59:00Z; for example app-0: " + refused}}},
		{"every run that ended", "uru", []Finding{{Level: LevelProblem, Check: "errors", Cure: registry + afterwards,
			Message: "the only run ended in Error (RunFailed, RegistryUnavailable) at 2026-11-21 11:58:00Z; for example app-1: " + refused}}},
		{"three of many", "prprprp", []Finding{recurs("RunFailed, RegistryUnavailable", 3, 7, 6, 2, 1, refused, registry)}},
		{"two of many", "prprp", []Finding{others("2 entries ended in Error; the newest, app-1: RunFailed: " + refused)}},
		{"three, and five verdicts since", "pfpppprrr", []Finding{others("3 entries ended in Error; the newest, app-6: RunFailed: " + refused)}},
		{"three, and four verdicts since", "pfpprrr", []Finding{recurs("RunFailed, RegistryUnavailable", 3, 7, 7, 5, 4, refused, registry)}},
		{"one reason, two step errors", "rdrdrd", []Finding{
			recurs("RunFailed, RegistryUnavailable", 3, 6, 5, 1, 0, refused, registry),
			recurs("RunFailed, DatabaseMissing", 3, 6, 6, 2, 1, missing, database),
		}},
		{"one step error that recurs, and another that does not", "rrrd", []Finding{
			recurs("RunFailed, RegistryUnavailable", 3, 4, 3, 1, 0, refused, registry),
			others("1 entry ended in Error; the newest, app-3: RunFailed: " + missing),
		}},
		{"a reason without a step error", "vvvp", []Finding{recurs("Vanished", 3, 4, 3, 1, 0, "the run was deleted", command.Cure("Vanished"))}},
		{"only the latest twenty count", "rr" + "pppppppppppppppppp" + "rrrrrr", []Finding{others("8 entries ended in Error; the newest, app-0: RunFailed: " + refused)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			trigger := &v1alpha1.ImageTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "prod"}}
			d := &doctor{now: commandtest.Now}
			if diff := cmp.Diff(test.want, d.errors(trigger, ended(test.runs))); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// An entry that ended in Error without a run counts as one that ended so.
func TestEntriesInErrorWithoutARunCount(t *testing.T) {
	e := commandtest.Entry("app-1", "demo/app", commandtest.DigestA, commandtest.Record("v1", time.Minute, 0, v1alpha1.SourceEvent))
	e.Status.Phase, e.Status.Reason, e.Status.Message = v1alpha1.PhaseError, "FilterFailed", "no such key"
	d := &doctor{now: commandtest.Now}
	got := d.errors(&v1alpha1.ImageTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "prod"}}, []v1alpha1.ImageVerification{e})
	want := []Finding{{Level: LevelProblem, Check: "errors",
		Message: "the only run ended in Error (FilterFailed) at 2026-11-21 11:59:00Z; for example app-1: no such key",
		Cure:    command.Cure("FilterFailed") + "; afterwards: kubectl revet replay --error --trigger prod -n demo"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}
