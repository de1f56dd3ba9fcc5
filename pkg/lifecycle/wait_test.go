package lifecycle_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Property: an entry goes on waiting for what its status says that it waits for. Writing
// that down must not change the decision: each write wakes the entry again.
func TestAWaitThatIsRecordedIsStillAWait(t *testing.T) {
	const p, r = v1alpha1.CausePush, v1alpha1.CauseRetry
	manual := func(e *v1alpha1.ImageVerification) *v1alpha1.ImageVerification {
		e.Spec.Requests = []string{"once-more"}
		return e
	}
	open := entry(tags(tag("v1", time.Minute, 0)))
	classCreated := func(retries int) lifecycle.Trigger {
		return trigger(func(t *lifecycle.Trigger) { t.Retries, t.ClassSince = retries, now.Add(time.Second) })
	}
	entries := map[string]struct {
		entry   *v1alpha1.ImageVerification
		trigger lifecycle.Trigger
	}{
		"a push":                               {open, ready()},
		"a run that vanished":                  {endOf(ready(), lifecycle.Vanished, p), ready()},
		"a retry that is due":                  {endOf(ready(), lifecycle.RunFailed, p), ready()},
		"a replay after the last retry":        {manual(endOf(ready(), lifecycle.RunFailed, p, r, r)), ready()},
		"a class that was created":             {endOf(ready(), lifecycle.SandboxUnavailable, p, r, r), classCreated(2)},
		"a class that was created, no retries": {endOf(trigger(func(t *lifecycle.Trigger) { t.Retries = 0 }), lifecycle.SandboxUnavailable, p), classCreated(0)},
	}
	waits := map[string]func(*lifecycle.Facts){
		"the trigger": func(f *lifecycle.Facts) { f.Trigger.Ready, f.Trigger.Reason = false, "SinkNotFound" },
		"the sink":    func(f *lifecycle.Facts) { f.Trigger.PausedUntil = now.Add(24 * time.Hour) },
		"a slot":      slot(lifecycle.Slot{State: lifecycle.SlotQueued}),
		"the route": func(f *lifecycle.Facts) {
			f.Routing = lifecycle.Routing{State: lifecycle.RoutingFailed, Error: "no key"}
		},
	}
	at := now.Add(time.Hour) // each retry is due
	for what, of := range entries {
		for why, wait := range waits {
			t.Run(what+" waits for "+why, func(t *testing.T) {
				e, f := of.entry.DeepCopy(), known(of.trigger, nobody)
				wait(&f)
				first := lifecycle.Next(e, f, at)
				if first.Action != lifecycle.Wait || !first.Hold {
					t.Fatalf("%s %s, want a Wait that is recorded", first.Action, first.Reason)
				}
				lifecycle.RecordWait(&e.Status, first.Reason, first.Message, at)
				if diff := cmp.Diff(first, lifecycle.Next(e, f, at)); diff != "" {
					t.Errorf("decided again (-first +second):\n%s", diff)
				}
			})
		}
	}
}
