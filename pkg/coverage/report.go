package coverage

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// Report is the account of one trigger.
type Report struct {
	Namespace string `json:"namespace"`
	Trigger   string `json:"trigger"`
	// State sums up the report. Only Covered means that Revet kept its promise.
	State v1alpha1.CoverageState `json:"state"`
	// Verified: Verify read everything again. Otherwise the report shows what the latest
	// sweep saw, and takes the ledger's word for the rest.
	Verified bool `json:"verified"`
	// AsOf is when Revet looked at the repositories; nil if it never did.
	AsOf *metav1.Time `json:"asOf,omitempty"`

	// Repositories is how many repositories the selectors admit.
	Repositories int `json:"repositories"`
	Pushes       int `json:"pushes"`
	Covered      int `json:"covered"`
	Pending      int `json:"pending"`
	Failed       int `json:"failed"`
	Skipped      int `json:"skipped"`
	Recovered    int `json:"recovered"`
	Gap          int `json:"gap"`
	Doubled      int `json:"doubled"`
	// Artefacts are exempt and not among the pushes: their content proves that they
	// cannot run.
	Artefacts int `json:"artefacts"`

	// Verify alone fills Exempt, Uncovered and DoubledRuns.
	Exempt      []Exempt    `json:"exempt,omitempty"`
	Uncovered   []Uncovered `json:"uncovered,omitempty"`
	DoubledRuns []Double    `json:"doubledRuns,omitempty"`
	// Unknown says what Revet could not see, why, and what to do about it.
	Unknown []v1alpha1.Unknown `json:"unknown,omitempty"`
}

// Uncovered is a push that a repository shows and that nothing covers.
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

// unknown adds what could not be seen, once for each reason. Of several messages the
// first by the alphabet is kept, so that equal states make equal reports.
func (r *Report) unknown(u v1alpha1.Unknown) {
	for i := range r.Unknown {
		if have := &r.Unknown[i]; have.Reason == u.Reason {
			u.Count += have.Count
			if have.Message <= u.Message {
				u.Message, u.Cure = have.Message, have.Cure
			}
			*have = u
			return
		}
	}
	r.Unknown = append(r.Unknown, u)
}

// conclude sets the state. What is missing for certain outweighs what is not known: a
// push that might be an artefact, and cannot be read, is not missing for certain.
func (r *Report) conclude(missing int) {
	switch {
	case missing > 0 || r.Doubled > 0:
		r.State = v1alpha1.CoverageGap
	case len(r.Unknown) > 0 || r.Gap > 0:
		r.State = v1alpha1.CoverageNotKnown
	default:
		r.State = v1alpha1.CoverageCovered
	}
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
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Tag, b.Tag),
			timeOf(a.PushedAt).Compare(timeOf(b.PushedAt)), cmp.Compare(a.Digest, b.Digest))
	})
	slices.SortFunc(r.DoubledRuns, func(a, b Double) int {
		return cmp.Or(cmp.Compare(a.Entry, b.Entry), cmp.Compare(a.PipelineRun, b.PipelineRun))
	})
	slices.SortFunc(r.Exempt, func(a, b Exempt) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.Digest, b.Digest))
	})
	slices.SortFunc(r.Unknown, func(a, b v1alpha1.Unknown) int { return cmp.Compare(a.Reason, b.Reason) })
}

func timeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}
