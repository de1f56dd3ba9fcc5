package coverage

import (
	"fmt"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/runresult"
)

// Reason says why a push is not covered.
type Reason string

// The reasons. The zero value is none.
const (
	// NotRecorded: the ledger has no entry that tells of it.
	NotRecorded Reason = "NotRecorded"
	// TooManyTags: the entry has forgotten tags, and nobody knows whether it had this one.
	TooManyTags Reason = v1alpha1.ReasonTooManyTags
	// EntryForged: the entry's name is not the one that follows from its content.
	EntryForged Reason = "EntryForged"
	// RecordIncomplete: the entry claims a run or a verdict, and has no record of it.
	RecordIncomplete Reason = "RecordIncomplete"
	// RunMissing: the PipelineRun does not exist, and ended too recently to be pruned.
	RunMissing Reason = "RunMissing"
	// RunForeign: the PipelineRun is another entry's, or of another digest.
	RunForeign Reason = "RunForeign"
	// RunDiffers: the PipelineRun does not say what the entry claims.
	RunDiffers Reason = "RunDiffers"
	// DigestDiffers: the verdict is about another digest.
	DigestDiffers Reason = "DigestDiffers"
)

// kept is how long PipelineRuns must stay after they ended, as the documentation asks.
const kept = 10 * time.Minute

// ahead is by how many runs an entry may be ahead of what was read of it.
const ahead = 10

// runs are the PipelineRuns of one namespace.
type runs struct {
	byName  map[string]lifecycle.PipelineRun
	byEntry map[string][]lifecycle.PipelineRun // by the entry's UID
}

func newRuns(all []lifecycle.PipelineRun) *runs {
	r := &runs{byName: map[string]lifecycle.PipelineRun{}, byEntry: map[string][]lifecycle.PipelineRun{}}
	for _, pr := range all {
		r.byName[pr.Name] = pr
		if pr.EntryUID != "" {
			r.byEntry[pr.EntryUID] = append(r.byEntry[pr.EntryUID], pr)
		}
	}
	return r
}

// finding says what is wrong with an entry. The zero value means nothing is.
type finding struct {
	reason  Reason
	message string
}

// audit checks what an entry claims against what exists. Without runs, which the report says,
// it checks the record alone.
func (r *runs) audit(e *v1alpha1.ImageVerification, now time.Time) finding {
	d, err := parseDigest(e)
	if err != nil {
		return finding{EntryForged, err.Error()}
	}
	if want := ledger.EntryName(e.Spec.Trigger.UID, ledger.RepositoryOf(e), d); e.Name != want {
		return finding{EntryForged, fmt.Sprintf("the entry of this push is named %q, not %q", want, e.Name)}
	}
	if wrong := r.auditPhase(e, now); wrong.reason != "" {
		return wrong
	}
	return r.auditVerdict(e, now)
}

// auditPhase checks the run that the phase tells of, which is the latest one.
func (r *runs) auditPhase(e *v1alpha1.ImageVerification, now time.Time) finding {
	var outcome v1alpha1.Outcome
	switch e.Status.Phase {
	case v1alpha1.PhasePassed:
		outcome = v1alpha1.OutcomePass
	case v1alpha1.PhaseFailed:
		outcome = v1alpha1.OutcomeFail
	case v1alpha1.PhaseRunning:
	default:
		return finding{} // it claims neither a run nor an outcome
	}
	if len(e.Status.Runs) == 0 {
		return finding{RecordIncomplete, fmt.Sprintf("the entry is %s and has no run", e.Status.Phase)}
	}
	run := &e.Status.Runs[len(e.Status.Runs)-1]
	if run.Outcome != outcome {
		return finding{RecordIncomplete, fmt.Sprintf("the entry is %s, and the outcome of its run %q is %q", e.Status.Phase, run.Name, run.Outcome)}
	}
	return r.auditRun(e, run, fmt.Sprintf("the entry is %s", e.Status.Phase), now)
}

// auditVerdict checks the verdict: that it is of the newest run that gave one, and says what
// that run says. An entry without a verdict claims none.
func (r *runs) auditVerdict(e *v1alpha1.ImageVerification, now time.Time) finding {
	v := e.Status.Verdict
	if v == nil {
		return finding{}
	}
	claim := fmt.Sprintf("the verdict is %q of run %d", v.Outcome, v.Number)
	if v.Number < 1 || v.Number > e.Status.RunCount {
		return finding{RecordIncomplete, fmt.Sprintf("%s, and the entry has %d runs", claim, e.Status.RunCount)}
	}
	// Of a run that the entry no longer keeps, the verdict is the record.
	at := v.At
	run := &v1alpha1.RunStatus{Number: v.Number, Name: v.Run, Outcome: v.Outcome, Digest: e.Spec.Digest, FinishedAt: &at}
	for i := range e.Status.Runs {
		kept := &e.Status.Runs[i]
		switch {
		case kept.Number == v.Number && (kept.Name != v.Run || kept.Outcome != v.Outcome):
			return finding{RecordIncomplete, fmt.Sprintf("%s, %q, and the outcome of run %q is %q", claim, v.Run, kept.Name, kept.Outcome)}
		case kept.Number == v.Number:
			run = kept
		case kept.Number > v.Number && gaveVerdict(kept):
			return finding{RecordIncomplete, fmt.Sprintf("%s, and the outcome of the newer run %q is %q", claim, kept.Name, kept.Outcome)}
		}
	}
	return r.auditRun(e, run, claim, now)
}

// gaveVerdict reports whether a run ended with a verdict.
func gaveVerdict(run *v1alpha1.RunStatus) bool {
	return run.Outcome == v1alpha1.OutcomePass || run.Outcome == v1alpha1.OutcomeFail
}

// auditRun checks a run that the entry makes a claim of, and its PipelineRun.
func (r *runs) auditRun(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, claim string, now time.Time) finding {
	switch {
	case run.Name != ledger.RunName(e, run.Number):
		return finding{RecordIncomplete, fmt.Sprintf("run %d of the entry cannot be named %q", run.Number, run.Name)}
	case run.Outcome != "" && run.Digest != e.Spec.Digest:
		return finding{DigestDiffers, fmt.Sprintf("the verdict of run %q is about %q", run.Name, run.Digest)}
	case r == nil:
		return finding{}
	}
	return r.compare(e, run, claim, now)
}

// compare checks a run's record against its PipelineRun.
func (r *runs) compare(e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, claim string, now time.Time) finding {
	pr, exists := r.byName[run.Name]
	switch {
	case !exists && run.Outcome != "" && run.FinishedAt != nil && now.Sub(run.FinishedAt.Time) >= kept:
		return finding{} // pruned, which nobody can tell from deleted
	case !exists:
		return finding{RunMissing, fmt.Sprintf("%s, and there is no PipelineRun %q", claim, run.Name)}
	case pr.RunLabel != run.Name || pr.EntryUID != string(e.UID) || (pr.Digest != "" && pr.Digest != e.Spec.Digest):
		return finding{RunForeign, fmt.Sprintf("the PipelineRun %q is of entry %q and digest %q", pr.Name, pr.EntryUID, pr.Digest)}
	case run.Outcome == "":
		return finding{}
	case !pr.Done:
		return finding{RunDiffers, fmt.Sprintf("%s, and the PipelineRun %q has not ended", claim, pr.Name)}
	case pr.Results[runresult.Verdict] != string(run.Outcome) || pr.Results[runresult.Digest] != e.Spec.Digest:
		return finding{RunDiffers, fmt.Sprintf("%s, and the PipelineRun %q says %q of %q",
			claim, pr.Name, pr.Results[runresult.Verdict], pr.Results[runresult.Digest])}
	default:
		return finding{}
	}
}

// doubles returns an entry's PipelineRuns that are too many: all but one of each
// cause, and those that the ledger does not know of.
func (r *runs) doubles(e *v1alpha1.ImageVerification) []Double {
	causes := map[string]string{} // by the run's name
	for n := int32(1); n <= e.Status.RunCount+ahead; n++ {
		name := ledger.RunName(e, n)
		causes[name] = name
	}
	for i := range e.Status.Runs {
		run := &e.Status.Runs[i]
		// A retry names the run before it, and so is a cause of its own.
		causes[run.Name] = string(run.Cause.Type) + " " + run.Cause.Key
	}
	first := map[string]string{}
	var doubles []Double
	for _, pr := range r.byEntry[string(e.UID)] {
		cause, known := causes[pr.RunLabel]
		switch {
		case pr.RunLabel == "":
			continue // not made for a request of Revet
		case !known:
			doubles = append(doubles, Double{e.Name, pr.Name, fmt.Sprintf("the ledger does not know of a run %q", pr.RunLabel)})
		case first[cause] != "":
			doubles = append(doubles, Double{e.Name, pr.Name, fmt.Sprintf("it has the cause of %q", first[cause])})
		default:
			first[cause] = pr.Name
		}
	}
	return doubles
}
