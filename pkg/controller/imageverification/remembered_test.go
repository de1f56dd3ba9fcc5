package imageverification

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Property: however many entries are deleted, the latest are known and memory is bounded.
func TestDeletionsAreBounded(t *testing.T) {
	d := newDeletions()
	key := func(n int) types.NamespacedName { return types.NamespacedName{Name: fmt.Sprint(n)} }
	for n := range maxDeletions + 3 {
		d.add(key(n), types.UID(fmt.Sprint("uid-", n)))
		d.add(key(n), types.UID(fmt.Sprint("uid-", n))) // told twice, counted once
	}
	if len(d.uids) != maxDeletions || len(d.order) != maxDeletions {
		t.Errorf("%d deletions in a ring of %d, want %d", len(d.uids), len(d.order), maxDeletions)
	}
	got := []types.UID{d.before(key(2), "new"), d.before(key(3), "new"), d.before(key(maxDeletions+2), "new"), d.before(key(3), "uid-3")}
	want := []types.UID{"", "uid-3", types.UID(fmt.Sprint("uid-", maxDeletions+2)), ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deletions (-want +got):\n%s", diff)
	}
}

// Property: the latest time that a sink asked for counts, and one that is over is forgotten.
func TestSinkBackoff(t *testing.T) {
	b := newSinkBackoff()
	b.extend("t", noon.Add(time.Minute))
	b.extend("t", noon.Add(time.Second))
	if got := b.of("t", noon); !got.Equal(noon.Add(time.Minute)) {
		t.Errorf("until %v, want a minute later", got)
	}
	if got := b.of("t", noon.Add(time.Minute)); !got.IsZero() || b.len() != 0 {
		t.Errorf("after it: until %v, and %d are kept", got, b.len())
	}
}

// Property: after a write only what stays true is known: the trigger, and the run but for
// its label, which is looked for before each request.
func TestAWriteDropsWhatWasFoundOutBefore(t *testing.T) {
	run := lifecycle.RunObservation{Name: "run", Lookup: lifecycle.Absent}
	p := &pass{facts: lifecycle.Facts{Trigger: lifecycle.Trigger{Ready: true}, Run: run, RecreatedFrom: "old"}}
	want := p.facts
	p.facts.Run.LabelChecked, p.facts.Run.OtherName = true, "other"
	p.facts.Sent = &lifecycle.Sent{}
	p.facts.Heads = []lifecycle.Head{{}}
	p.facts.Slot.State, p.facts.Image.State, p.facts.Routing.State = lifecycle.SlotGranted, lifecycle.ImageRead, lifecycle.RoutingDecided
	p.changed()
	if diff := cmp.Diff(want, p.facts); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}
