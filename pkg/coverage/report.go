package coverage

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// Report is the account of one trigger.
type Report struct {
	Namespace string `json:"namespace"`
	Trigger   string `json:"trigger"`
	// Verified: everything was read again. Otherwise what is shown is as of the
	// latest sweep, and what became of it is the ledger's word.
	Verified bool `json:"verified"`
	// AsOf is when the repositories were looked at; nil if they never were.
	AsOf *metav1.Time `json:"asOf,omitempty"`

	Pushes    int `json:"pushes"`
	Covered   int `json:"covered"`
	Pending   int `json:"pending"`
	Failed    int `json:"failed"`
	Skipped   int `json:"skipped"`
	Recovered int `json:"recovered"`
	Gap       int `json:"gap"`
	Doubled   int `json:"doubled"`
	// Artefacts are shown besides and exempt: their content proves that they cannot run.
	Artefacts int `json:"artefacts"`

	// Exempt, Uncovered and DoubledRuns are known to Verify alone.
	Exempt      []Exempt    `json:"exempt,omitempty"`
	Uncovered   []Uncovered `json:"uncovered,omitempty"`
	DoubledRuns []Double    `json:"doubledRuns,omitempty"`
	// Unknown says what could not be looked at, and why.
	Unknown []string `json:"unknown,omitempty"`
}

// Uncovered is a push that is shown and that nothing covers.
type Uncovered struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Digest     string `json:"digest"`
	// PushedAt is nil where the repository shows no times.
	PushedAt *metav1.Time `json:"pushedAt,omitempty"`
	// Entry is the one that claims to cover it; empty if there is none.
	Entry   string `json:"entry,omitempty"`
	Reason  Reason `json:"reason"`
	Message string `json:"message,omitempty"`
}

// Exempt is a push of what cannot run.
type Exempt struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Digest     string `json:"digest"`
	// Reason is why it cannot.
	Reason image.Runnability `json:"reason"`
}

// Double is a PipelineRun too many.
type Double struct {
	Entry       string `json:"entry"`
	PipelineRun string `json:"pipelineRun"`
	Message     string `json:"message"`
}

// Proven reports whether the trigger was shown to have kept its promise.
func (r *Report) Proven() bool { return r.Gap == 0 && r.Doubled == 0 && len(r.Unknown) == 0 }

// FromStatus takes the word of the latest sweep, and of the ledger.
func FromStatus(trigger *v1alpha1.ImageTrigger, entries []v1alpha1.ImageVerification) Report {
	r := Report{Namespace: trigger.Namespace, Trigger: trigger.Name}
	for i := range entries {
		e := &entries[i]
		if e.Spec.Trigger.UID != string(trigger.UID) {
			continue
		}
		for _, tag := range e.Tags() {
			r.count(e, &tag)
		}
	}
	last := trigger.Status.LastSweep
	if last == nil {
		r.Unknown = append(r.Unknown, "the trigger was not swept yet; see its condition Swept")
		return r
	}
	r.AsOf = last.FinishedAt.DeepCopy()
	r.Pushes, r.Gap, r.Artefacts = int(last.Pushes), int(last.Gap), int(last.Artefacts)
	r.Covered = r.Pushes - r.Gap
	c := meta.FindStatusCondition(trigger.Status.Conditions, v1alpha1.ConditionSwept)
	switch {
	case c != nil && c.ObservedGeneration != trigger.Generation:
		r.Unknown = append(r.Unknown, "the trigger's spec was changed, and not swept since")
	case c != nil && c.Status == metav1.ConditionFalse:
		r.Unknown = append(r.Unknown, fmt.Sprintf("the latest sweep did not see everything: %s: %s", c.Reason, c.Message))
	}
	return r
}

// count adds a push to what became of it.
func (r *Report) count(e *v1alpha1.ImageVerification, tag *v1alpha1.TagStatus) {
	switch stateOf(e, tag) {
	case pending:
		r.Pending++
	case failed:
		r.Failed++
	case skipped:
		r.Skipped++
	case decided:
	default: // a state that is not counted would be a bug; nothing is claimed of it
		r.Pending++
	}
	if tag.Source == v1alpha1.SourceSweep {
		r.Recovered++
	}
}

// order makes reports of the same state equal.
func (r *Report) order() {
	slices.SortFunc(r.Uncovered, func(a, b Uncovered) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Tag, b.Tag), timeOf(a.PushedAt).Compare(timeOf(b.PushedAt)), cmp.Compare(a.Digest, b.Digest))
	})
	slices.SortFunc(r.DoubledRuns, func(a, b Double) int {
		return cmp.Or(cmp.Compare(a.Entry, b.Entry), cmp.Compare(a.PipelineRun, b.PipelineRun))
	})
	slices.SortFunc(r.Exempt, func(a, b Exempt) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.Digest, b.Digest))
	})
	slices.Sort(r.Unknown)
	r.Unknown = slices.Compact(r.Unknown)
}

func timeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}
