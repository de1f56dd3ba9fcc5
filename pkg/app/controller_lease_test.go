package app

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	kle "knative.dev/pkg/leaderelection"
	"knative.dev/pkg/reconciler"
)

// leaseWorld is an API server's Leases, and a clock.
type leaseWorld struct {
	t      *testing.T
	kube   *fake.Clientset
	leases *leases

	mu  sync.Mutex
	now time.Time
}

func newLeaseWorld(t *testing.T) *leaseWorld {
	w := &leaseWorld{t: t, kube: fake.NewClientset(), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	w.leases = newLeases("me", func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.now
	})
	return w
}

func (w *leaseWorld) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func lease(holder string, seconds int32) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: "bucket"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds},
	}
}

func (w *leaseWorld) create(holder string) {
	w.t.Helper()
	_, err := w.leases.watch(w.kube).CoordinationV1().Leases("revet-system").Create(w.t.Context(), lease(holder, 15), metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *leaseWorld) update(holder string, seconds int32) error {
	_, err := w.leases.watch(w.kube).CoordinationV1().Leases("revet-system").Update(w.t.Context(), lease(holder, seconds), metav1.UpdateOptions{})
	return err
}

func (w *leaseWorld) holds() bool {
	_, release, ok := w.leases.hold(w.t.Context(), "bucket")
	if ok {
		release()
	}
	return ok
}

func TestALeaseIsHeldFromItsWriteUntilShortlyBeforeItsEnd(t *testing.T) {
	w := newLeaseWorld(t)
	if w.holds() {
		t.Error("held before it was written")
	}
	w.create("me")
	if !w.holds() {
		t.Error("not held after it was written")
	}
	w.pass(10 * time.Second)
	held, release, ok := w.leases.hold(t.Context(), "bucket")
	if !ok {
		t.Fatal("not held 10 s after it was written for 15 s")
	}
	defer release()
	deadline, _ := held.Deadline()
	if left := time.Until(deadline); left > 4*time.Second || left < 3*time.Second {
		t.Errorf("what is held for 10 of 15 s may go on for %v, want 4 s", left)
	}
	w.pass(2 * time.Second)
	if w.holds() {
		t.Error("held with less left than a request may take")
	}
	if err := w.update("me", 15); err != nil || !w.holds() {
		t.Errorf("not held after it was renewed (%v)", err)
	}
}

func TestALeaseCountsFromBeforeItsWriteBegan(t *testing.T) {
	w := newLeaseWorld(t)
	w.create("me")
	w.pass(time.Minute)
	w.kube.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
		w.pass(12 * time.Second) // a slow API server
		return false, nil, nil
	})
	if err := w.update("me", 15); err != nil {
		t.Fatal(err)
	}
	if w.holds() {
		t.Error("held, though others may have counted for 12 of its 15 s")
	}
}

func TestALeaseIsNotHeldByAWriteThatFailedOrIsAnothers(t *testing.T) {
	w := newLeaseWorld(t)
	w.create("somebody else")
	if w.holds() {
		t.Error("somebody else's lease is held")
	}
	w.kube.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("conflict")
	})
	if err := w.update("me", 15); err == nil || w.holds() {
		t.Errorf("held after a write that failed (%v)", err)
	}
}

// Property: a lease is given up only after what it allowed has ended, and
// nothing more is allowed from then on.
func TestGivingALeaseUpWaitsForWhatItAllowed(t *testing.T) {
	w := newLeaseWorld(t)
	w.create("me")
	_, release, ok := w.leases.hold(t.Context(), "bucket")
	if !ok {
		t.Fatal("not held")
	}
	given := make(chan error, 1)
	go func() { given <- w.update("", 1) }()
	deadline := time.Now().Add(5 * time.Second)
	for w.holds() {
		if time.Now().After(deadline) {
			t.Fatal("still held 5 s after it began to be given up")
		}
	}
	select {
	case <-given:
		t.Fatal("given up while something was under way")
	default:
	}
	release()
	select {
	case err := <-given:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("not given up 5 s after the last ended")
	}
}

// The leader election of Knative and this package agree on the buckets.
func TestEachKeyIsHeldUnderTheLeaseOfItsBucket(t *testing.T) {
	w := newLeaseWorld(t)
	t.Setenv("SYSTEM_NAMESPACE", "revet-system")
	config := &kle.Config{Buckets: 3, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 10 * time.Millisecond}
	g, component := w.leases.guard(config, "imageverification")
	if component.Identity != "me" {
		t.Errorf("identity %q", component.Identity)
	}
	key := types.NamespacedName{Namespace: "demo", Name: "entry"}
	if _, _, ok := g.Hold(t.Context(), key); ok {
		t.Error("held before the election")
	}
	ctx, cancel := context.WithCancel(kle.WithStandardLeaderElectorBuilder(t.Context(), w.leases.watch(w.kube), component))
	led := &led{}
	elector, err := kle.BuildElector(ctx, led, "imageverification", func(reconciler.Bucket, types.NamespacedName) {})
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); elector.Run(ctx) }()
	deadline := time.Now().Add(10 * time.Second)
	for tick := time.Tick(time.Millisecond); led.count.Load() < 3; <-tick {
		if time.Now().After(deadline) {
			t.Fatalf("leads %d of 3 buckets after 10 s", led.count.Load())
		}
	}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		key := types.NamespacedName{Namespace: "demo", Name: name}
		_, release, ok := g.Hold(t.Context(), key)
		if !ok {
			t.Errorf("key %s is not held", key)
			continue
		}
		release()
	}
	cancel()
	<-stopped
	if _, _, ok := g.Hold(t.Context(), key); ok {
		t.Error("held after the election ended")
	}
}

// led counts the buckets that are led.
type led struct{ count atomic.Int32 }

func (l *led) Promote(reconciler.Bucket, func(reconciler.Bucket, types.NamespacedName)) error {
	l.count.Add(1)
	return nil
}

func (l *led) Demote(reconciler.Bucket) {}
