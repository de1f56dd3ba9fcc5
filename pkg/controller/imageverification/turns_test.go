package imageverification_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
)

// hanging is a sink, a registry and an API server that do not answer for the world's namespace.
type hanging struct {
	imageverification.Sink
	imageverification.Facts
	imageverification.Ledger
	sends, reads, writes bool
	begun                chan struct{}
	release              chan struct{}
	t                    *testing.T
	hung                 atomic.Int32
}

func (h *hanging) hang(of string, hangs bool) {
	if of != namespace || !hangs {
		return
	}
	select {
	case <-h.release:
		return
	default:
	}
	if h.hung.Add(1) > 4 {
		h.t.Error("more than four wait for what hangs")
		return
	}
	h.begun <- struct{}{}
	<-h.release
}

func (h *hanging) Send(ctx context.Context, t *v1alpha1.ImageTrigger, e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus) error {
	h.hang(t.Namespace, h.sends)
	return h.Sink.Send(ctx, t, e, run)
}

func (h *hanging) Read(ctx context.Context, t *v1alpha1.ImageTrigger, e *v1alpha1.ImageVerification, labels []string) (*imageverification.Image, error) {
	h.hang(t.Namespace, h.reads)
	return h.Facts.Read(ctx, t, e, labels)
}

func (h *hanging) UpdateStatus(ctx context.Context, e *v1alpha1.ImageVerification, mutate func(*v1alpha1.ImageVerificationStatus)) (*v1alpha1.ImageVerification, error) {
	h.hang(e.Namespace, h.writes)
	return h.Ledger.UpdateStatus(ctx, e, mutate)
}

// elsewhere records a push for a trigger of another namespace.
func (w *world) elsewhere() types.NamespacedName {
	w.t.Helper()
	other := w.newTrigger([]func(*v1alpha1.ImageTrigger){func(t *v1alpha1.ImageTrigger) { t.Namespace = "victim" }})
	pull, err := image.ParseRepository("registry.example.com/victim/app")
	w.must(err)
	result, err := w.ledger.Record(w.t.Context(), other, push.Push{
		Repository: push.Repository{Kind: push.ImageStream, Name: "victim/app", UID: "stream-uid"},
		Tag:        "v1", Digest: digest, PushedAt: pushed, Pull: pull, Reason: push.NewHead,
	}, nil, v1alpha1.SourceEvent, w.clock())
	w.must(err)
	return client.ObjectKeyFromObject(result.Entry)
}

// Property: sinks and registries of one namespace that hang take four workers, and another
// namespace's push has its run; when they answer, all that waited goes on.
func TestWhatHangsHoldsUpItsOwnNamespaceAlone(t *testing.T) {
	for _, test := range []struct {
		name string
		what *hanging
		not  bool // ready
	}{
		{"a sink that takes the connection and hangs", &hanging{sends: true}, false},
		{"a registry that does not answer", &hanging{reads: true}, false},
		{"writes that say where a run stands", &hanging{writes: true}, false},
		{"writes that say what an entry waits for", &hanging{writes: true}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			h := test.what
			h.t, h.begun, h.release = t, make(chan struct{}), make(chan struct{})
			w.interpose = func(o *imageverification.Options) {
				h.Sink, h.Facts, h.Ledger = o.Sink, o.Facts, o.Ledger
				o.Sink, o.Facts, o.Ledger = h, h, h
			}
			w.restart()
			if test.not {
				w.trigger.MarkSinkUnresolved("SinkNotFound", "no such listener", w.clock())
				w.must(w.client.Status().Update(t.Context(), w.trigger))
			}
			phase := map[bool]v1alpha1.Phase{false: v1alpha1.PhaseRunning, true: v1alpha1.PhasePending}[test.not]
			var keys []types.NamespacedName
			for n := range 8 {
				keys = append(keys, w.pushDigest("v1", numbered(fmt.Sprint(10+n)), pushed))
			}
			victim := w.elsewhere()
			var passes sync.WaitGroup
			for _, key := range keys[:4] {
				passes.Go(func() { _ = w.reconciler.Reconcile(context.Background(), key.String()) })
				select {
				case <-h.begun:
				case <-time.After(20 * time.Second):
					t.Fatal("nothing was asked within 20 s")
				}
			}
			for _, key := range keys[4:] {
				err := w.reconciler.Reconcile(t.Context(), key.String())
				if again, after := controller.IsRequeueKey(err); !again || after != 30*time.Second {
					t.Errorf("entry %s: %v, want it to wait", key, err)
				}
			}
			if after, err := w.step(keys[7]); err != nil || after == 0 { // an event, while it waits
				t.Errorf("%s: again after %s, %v", keys[7], after, err)
			}
			w.work(victim, time.Second)
			if e := w.entry(victim); e.Status.CurrentRun() == nil || e.Status.CurrentRun().FiredAt == nil {
				t.Errorf("the entry of another namespace is %s/%s, want its request sent", e.Status.Phase, e.Status.Reason)
			}
			w.queue.take()
			close(h.release)
			passes.Wait()
			if woken := w.queue.take(); !slices.Contains(woken, keys[4]) {
				t.Errorf("woken: %v, want those that wait", woken)
			}
			for _, key := range keys {
				w.work(key, time.Second)
				if e := w.entry(key); e.Status.Phase != phase {
					t.Errorf("entry %s is %s/%s", key, e.Status.Phase, e.Status.Reason)
				}
			}
			if got := w.reconciler.Turns(); got != 0 {
				t.Errorf("%d have a turn, or wait for one", got)
			}
		})
	}
}
