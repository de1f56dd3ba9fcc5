package coverage

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/source"
)

// Property: where Verify could not look, a trigger is not known, though all that it saw is
// covered; and it says why, and what to do.
func TestVerifyNeverTakesWhatItCouldNotSeeForCovered(t *testing.T) {
	forbidden := apierrors.NewForbidden(corev1.Resource("things"), "", errors.New("no"))
	existing := trigger()
	existing.Spec.Images = append(existing.Spec.Images, v1alpha1.ImageSelector{Repository: "registry.example.com/team/a"})
	for _, test := range []struct {
		name   string
		change func(*fixture)
		of     *v1alpha1.ImageTrigger
		reason string
		cure   string
	}{
		{"the account sees nothing", func(s *fixture) { s.hidden = true }, trigger(), "StreamsNotVisible", "kubectl create role imagestream-reader -n team-a"},
		{"the account sees nothing, and nothing is there", func(s *fixture) { s.hidden, s.gone = true, true }, trigger(), "StreamsNotVisible", "kubectl create role imagestream-reader -n team-a"},
		{"nobody may ask what the account sees", func(s *fixture) { s.rightsErr = forbidden }, trigger(), RightsNotAsked, "localsubjectaccessreviews"},
		{"the question what the account sees got no answer", func(s *fixture) { s.rightsErr = errors.New("timeout") }, trigger(), RightsNotAsked, "again"},
		{"the list of streams broke", func(s *fixture) { s.listErr = errors.New("unexpected EOF") }, trigger(), "ReadFailed", "next sweep"},
		{"the list of streams took too long", func(s *fixture) { s.listErr = context.DeadlineExceeded }, trigger(), "TimedOut", "next sweep"},
		{"the runs may not be listed", func(s *fixture) { s.runsErr = forbidden }, trigger(), RunsNotRead, "kubectl create role pipelinerun-reader -n team-a"},
		{"the cluster has no runs, and an entry has", func(s *fixture) { s.runsErr = ErrNoRuns }, trigger(), RunsNotRead, "Tekton"},
		{"an entry cannot be read again", func(s *fixture) {
			s.tags["v2"], s.entryErr = []item{{2, 10}}, errors.New("timeout")
		}, trigger(), EntriesNotRead, "again"},
		{"the runs cannot be listed again", func(s *fixture) { s.runs, s.runsErrLater = nil, errors.New("timeout") }, trigger(), RunsNotRead, "again"},
		{"the registry refuses", nil, existing, string(source.Denied), "pull secret"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, pr := ran(entry(1, v1alpha1.SourceEvent, map[string]int{"v1": 10}), v1alpha1.OutcomePass, 3590)
			s := &fixture{tags: map[string][]item{"v1": {{1, 10}}}, entries: []v1alpha1.ImageVerification{e}, runs: []lifecycle.PipelineRun{pr}}
			if r := s.verify(t, trigger())[0]; r.State != v1alpha1.CoverageCovered || r.Covered != 1 {
				t.Fatalf("before: %+v", r)
			}
			if test.change != nil {
				test.change(s)
			}
			r := s.verify(t, test.of)[0]
			i := len(r.Unknown) - 1
			for i >= 0 && r.Unknown[i].Reason != test.reason {
				i--
			}
			if i < 0 || !strings.Contains(r.Unknown[i].Cure, test.cure) || r.State == v1alpha1.CoverageCovered {
				t.Errorf("report %+v", r)
			}
		})
	}
}

// Where there is no kind of runs and no entry has one, nothing is left to check.
func TestNoRunsAreNeededWhereNoEntryHasOne(t *testing.T) {
	s := &fixture{tags: map[string][]item{"v1": {{1, 10}}}, entries: []v1alpha1.ImageVerification{entry(1, v1alpha1.SourceEvent, map[string]int{"v1": 10})}, runsErr: ErrNoRuns}
	if r := s.verify(t, trigger())[0]; r.State != v1alpha1.CoverageCovered {
		t.Errorf("report %+v", r)
	}
}

// A trigger whose ledger cannot be read takes no other one with it.
func TestOneTriggerThatIsNotKnownLeavesTheOthers(t *testing.T) {
	e, pr := ran(entry(1, v1alpha1.SourceEvent, map[string]int{"v1": 10}), v1alpha1.OutcomePass, 3590)
	other := trigger()
	other.Name, other.UID, other.Spec.Images[0].Tags.Include = "other", "other", []string{"v2"}
	s := &fixture{tags: map[string][]item{"v1": {{1, 10}}, "v2": {{2, 10}}}, entries: []v1alpha1.ImageVerification{e}, runs: []lifecycle.PipelineRun{pr}, entryErr: errors.New("timeout")}
	mine := trigger()
	mine.Spec.Images[0].Tags.Include = []string{"v1"}
	var got []v1alpha1.CoverageState
	for _, r := range s.verify(t, mine, other) {
		got = append(got, r.State)
	}
	if diff := cmp.Diff([]v1alpha1.CoverageState{v1alpha1.CoverageCovered, v1alpha1.CoverageGap}, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

// A selector that admits nothing is covered, by a trigger that sees everything.
func TestATriggerThatSelectsNothingIsCovered(t *testing.T) {
	s := &fixture{gone: true}
	if r := s.verify(t, trigger())[0]; r.State != v1alpha1.CoverageCovered || r.Repositories != 0 || r.Pushes != 0 {
		t.Errorf("report %+v", r)
	}
}

// Property: a report with a gap, a doubled run or something unknown is never covered.
func TestTheStateOfAReport(t *testing.T) {
	unknown := []v1alpha1.Unknown{{Reason: NotReadable}}
	for _, test := range []struct {
		name    string
		report  Report
		missing int
		want    v1alpha1.CoverageState
	}{
		{"nothing is missing", Report{}, 0, v1alpha1.CoverageCovered},
		{"a push is missing", Report{Gap: 1}, 1, v1alpha1.CoverageGap},
		{"a push is missing, and more is not known", Report{Gap: 1, Unknown: unknown}, 1, v1alpha1.CoverageGap},
		{"a run is doubled", Report{Doubled: 1}, 0, v1alpha1.CoverageGap},
		{"something is not known", Report{Unknown: unknown}, 0, v1alpha1.CoverageNotKnown},
		{"a push may be missing", Report{Gap: 1}, 0, v1alpha1.CoverageNotKnown},
	} {
		if test.report.conclude(test.missing); test.report.State != test.want {
			t.Errorf("%s: %s, want %s", test.name, test.report.State, test.want)
		}
	}
}

// Equal states make equal reports: the order in which reasons are met does not show.
func TestReasonsAddUpInAnyOrder(t *testing.T) {
	a := v1alpha1.Unknown{Reason: NotReadable, Count: 1, Message: "a", Cure: "of a"}
	b := v1alpha1.Unknown{Reason: NotReadable, Count: 2, Message: "b", Cure: "of b"}
	want := []v1alpha1.Unknown{{Reason: NotReadable, Count: 3, Message: "a", Cure: "of a"}}
	for _, order := range [][]v1alpha1.Unknown{{a, b}, {b, a}} {
		var r Report
		for _, u := range order {
			r.unknown(u)
		}
		if diff := cmp.Diff(want, r.Unknown); diff != "" {
			t.Errorf("unknown (-want +got):\n%s", diff)
		}
	}
}

// A question about all namespaces that gets no answer is followed by one about each.
func TestRightsInAllNamespacesAreNotPresumed(t *testing.T) {
	p := &presume{Cluster: &fixture{rightsErr: errors.New("timeout")}}
	account := source.Account{Namespace: "team-a", Name: "default"}
	for _, namespace := range []string{"", "team-a"} {
		allowed, err := p.MayGet(t.Context(), account, namespace, "")
		if asked := namespace != ""; err != nil || allowed != asked || (p.presumed(account) != nil) != asked {
			t.Errorf("namespace %q: %t, %v; presumed %v", namespace, allowed, err, p.presumed(account))
		}
	}
}
