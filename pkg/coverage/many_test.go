package coverage

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// summarised has an entry tell of a tag without naming it, and forget others until a time.
func summarised(e v1alpha1.ImageVerification, tag string, seconds int, forgotten int64, through int) v1alpha1.ImageVerification {
	t := v1alpha1.TagStatus{Run: 1, PushRecord: v1alpha1.PushRecord{Tag: tag, PushedAt: metav1.NewTime(at(seconds)), Source: v1alpha1.SourceSweep}}
	e.Status.MoreTags = &v1alpha1.MoreTags{Forgotten: forgotten}
	e.Status.MoreTags.Pack([]v1alpha1.PackedTag{v1alpha1.PackTag(&t)})
	if forgotten > 0 {
		e.Status.MoreTags.ForgottenThrough = &metav1.Time{Time: at(through)}
	}
	return e
}

// A push of a tag that the entry does not name is covered, and a later one, or of another tag, is
// a gap. Of a tag that may be forgotten nobody knows.
func TestVerifyOfTagsThatAnEntryDoesNotName(t *testing.T) {
	for _, test := range []struct {
		name      string
		shown     map[string][]item
		forgotten int64
		want      v1alpha1.CoverageState
		covered   int
	}{
		{"what it tells of", map[string][]item{"v1": {{1, 10}}, "v2": {{1, 20}}}, 0, v1alpha1.CoverageCovered, 2},
		{"what it tells of, though it forgot others", map[string][]item{"v1": {{1, 10}}, "v2": {{1, 20}}}, 3, v1alpha1.CoverageCovered, 2},
		{"a later push", map[string][]item{"v2": {{1, 21}}}, 3, v1alpha1.CoverageGap, 0},
		{"another tag", map[string][]item{"v3": {{1, 5}}}, 0, v1alpha1.CoverageGap, 0},
		{"a tag that may be forgotten", map[string][]item{"v1": {{1, 10}}, "v3": {{1, 5}}}, 3, v1alpha1.CoverageNotKnown, 1},
		{"a tag that is too new to be forgotten", map[string][]item{"v3": {{1, 9}}}, 3, v1alpha1.CoverageGap, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, pr := ran(entry(1, v1alpha1.SourceEvent, map[string]int{"v1": 10}), v1alpha1.OutcomePass, 3590)
			s := &fixture{tags: test.shown, entries: []v1alpha1.ImageVerification{summarised(e, "v2", 20, test.forgotten, 8)}, runs: []lifecycle.PipelineRun{pr}}
			r := s.verify(t, trigger())[0]
			if r.State != test.want || r.Covered != test.covered || r.Pending > 0 {
				t.Errorf("%s: %+v", r.State, r)
			}
			known := test.want != v1alpha1.CoverageNotKnown
			if (len(r.Unknown) == 0) != known || !known && (r.Unknown[0].Reason != v1alpha1.ReasonTooManyTags || !strings.Contains(r.Unknown[0].Cure, "kubectl delete")) {
				t.Errorf("not known: %+v", r.Unknown)
			}
		})
	}
}

// What became of pushes that entries do not name counts too.
func TestStatusCountsTagsThatEntriesDoNotName(t *testing.T) {
	e, _ := ran(entry(1, v1alpha1.SourceEvent, map[string]int{"v1": 10}), v1alpha1.OutcomePass, 3590)
	e = summarised(e, "v2", 20, 0, 0)
	if r := FromStatus(trigger(), []v1alpha1.ImageVerification{e}, at(3600), DefaultMaxAge); r.Recovered != 1 || r.Pending != 0 {
		t.Errorf("report %+v", r)
	}
}
