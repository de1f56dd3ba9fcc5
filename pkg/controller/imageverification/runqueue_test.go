package imageverification

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// queueEnv is a queue whose entries are named trigger/number, as are their keys: each trigger
// stands in a namespace of its own name.
type queueEnv struct {
	*runQueue
	woken []string
	rv    int
	at    time.Time
}

func newQueueEnv(most int) *queueEnv { return newLimitedEnv(runLimits{most: most}) }

func newLimitedEnv(limits runLimits) *queueEnv {
	h := &queueEnv{at: noon}
	h.runQueue = newRunQueue(limits, func() time.Time { return h.at }, func(key types.NamespacedName) { h.woken = append(h.woken, key.String()) })
	return h
}

func requestOf(trigger string, n, most int) slotRequest {
	return slotRequest{
		key: types.NamespacedName{Namespace: trigger, Name: fmt.Sprint(n)}, uid: trigger,
		trigger: types.NamespacedName{Namespace: trigger, Name: trigger}, most: most,
		since: noon, rank: lifecycle.Rank{At: noon.Add(time.Duration(n) * time.Second)},
	}
}

// take asks as the reconciler does.
func (h *queueEnv) take(w slotRequest) bool { return h.tryNow(w) || h.ask(w) }

// seen tells of an entry as the watch does.
func (h *queueEnv) seen(w slotRequest, busy bool) {
	h.rv++
	h.note(entryOf(w, busy, h.rv))
}

func entryOf(w slotRequest, busy bool, version int) *v1alpha1.ImageVerification {
	e := &v1alpha1.ImageVerification{ObjectMeta: metav1.ObjectMeta{Namespace: w.key.Namespace, Name: w.key.Name, ResourceVersion: fmt.Sprint(version)}}
	e.Spec.Trigger = v1alpha1.TriggerReference{Name: w.trigger.Name, UID: w.uid}
	if busy {
		e.Status.Runs = []v1alpha1.RunStatus{{Name: "run", RequestedAt: metav1.NewMicroTime(noon)}}
	}
	return e
}

func (h *queueEnv) wantWoken(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, h.woken); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	h.woken = nil
}

func TestASlotGoesToWhoIsFirstInTheQueue(t *testing.T) {
	h := newQueueEnv(100)
	for n := range 2 {
		if !h.take(requestOf("a", n, 2)) {
			t.Fatalf("entry %d has no slot", n)
		}
	}
	retry := requestOf("a", 1, 2)
	retry.key.Name, retry.rank.Class = "retry", 2
	for _, w := range []slotRequest{retry, requestOf("a", 9, 2), requestOf("a", 5, 2), requestOf("a", 7, 2)} {
		if h.take(w) {
			t.Fatalf("%v has a slot beyond the bound", w.key)
		}
	}
	h.free(requestOf("a", 0, 2).key)
	h.wantWoken(t, "a/5")
	if !h.take(requestOf("a", 5, 2)) || h.take(requestOf("a", 3, 2)) {
		t.Error("who was woken has no slot, or who came later has it")
	}
	h.free(requestOf("a", 5, 2).key)
	h.wantWoken(t, "a/3") // it came later and is older
	h.gone(requestOf("a", 1, 2).key)
	h.free(requestOf("a", 3, 2).key)
	h.wantWoken(t, "a/7", "a/9")
	h.free(requestOf("a", 9, 2).key)
	h.wantWoken(t, "a/retry")
}

func TestAHigherBoundLetsMoreIn(t *testing.T) {
	h := newQueueEnv(100)
	for n := range 4 {
		h.take(requestOf("a", n, 1))
	}
	if h.take(requestOf("a", 3, 3)) {
		t.Error("the youngest has the slot of those before")
	}
	h.wantWoken(t, "a/1", "a/2")
}

// Property: what the ledger says counts, whoever fired it, and an older state of
// it does not come back.
func TestTheQueueFollowsTheLedger(t *testing.T) {
	h := newQueueEnv(100)
	other, mine := requestOf("a", 1, 1), requestOf("a", 2, 1)
	h.seen(other, true)
	if h.take(mine) {
		t.Fatal("a slot that another process gave is not counted")
	}
	h.seen(other, false)
	h.wantWoken(t, "a/2")
	h.rv++
	h.note(entryOf(mine, true, h.rv))    // this process wrote that it has a run
	h.note(entryOf(mine, false, h.rv-1)) // the watch comes to what was before
	if h.take(requestOf("a", 3, 1)) {
		t.Error("an older state of the ledger freed a slot")
	}
	h.seen(mine, false)
	h.wantWoken(t, "a/3")
	if h.used != 1 || len(h.tickets) != 1 {
		t.Errorf("%d slots used, %d entries known; want the one that waited", h.used, len(h.tickets))
	}
}

// Property: under the bound of all triggers the one with the fewest runs goes
// first, and each gets its turn, however many wait elsewhere.
func TestTriggersShareTheBoundOfAll(t *testing.T) {
	const bound = 6
	h := newQueueEnv(bound)
	for n := range 100 {
		h.take(requestOf("large", n, 1000))
	}
	for _, small := range []string{"b", "c"} {
		for n := range 4 {
			if h.take(requestOf(small, n, 1000)) {
				t.Fatal("granted beyond the bound")
			}
		}
	}
	running := []string{"large/0", "large/1", "large/2", "large/3", "large/4", "large/5"}
	granted := map[string]int{}
	for range 12 { // one ends, another one starts
		first := running[0]
		running = running[1:]
		h.free(keyNamed(first))
		if len(h.woken) != 1 {
			t.Fatalf("%v woken for one slot", h.woken)
		}
		running = append(running, h.woken[0])
		granted[keyNamed(h.woken[0]).Namespace]++
		h.woken = nil
	}
	if granted["b"] != 4 || granted["c"] != 4 || granted["large"] != 4 {
		t.Errorf("of 12 slots each trigger got %v, want 4 each", granted)
	}
	if h.used != bound {
		t.Errorf("%d used", h.used)
	}
}

// Property: a trigger that waits is not overtaken for ever by others with as few
// runs that come again and again.
func TestNoTriggerStarves(t *testing.T) {
	h := newQueueEnv(1)
	h.take(requestOf("first", 0, 10))
	h.take(requestOf("patient", 0, 10))
	holder := "first/0"
	for n := 1; ; n++ {
		if n > 5 {
			t.Fatal("the trigger that waited longest never had its turn")
		}
		for _, eager := range []string{"x", "y"} {
			h.take(requestOf(eager, n, 10))
		}
		h.woken = nil
		h.free(keyNamed(holder))
		holder = h.woken[0]
		if holder == "patient/0" {
			return
		}
	}
}

// Property: a trigger whose listener is broken does not hold up the others, and
// does not send more than its own bound into it.
func TestRunsThatDoNotAppearHoldUpTheirOwnTriggerOnly(t *testing.T) {
	h := newQueueEnv(2)
	for n := range 2 {
		h.take(requestOf("broken", n, 2))
		h.seen(requestOf("broken", n, 2), true)
	}
	if h.take(requestOf("other", 1, 2)) || h.take(requestOf("broken", 3, 2)) {
		t.Fatal("granted beyond the bound")
	}
	stuck := entryOf(requestOf("broken", 1, 2), true, 100)
	stuck.Status.Reason, stuck.Status.Runs[0].Attempts = "SinkUnreachable", 1
	h.note(stuck)
	h.wantWoken(t, "other/1")
	appeared := stuck.DeepCopy()
	appeared.ResourceVersion, appeared.Status.Reason = "101", "Running"
	appeared.Status.Runs[0].ConfirmedAt = &metav1.MicroTime{Time: noon}
	h.note(appeared)
	if h.used != 3 {
		t.Errorf("%d used, want all that run", h.used)
	}
	h.free(requestOf("other", 1, 2).key)
	h.gone(requestOf("broken", 0, 2).key)
	h.wantWoken(t, "broken/3")
}

func TestWhoWaitsAsksAgainWhenLeadershipChanges(t *testing.T) {
	h := newQueueEnv(1)
	h.seen(requestOf("a", 0, 10), true)
	h.take(requestOf("a", 1, 10))
	h.take(requestOf("b", 1, 10))
	h.clear()
	slices.Sort(h.woken)
	h.wantWoken(t, "a/1", "b/1")
	if h.used != 1 || len(h.tickets) != 1 {
		t.Errorf("%d used by %d entries, want what the ledger says", h.used, len(h.tickets))
	}
}

func TestAnEntryMadeAnewUnderAnotherTriggerIsCountedThere(t *testing.T) {
	h := newQueueEnv(10)
	was := requestOf("a", 1, 1)
	h.seen(was, true)
	is := was
	is.uid = "a-again"
	if !h.take(is) {
		t.Error("no slot")
	}
	if h.used != 1 || len(h.tenants) != 1 {
		t.Errorf("%d used by %d triggers, want 1 of each", h.used, len(h.tenants))
	}
}

func TestDepths(t *testing.T) {
	h := newQueueEnv(1)
	for n := range 3 {
		w := requestOf("a", n, 10)
		w.since = noon.Add(-time.Duration(n) * time.Second)
		h.take(w)
	}
	want := []depth{{trigger: types.NamespacedName{Namespace: "a", Name: "a"}, underway: 1, waiting: 2, since: noon.Add(-2 * time.Second)}}
	if diff := cmp.Diff(want, h.depths(), cmp.AllowUnexported(depth{})); diff != "" {
		t.Errorf("depths (-want +got):\n%s", diff)
	}
}

func keyNamed(s string) types.NamespacedName {
	for i := range s {
		if s[i] == '/' {
			return types.NamespacedName{Namespace: s[:i], Name: s[i+1:]}
		}
	}
	return types.NamespacedName{Name: s}
}

// BenchmarkBurst takes a burst of pushes of one trigger through the slots. The
// time of an entry must not grow with the burst.
func BenchmarkBurst(b *testing.B) {
	for _, burst := range []int{2_000, 20_000} {
		b.Run(fmt.Sprint(burst), func(b *testing.B) {
			for range b.N {
				h := newQueueEnv(200)
				for n := range burst {
					if h.take(requestOf("a", n, 10)) {
						h.woken = append(h.woken, requestOf("a", n, 10).key.String())
					}
				}
				done := 0
				for ; len(h.woken) > 0; done++ {
					key := keyNamed(h.woken[0])
					h.woken = h.woken[1:]
					h.free(key)
				}
				if done != burst {
					b.Fatalf("%d of %d entries had a slot", done, burst)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*burst), "ns/entry")
		})
	}
}

// renewalOf is a request for a run of the lowest rank.
func renewalOf(trigger string, n, most int) slotRequest {
	r := requestOf(trigger, n, most)
	r.rank = lifecycle.RankOf(&v1alpha1.ImageVerification{}, renewal, nil)
	r.rank.At = noon.Add(time.Duration(n) * time.Second)
	return r
}

var renewal = v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: lifecycle.RenewalPrefix + "a"}

// Property: renewals hold at most half of the slots of a trigger and of all triggers, so that
// a push finds a free one, and get none while anything else waits that could have it.
func TestRenewalsLeaveRoom(t *testing.T) {
	h := newQueueEnv(100)
	for n := range 4 {
		if got, want := h.ask(renewalOf("a", n, 4)), n < 2; got != want {
			t.Errorf("renewal %d has a slot: %v, want %v", n, got, want)
		}
	}
	for n := range 2 {
		if !h.take(requestOf("a", 10+n, 4)) {
			t.Errorf("push %d has no slot beside the renewals", n)
		}
	}
	if h.take(requestOf("a", 20, 4)) {
		t.Error("a push has a slot beyond the bound")
	}
	h.woken = nil
	h.free(renewalOf("a", 0, 4).key)
	h.wantWoken(t, "a/20") // not the renewal that waited longer
	h.free(requestOf("a", 10, 4).key)
	h.wantWoken(t, "a/2")
	h.free(requestOf("a", 11, 4).key)
	h.wantWoken(t) // two renewals have slots
}

func TestRenewalsLeaveRoomForOtherTriggers(t *testing.T) {
	h := newQueueEnv(4)
	for n := range 3 {
		if got, want := h.ask(renewalOf("a", n, 10)), n < 2; got != want {
			t.Errorf("renewal %d has a slot: %v, want %v", n, got, want)
		}
	}
	if h.ask(renewalOf("b", 0, 10)) || !h.take(requestOf("c", 1, 10)) || !h.take(requestOf("c", 2, 10)) || h.take(requestOf("c", 3, 10)) {
		t.Error("another trigger's renewal has a slot, or a push has none")
	}
	h.woken = nil
	h.free(renewalOf("a", 0, 10).key)
	h.wantWoken(t, "c/3") // though b has no run, and c two
	// After a restart the ledger says what is under way, and by which cause.
	h = newQueueEnv(4)
	for n := range 2 {
		e := entryOf(renewalOf("a", n, 10), true, n+1)
		e.Status.Runs[0].Cause = renewal
		h.note(e)
	}
	if h.ask(renewalOf("b", 0, 10)) {
		t.Error("a third renewal has a slot")
	}
	done := entryOf(renewalOf("a", 0, 10), false, 9)
	h.note(done)
	h.wantWoken(t, "b/0")
	if h.usedLow != 2 || h.tenants["a"].usedLow != 1 {
		t.Errorf("%d renewals are counted, %d of trigger a; want 2 and 1", h.usedLow, h.tenants["a"].usedLow)
	}
}

// With one slot only, a renewal gets it when nobody else wants it.
func TestOneSlotIsEnoughForARenewal(t *testing.T) {
	h := newQueueEnv(1)
	if !h.ask(renewalOf("a", 0, 1)) || h.take(requestOf("a", 1, 1)) {
		t.Error("the renewal has no slot, or a push has a second one")
	}
	h.woken = nil
	h.free(renewalOf("a", 0, 1).key)
	h.wantWoken(t, "a/1")
}

// An entry that waits for a renewal and then for a run for a push has one slot, as a push.
func TestAPushDoesNotWaitForItsEntrysRenewal(t *testing.T) {
	h := newQueueEnv(100)
	if !h.ask(renewalOf("a", 0, 3)) || h.ask(renewalOf("a", 1, 3)) || !h.take(requestOf("a", 1, 3)) {
		t.Fatal("the second renewal has a slot, or the push has none")
	}
	h.free(renewalOf("a", 0, 3).key)
	h.wantWoken(t)
	if used, low := h.tenants["a"].used, h.usedLow; used != 1 || low != 0 || len(h.tenants["a"].waiting) != 0 {
		t.Errorf("%d slots are used, %d of them by renewals, and %d wait; want 1, 0 and 0", used, low, len(h.tenants["a"].waiting))
	}
}

// An entry that had a slot for a renewal and then gets one for a push counts as a push.
func TestAPushOfARenewalsEntryIsNoRenewal(t *testing.T) {
	h := newQueueEnv(100)
	if !h.ask(renewalOf("a", 0, 2)) || h.ask(renewalOf("a", 1, 2)) {
		t.Fatal("the renewals have other slots than one")
	}
	h.free(renewalOf("a", 0, 2).key)
	if !h.take(requestOf("a", 0, 2)) {
		t.Fatal("the push has no slot")
	}
	if h.usedLow != 1 { // entry 1, which was woken
		t.Errorf("%d renewals are counted, want 1", h.usedLow)
	}
}
