package imagegate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/gate"
)

// Property: what runs in a namespace that nobody knows to be gated does not count as having run
// here, though it counts as running: whoever makes a namespace while Pods are listed would make
// anything that once passed start behind the gate.
func TestAnUnknownNamespaceLetsNothingCountAsHavingRun(t *testing.T) {
	b := newBench(t)
	b.judge("a", gate.Expired)
	b.judge("b", gate.Expired)
	b.pod("prod", "here", referenceOf("a"))
	b.pod("new", "there", referenceOf("b"))
	report := b.census()
	if diff := cmp.Diff(map[string]time.Time{hexOfDigit("a"): noon}, report.Seen); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
	if report.Running.Expired != 2 {
		t.Errorf("%d run, want 2", report.Running.Expired)
	}
}

// Property: what nobody knows is forgotten with its Pods: whoever makes Pods of ever other digests
// takes no memory for longer than they are there.
func TestUnknownDigestsAreForgottenWithTheirPods(t *testing.T) {
	b := newBench(t)
	b.judge("a", gate.Verified)
	b.pod("prod", "known", referenceOf("a"))
	churned := b.pod("prod", "churned", referenceOf("b"))
	b.census()
	told := func() int { return len(b.observer.gates["production"].turns.told) }
	if got := told(); got != 2 {
		t.Errorf("%d digests are remembered while they run, want 2", got)
	}
	if err := b.client.Delete(t.Context(), churned); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(time.Minute)
	b.census()
	if got := told(); got != 1 {
		t.Errorf("%d digests are remembered, want 1", got)
	}
}
