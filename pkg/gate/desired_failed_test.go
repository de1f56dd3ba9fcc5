package gate

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Property: a digest that an earlier trigger failed, too long ago to count, does not start
// because it ran here once: only one that passed does.
func TestAnOldFailureIsNoOldPass(t *testing.T) {
	g := &v1alpha1.ImageGate{}
	g.Spec.Trust = []v1alpha1.TrustedTrigger{{Namespace: "verify", Trigger: "all"}}
	rules, err := RulesOf(g)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for outcome, want := range map[v1alpha1.Outcome]bool{v1alpha1.OutcomePass: true, v1alpha1.OutcomeFail: false} {
		f := rules.Judge([]Evidence{{
			Namespace: "verify", Trigger: "all", Entry: "e", Earlier: true,
			Verdict: &v1alpha1.Verdict{Outcome: outcome, At: metav1.NewTime(now.Add(-rules.MaxAge()))},
		}}, now)
		if f.Standing != Expired {
			t.Fatalf("%s: it is %s", outcome, f.Standing)
		}
		d := NewDesired(rules)
		d.Saw("aa", now)
		d.Conclude("aa", f)
		if got := d.ran("aa", now) != 0; got != want {
			t.Errorf("%s: it may start as it ran here: %v", outcome, got)
		}
	}
}
