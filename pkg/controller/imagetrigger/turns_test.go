package imagetrigger

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// hangingSinks never answer for one namespace before release is closed.
type hangingSinks struct {
	*fakeCluster
	t         *testing.T
	namespace string
	hung      atomic.Int32
	begun     chan struct{}
	release   chan struct{}
}

func (h *hangingSinks) Resolve(ctx context.Context, namespace string, sink v1alpha1.Sink) (*url.URL, error) {
	select {
	case <-h.release:
		return h.fakeCluster.Resolve(ctx, namespace, sink)
	default:
	}
	switch {
	case namespace != h.namespace:
	case h.hung.Add(1) > slowChecks:
		h.t.Errorf("more than %d checks of one namespace hang", slowChecks)
	default:
		h.begun <- struct{}{}
		<-h.release
	}
	return h.fakeCluster.Resolve(ctx, namespace, sink)
}

// hostile makes a fixture with triggers of a namespace whose checks hang, and the trigger
// team-a/all. The function that it returns checks the named ones until they hang.
func hostile(t *testing.T, n int) (f *fixture, check func(names ...string), release func()) {
	t.Helper()
	objects := []client.Object{testTrigger()}
	for i := range n {
		other := testTrigger()
		other.Namespace, other.Name, other.UID = "hostile", fmt.Sprint("t", i), types.UID(fmt.Sprint("hostile-", i))
		objects = append(objects, other)
	}
	f = newFixture(t, objects...)
	sinks := &hangingSinks{t: t, fakeCluster: f.cluster, namespace: "hostile", begun: make(chan struct{}), release: make(chan struct{})}
	f.Sinks = sinks
	var checks sync.WaitGroup
	release = func() {
		close(sinks.release)
		checks.Wait()
	}
	return f, func(names ...string) {
		for _, name := range names {
			checks.Go(func() { _ = f.Reconcile(context.Background(), "hostile/"+name) })
			select {
			case <-sinks.begun:
			case <-time.After(20 * time.Second):
				t.Fatalf("the check of %s has not begun", name)
			}
		}
	}, release
}

// Property: the checks of one namespace, however many and however slow, keep no other namespace's
// trigger from being checked, and no trigger from being swept.
func TestChecksThatHangHoldUpTheirOwnNamespaceAlone(t *testing.T) {
	f, check, release := hostile(t, 10)
	check("t0", "t1")
	for n := 2; n < 10; n++ {
		err := f.Reconcile(t.Context(), fmt.Sprint("hostile/t", n))
		if again, after := controller.IsRequeueKey(err); !again || after != f.Intervals.NotReady {
			t.Errorf("trigger %d: %v, want it to wait", n, err)
		}
	}
	if got := len(f.sweeps.asked); got != 10 {
		t.Errorf("%d sweeps were requested, want one of each trigger", got)
	}
	if got, after := f.reconcile(t); !got.IsReady() || after != f.Intervals.Ready {
		t.Errorf("the trigger of another namespace: %+v, again after %s", got.Status.Conditions, after)
	}
	f.queue.keys = nil
	release()
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	if !slices.Contains(f.queue.keys, "hostile/t2") {
		t.Errorf("woken: %v, want those that wait", f.queue.keys)
	}
}

// Property: a trigger that waits for its check and is deleted, or led by another process, keeps
// nobody waiting.
func TestATriggerThatIsGoneKeepsNobodyWaiting(t *testing.T) {
	f, check, release := hostile(t, 3)
	check("t0", "t1")
	_ = f.Reconcile(t.Context(), "hostile/t2")
	if got := f.checks.Len(); got != 3 {
		t.Fatalf("%d are checked or wait, want 3", got)
	}
	gone := testTrigger()
	gone.Namespace, gone.Name = "hostile", "t2"
	if err := f.client.Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if err := f.Reconcile(t.Context(), "hostile/t2"); err != nil {
		t.Error(err)
	}
	if got := f.checks.Len(); got != 2 {
		t.Errorf("%d are checked or wait, want 2", got)
	}
	release()
	if got := f.checks.Len(); got != 0 {
		t.Errorf("%d are checked or wait, want none", got)
	}
}
