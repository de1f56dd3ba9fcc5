package imageverification

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// within is a request of one of several triggers of a namespace. Its key is
// namespace/trigger-number.
func within(namespace, trigger string, n, most int) slotRequest {
	r := requestOf(trigger, n, most)
	r.uid = namespace + "/" + trigger
	r.key = types.NamespacedName{Namespace: namespace, Name: fmt.Sprintf("%s-%d", trigger, n)}
	r.trigger = types.NamespacedName{Namespace: namespace, Name: trigger}
	return r
}

// shared is a queue of ten slots, two of them reserved, on a cluster where two namespaces have
// triggers.
func shared() *queueEnv {
	h := newLimitedEnv(runLimits{most: 10, reserve: 2, longest: 2 * time.Hour})
	h.triggerSeen("a", "hostile")
	h.triggerSeen("b", "victim")
	return h
}

func (h *queueEnv) takes(requests ...slotRequest) (granted int) {
	for _, r := range requests {
		if h.take(r) {
			granted++
		}
	}
	return granted
}

func several(n int, of func(n int) slotRequest) []slotRequest {
	all := make([]slotRequest, n)
	for i := range all {
		all[i] = of(i)
	}
	return all
}

// Property: whatever one namespace does, another one's push has a slot at once.
func TestNoNamespaceTakesTheSlotsOfAll(t *testing.T) {
	for _, test := range []struct {
		name string
		take func(*queueEnv)
	}{
		{"one trigger with room for a thousand runs", func(h *queueEnv) {
			h.takes(several(1000, func(n int) slotRequest { return within("hostile", "a", n, 1000) })...)
		}},
		{"a thousand triggers with one run each", func(h *queueEnv) {
			h.takes(several(1000, func(n int) slotRequest { return within("hostile", fmt.Sprint("t", n), 0, 1) })...)
		}},
		{"a trigger that is made anew again and again", func(h *queueEnv) {
			for n := range 100 {
				uid := types.UID(fmt.Sprint("a", n))
				h.triggerSeen(uid, "hostile")
				r := within("hostile", "a", n, 10)
				r.uid = string(uid)
				h.take(r)
				h.triggerGone(uid)
			}
		}},
		{"renewals, of which half may run", func(h *queueEnv) {
			for n := range 100 {
				r := within("hostile", "a", n, 1000)
				r.rank = renewalOf("a", n, 1000).rank
				h.ask(r)
			}
			h.takes(several(100, func(n int) slotRequest { return within("hostile", "b", n, 1000) })...)
		}},
		{"runs that this process only reads of", func(h *queueEnv) {
			for n := range 8 {
				h.seen(within("hostile", "a", n, 1000), true)
			}
			h.takes(several(100, func(n int) slotRequest { return within("hostile", "a", 100+n, 1000) })...)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := shared()
			test.take(h)
			if h.used != 8 {
				t.Errorf("one namespace has %d of 10 slots, want 8", h.used)
			}
			h.woken = nil
			if got := h.takes(within("victim", "v", 0, 10), within("victim", "v", 1, 10)); got != 2 {
				t.Errorf("another namespace has %d slots at once, want 2", got)
			}
			if h.used != 10 {
				t.Errorf("%d slots are used, want 10", h.used)
			}
		})
	}
}

// A cluster of one team has every slot, and gives the reserve back when another team comes.
func TestTheReserveCountsWhileAnotherNamespaceHasTriggers(t *testing.T) {
	h := newLimitedEnv(runLimits{most: 10, reserve: 2})
	h.triggerSeen("a", "alone")
	h.triggerSeen("a2", "alone")
	h.triggerSeen("a2", "alone") // a resync
	if got := h.takes(several(20, func(n int) slotRequest { return within("alone", "a", n, 100) })...); got != 10 {
		t.Errorf("the only namespace has %d of 10 slots", got)
	}
	h.triggerSeen("b", "other")
	h.woken = nil
	for n := range 2 {
		h.free(within("alone", "a", n, 100).key)
	}
	h.wantWoken(t)
	if got := h.holdup(within("alone", "a", 10, 100).key); got != (lifecycle.Slot{State: lifecycle.SlotQueued, Share: 8}) {
		t.Errorf("it waits for %+v, want its share of 8", got)
	}
	h.triggerGone("b")
	h.triggerGone("b")
	h.wantWoken(t, "alone/a-10", "alone/a-11")
	h.triggerGone("a")
	h.triggerGone("a2")
	if len(h.owners.of) != 0 || len(h.owners.triggers) != 0 {
		t.Errorf("%+v is remembered of triggers that are gone", h.owners)
	}
}

// With one slot there is nothing to reserve.
func TestOneSlotIsNotReserved(t *testing.T) {
	h := newLimitedEnv(runLimits{most: 1, reserve: 1})
	h.triggerSeen("a", "one")
	h.triggerSeen("b", "two")
	if !h.take(within("one", "a", 0, 10)) {
		t.Error("the only slot is reserved")
	}
}

// Property: the class of a cause goes first, whichever namespace it is of and however many runs
// that has.
func TestTheClassGoesFirstAcrossNamespaces(t *testing.T) {
	h := newQueueEnv(2)
	h.takes(within("busy", "a", 0, 100), within("busy", "a", 1, 100))
	ask := func(namespace string, n int, rank lifecycle.Rank) {
		r := within(namespace, "a", n, 100)
		r.rank = rank
		if h.ask(r) {
			t.Fatal("granted beyond the bound")
		}
	}
	e := &v1alpha1.ImageVerification{}
	rank := func(cause v1alpha1.CauseType, key string) lifecycle.Rank {
		return lifecycle.RankOf(e, v1alpha1.Cause{Type: cause, Key: key}, nil)
	}
	ask("idle-1", 0, rank(v1alpha1.CauseManual, lifecycle.RenewalPrefix+"x"))
	ask("idle-2", 0, rank(v1alpha1.CauseRetry, ""))
	ask("idle-3", 0, rank(v1alpha1.CauseManual, "x"))
	ask("busy", 2, rank(v1alpha1.CausePush, ""))
	var order []string
	for _, holder := range []string{"busy/a-0", "busy/a-1", "busy/a-2", "idle-3/a-0"} {
		h.free(keyNamed(holder))
		order = append(order, h.woken...)
		h.woken = nil
	}
	if want := []string{"busy/a-2", "idle-3/a-0", "idle-2/a-0", "idle-1/a-0"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

// Property: what counts is how many runs the namespace has, not the trigger: many triggers get no
// more than one does.
func TestNamespacesShareAndThenTheirTriggers(t *testing.T) {
	h := newQueueEnv(6)
	for n := range 6 {
		h.take(within("many", fmt.Sprint("t", n), 0, 10))
	}
	for n := range 6 {
		for m := range 3 {
			h.take(within("many", fmt.Sprint("t", n), 1+m, 10))
		}
		h.take(within("one", "a", n, 10))
	}
	h.woken = nil
	granted := map[string]int{}
	for n := range 6 {
		h.free(within("many", fmt.Sprint("t", n), 0, 10).key)
	}
	for _, key := range h.woken {
		namespace, name, _ := strings.Cut(key, "/")
		trigger, _, _ := strings.Cut(name, "-")
		granted[namespace]++
		granted[namespace+"/"+trigger]++
	}
	if granted["one"] != 3 || granted["many"] != 3 {
		t.Errorf("of 6 slots the namespaces got %v, want 3 each", granted)
	}
	for trigger, n := range granted {
		if strings.HasPrefix(trigger, "many/") && n > 1 {
			t.Errorf("trigger %s got %d slots while others of its namespace wait", trigger, n)
		}
	}
}

// runOf is an entry whose run was requested at a time.
func (h *queueEnv) runOf(w slotRequest, requested time.Time) *v1alpha1.ImageVerification {
	h.rv++
	e := entryOf(w, true, h.rv)
	e.Status.Runs[0].RequestedAt = metav1.NewMicroTime(requested)
	return e
}

// Property: a run holds a slot of all triggers for the operator's time, and one of its own
// trigger for as long as it takes.
func TestARunThatTakesTooLongHoldsItsTriggersSlotOnly(t *testing.T) {
	h := newLimitedEnv(runLimits{most: 4, longest: 2 * time.Hour})
	for n := range 4 {
		h.take(within("slow", "a", n, 4))
		h.note(h.runOf(within("slow", "a", n, 4), noon.Add(time.Duration(n)*time.Minute)))
	}
	h.takes(within("victim", "v", 0, 10), within("victim", "v", 1, 10), within("slow", "a", 9, 4))
	h.at = noon.Add(2*time.Hour - time.Second)
	h.ask(within("victim", "v", 0, 10))
	h.wantWoken(t)
	h.at = noon.Add(2 * time.Hour) // of the first one
	h.ask(within("victim", "v", 1, 10))
	h.wantWoken(t, "victim/v-0")
	h.at = noon.Add(3 * time.Hour)
	if h.take(within("slow", "a", 9, 4)) {
		t.Error("the slow trigger has a fifth run")
	}
	h.wantWoken(t, "victim/v-1")
	for _, d := range h.depths() {
		if d.trigger.Namespace == "slow" && (d.underway != 4 || d.overdue != 4) {
			t.Errorf("%d under way, %d of them overdue, want 4 and 4", d.underway, d.overdue)
		}
	}
	h.seen(within("slow", "a", 0, 4), false)
	h.wantWoken(t, "slow/a-9")
	// A process that starts later knows by the ledger.
	later := newLimitedEnv(runLimits{most: 1, longest: 2 * time.Hour})
	later.at = noon.Add(3 * time.Hour)
	later.note(later.runOf(within("slow", "a", 1, 4), noon))
	if later.used != 0 || !later.take(within("victim", "v", 0, 10)) {
		t.Error("a run that took too long holds a slot after a restart")
	}
	for n := range 4 {
		h.gone(within("slow", "a", n, 4).key)
	}
	h.gone(within("slow", "a", 9, 4).key)
	h.gone(within("victim", "v", 0, 4).key)
	h.gone(within("victim", "v", 1, 4).key)
	if h.used != 0 || len(h.spaces) != 0 || len(h.tenants) != 0 {
		t.Errorf("%d used, %d namespaces, %d triggers; want nothing", h.used, len(h.spaces), len(h.tenants))
	}
}

// Property: renewals whose runs do not appear, or never end, keep no other namespace's renewals
// from theirs.
func TestRenewalsThatNeverEndLeaveRoomForOthers(t *testing.T) {
	for _, test := range []struct {
		name  string
		state func(*queueEnv, *v1alpha1.ImageVerification)
	}{
		{"they do not appear", func(_ *queueEnv, e *v1alpha1.ImageVerification) {
			e.Status.Reason, e.Status.Runs[0].Attempts = "SinkUnreachable", 1
		}},
		{"they take too long", func(h *queueEnv, _ *v1alpha1.ImageVerification) { h.at = noon.Add(3 * time.Hour) }},
		{"they run", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := shared()
			low := func(namespace string, n int) slotRequest {
				r := within(namespace, "a", n, 100)
				r.rank = renewalOf("a", n, 100).rank
				return r
			}
			for n := range 20 {
				r := low("hostile", n)
				if h.ask(r) {
					e := h.runOf(r, noon)
					e.Status.Runs[0].Cause = renewal
					if test.state != nil {
						test.state(h, e)
					}
					h.note(e)
				}
			}
			if !h.ask(low("victim", 0)) {
				t.Error("another namespace's renewal has no slot")
			}
		})
	}
}

// Property: a slot goes to the namespace with the fewest runs, and there to the trigger with the
// fewest, not to each in turn.
func TestTheFewestRunsGoFirst(t *testing.T) {
	for _, test := range []struct {
		name         string
		heavy, light func(n int) slotRequest
	}{
		{"of the namespaces", func(n int) slotRequest { return within("heavy", "a", n, 100) }, func(n int) slotRequest { return within("light", "a", n, 100) }},
		{"of the triggers", func(n int) slotRequest { return within("team", "heavy", n, 100) }, func(n int) slotRequest { return within("team", "light", n, 100) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newQueueEnv(6)
			h.takes(several(5, test.heavy)...)
			h.take(test.light(0))
			for n := range 5 {
				h.takes(test.heavy(10+n), test.light(10+n))
			}
			h.free(test.heavy(0).key)
			h.free(test.heavy(1).key)
			h.wantWoken(t, test.light(10).key.String(), test.light(11).key.String())
		})
	}
}

// Property: a namespace that comes anew does not go before one with as few runs that waits.
func TestNoNamespaceStarves(t *testing.T) {
	h := newQueueEnv(1)
	h.takes(within("patient", "a", 0, 10), within("patient", "a", 1, 10), within("new", "a", 0, 10))
	h.free(within("patient", "a", 0, 10).key)
	h.wantWoken(t, "patient/a-1")
}

// What an entry waits for is told by the narrowest bound, which changes most rarely.
func TestTheNarrowestBoundIsTold(t *testing.T) {
	h := shared()
	h.takes(several(20, func(n int) slotRequest { return within("hostile", "a", n, 100) })...)
	h.takes(within("victim", "v", 0, 2), within("victim", "v", 1, 2), within("victim", "v", 2, 2), within("victim", "other", 0, 2))
	for key, want := range map[types.NamespacedName]lifecycle.Slot{
		within("hostile", "a", 9, 100).key:    {State: lifecycle.SlotQueued, Share: 8},
		within("victim", "v", 2, 2).key:       {State: lifecycle.SlotQueued}, // its trigger's own
		within("victim", "other", 0, 2).key:   {State: lifecycle.SlotQueued, Bound: 10},
		{Namespace: "victim", Name: "nobody"}: {State: lifecycle.SlotQueued, Bound: 10},
	} {
		if got := h.holdup(key); got != want {
			t.Errorf("%s waits for %+v, want %+v", key, got, want)
		}
	}
}
