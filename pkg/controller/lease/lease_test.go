package lease

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	typedcoordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	clienttesting "k8s.io/client-go/testing"
	kle "knative.dev/pkg/leaderelection"
	"knative.dev/pkg/reconciler"
)

// use is how long one use of a lease may take in these tests.
const use = 3 * time.Second

// env is an API server's Leases, in a bubble whose clock moves only while
// everybody sleeps.
type env struct {
	t      *testing.T
	kube   *fake.Clientset
	leases *Leases
}

func newEnv(t *testing.T) *env {
	return &env{t: t, kube: fake.NewClientset(), leases: New("me", use)}
}

func lease(holder string, seconds int32) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: "bucket"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds},
	}
}

func (w *env) create(holder string) {
	w.t.Helper()
	_, err := w.watched().Create(w.t.Context(), lease(holder, 15), metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *env) watched() typedcoordination.LeaseInterface {
	return w.leases.Watch(w.kube).CoordinationV1().Leases("revet-system")
}

func (w *env) update(holder string, seconds int32) error {
	_, err := w.watched().Update(w.t.Context(), lease(holder, seconds), metav1.UpdateOptions{})
	return err
}

func (w *env) holds() bool {
	_, release, ok := w.leases.hold(w.t.Context(), "bucket")
	if ok {
		release()
	}
	return ok
}

func (w *env) writes() bool {
	_, cancel, ok := w.leases.write(w.t.Context(), "bucket")
	if ok {
		cancel()
	}
	return ok
}

func TestALeaseIsHeldFromItsWriteUntilShortlyBeforeItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEnv(t)
		if w.holds() || w.writes() {
			t.Error("held before it was written")
		}
		w.create("me")
		if !w.holds() || !w.writes() {
			t.Error("not held after it was written")
		}
		end := time.Now().Add(15*time.Second - margin)
		time.Sleep(10 * time.Second)
		held, release, ok := w.leases.hold(t.Context(), "bucket")
		if !ok {
			t.Fatal("not held 10 s after it was written for 15 s")
		}
		defer release()
		if deadline, _ := held.Deadline(); !deadline.Equal(end) {
			t.Errorf("what is held may go on until %v, want %v", deadline, end)
		}
		time.Sleep(2 * time.Second)
		if w.holds() {
			t.Error("held with less left than a request may take")
		}
		if !w.writes() {
			t.Error("nothing may be written 2 s before the end")
		}
		time.Sleep(2*time.Second + time.Millisecond)
		synctest.Wait()
		if held.Err() == nil || w.writes() {
			t.Error("held after its end")
		}
		if err := w.update("me", 15); err != nil || !w.holds() {
			t.Errorf("not held after it was renewed (%v)", err)
		}
	})
}

func TestALeaseCountsFromBeforeItsWriteBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEnv(t)
		w.create("me")
		time.Sleep(time.Minute)
		w.kube.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			time.Sleep(12 * time.Second) // a slow API server, or this process was stopped
			return false, nil, nil
		})
		if err := w.update("me", 15); err != nil {
			t.Fatal(err)
		}
		if w.holds() {
			t.Error("held, though others may have counted for 12 of its 15 s")
		}
	})
}

// A machine that sleeps stops one of its clocks, and not the leases of others.
func TestALeaseEndsByWhicheverClockIsFirst(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		name        string
		until, wall time.Time
		left        bool
	}{
		{"both go on", now.Add(time.Hour), now.Add(time.Hour).Round(0), true},
		{"the machine slept", now.Add(time.Hour), now.Add(-time.Second).Round(0), false},
		{"the wall clock was set back", now.Add(-time.Second), now.Add(time.Hour).Round(0), false},
		{"never held", time.Time{}, time.Time{}, false},
	} {
		h := &heldLease{until: test.until, wall: test.wall}
		if left := h.left(); (left > 0) != test.left {
			t.Errorf("%s: %v left", test.name, left)
		}
	}
}

func TestALeaseIsNotHeldByAWriteThatFailedOrIsAnothers(t *testing.T) {
	w := newEnv(t)
	if _, err := w.kube.CoordinationV1().Leases("revet-system").Create(t.Context(), lease("somebody else", 15), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if w.holds() {
		t.Error("somebody else's lease is held")
	}
	w.kube.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("conflict")
	})
	if err := w.update("me", 15); err == nil || w.holds() || w.writes() {
		t.Errorf("held after a write that failed (%v)", err)
	}
}

// Property: a process that goes on after another took its lease does not end
// that one's. The leader election reads the lease for its resourceVersion, and
// would then write that nobody holds it.
func TestALeaseThatAnotherTookIsNotGivenBack(t *testing.T) {
	w := newEnv(t)
	w.create("me")
	if _, err := w.kube.CoordinationV1().Leases("revet-system").Update(t.Context(), lease("another", 15), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.watched().Get(t.Context(), "bucket", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := w.update("", 1); err == nil {
		t.Error("another's lease was given back")
	}
	now, err := w.watched().Get(t.Context(), "bucket", metav1.GetOptions{})
	if err != nil || holderOf(now) != "another" {
		t.Errorf("it is held by %q (%v), want another", holderOf(now), err)
	}
	if w.holds() {
		t.Error("held although another has it")
	}
}

// Property: a lease is not given back while what it allowed goes on for longer
// than is waited for.
func TestALeaseIsNotGivenBackWhileItIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEnv(t)
		w.create("me")
		_, release, ok := w.leases.hold(t.Context(), "bucket")
		if !ok {
			t.Fatal("not held")
		}
		if err := w.update("", 1); err == nil {
			t.Error("given back while something is under way")
		}
		if w.holds() {
			t.Error("allows more after it began to be given up")
		}
		if !w.writes() {
			t.Error("what was allowed cannot be written down")
		}
		release()
		if err := w.update("", 1); err != nil {
			t.Errorf("not given back after that ended: %v", err)
		}
		if w.writes() {
			t.Error("writes after it was given back")
		}
	})
}

// Property: a lease is given up only after what it allowed has ended, and
// nothing more is allowed from then on.
func TestGivingALeaseUpWaitsForWhatItAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEnv(t)
		w.create("me")
		_, release, ok := w.leases.hold(t.Context(), "bucket")
		if !ok {
			t.Fatal("not held")
		}
		given := make(chan error, 1)
		go func() { given <- w.update("", 1) }()
		synctest.Wait()
		if w.holds() {
			t.Error("still held after it began to be given up")
		}
		select {
		case err := <-given:
			t.Fatalf("given up while something was under way (%v)", err)
		default:
		}
		release()
		if err := <-given; err != nil {
			t.Fatal(err)
		}
	})
}

// The leader election of Knative and this package agree on the buckets.
func TestEachKeyIsHeldUnderTheLeaseOfItsBucket(t *testing.T) {
	w := newEnv(t)
	t.Setenv("SYSTEM_NAMESPACE", "revet-system")
	config := &kle.Config{Buckets: 3, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 10 * time.Millisecond}
	g, component := w.leases.Guard(config, "imageverification")
	if component.Identity != "me" {
		t.Errorf("identity %q", component.Identity)
	}
	key := types.NamespacedName{Namespace: "demo", Name: "entry"}
	if _, _, ok := g.Hold(t.Context(), key); ok {
		t.Error("held before the election")
	}
	ctx, cancel := context.WithCancel(kle.WithStandardLeaderElectorBuilder(t.Context(), w.leases.Watch(w.kube), component))
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
