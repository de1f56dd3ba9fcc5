//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
)

// writesAtOnce is how many entries are written at once before anything is measured.
const writesAtOnce = 16

// ledger writes entries with verdicts, as the controller does.
type ledger struct {
	client  client.Client
	trigger *v1alpha1.ImageTrigger
	tags    int

	next atomic.Int64
	// conflicts counts the writes that the controller's own came before.
	conflicts atomic.Int64

	mu sync.Mutex
	// passed are entries that may fail, the oldest first.
	passed []*v1alpha1.ImageVerification
}

// verdict is one that was written.
type verdict struct {
	entry   *v1alpha1.ImageVerification
	outcome v1alpha1.Outcome
	// asked is just before the request that wrote it.
	asked time.Time
}

func (v verdict) image() string { return repository + "@" + v.entry.Spec.Digest }

// newLedger makes a trigger that nothing fires for.
func (b *bed) newLedger(ctx context.Context) (*ledger, error) {
	l := &ledger{client: b.writer, tags: b.options.tags}
	l.trigger = &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: ledgerNamespace, Name: triggerName},
		Spec: v1alpha1.ImageTriggerSpec{
			Images: []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{Names: []string{"none"}}}},
			Sink:   v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "none"}},
		},
	}
	return l, b.make(ctx, namespaceOf(ledgerNamespace), l.trigger)
}

// pass records the push of a new digest, and that it passed.
func (l *ledger) pass(ctx context.Context) (verdict, error) {
	n := int(l.next.Add(1))
	tag := n
	if l.tags > 0 {
		tag = n % l.tags
	}
	r := v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: repository, Pull: repository}
	e, err := rig.NewEntry(l.trigger, r, "sha256:"+hexOf("pushed", n), fmt.Sprintf("b%d", tag), time.Now())
	if err != nil {
		return verdict{}, err
	}
	if err := l.client.Create(ctx, e); err != nil {
		return verdict{}, fmt.Errorf("recording a push: %w", err)
	}
	return l.conclude(ctx, e, v1alpha1.OutcomePass)
}

// conclude writes a verdict into an entry.
func (l *ledger) conclude(ctx context.Context, e *v1alpha1.ImageVerification, outcome v1alpha1.Outcome) (verdict, error) {
	for {
		changed := e.DeepCopy()
		rig.Conclude(changed, outcome, time.Now())
		v := verdict{entry: changed, outcome: outcome, asked: time.Now()}
		err := l.client.Status().Update(ctx, changed)
		if err == nil {
			return v, nil
		}
		if !apierrors.IsConflict(err) {
			return verdict{}, fmt.Errorf("writing a verdict: %w", err)
		}
		l.conflicts.Add(1)
		if err := l.client.Get(ctx, client.ObjectKeyFromObject(e), e); err != nil {
			return verdict{}, fmt.Errorf("reading an entry again: %w", err)
		}
	}
}

// keep notes a digest that may fail later.
func (l *ledger) keep(e *v1alpha1.ImageVerification) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passed = append(l.passed, e)
}

// oldest takes the digest that passed longest ago.
func (l *ledger) oldest() (*v1alpha1.ImageVerification, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.passed) == 0 {
		return nil, false
	}
	e := l.passed[0]
	l.passed = l.passed[1:]
	return e, true
}

// fill records digests that passed.
func (l *ledger) fill(ctx context.Context, number int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writesAtOnce)
	for range number {
		group.Go(func() error {
			v, err := l.pass(ctx)
			if err == nil {
				l.keep(v.entry)
			}
			return err
		})
	}
	return group.Wait()
}
