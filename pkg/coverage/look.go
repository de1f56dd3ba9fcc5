package coverage

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/sweep"
)

// look is a ledger for sweeps that writes nothing and notes what they find.
type look struct {
	index  *ledger.Index
	ledger *ledger.Ledger

	mu    sync.Mutex
	found map[types.UID]*found
}

// found is what a sweep found for a trigger. A list that begins again shows it twice.
type found struct {
	covered map[push.Observation]bool
	open    map[push.Observation]open
	// exempt cannot run; doubted could not be read.
	exempt  map[place]image.Runnability
	doubted map[place]error
}

// place is a digest under a tag.
type place struct {
	repository push.Repository
	tag        string
	digest     image.Digest
}

// open is a push that was not covered.
type open struct {
	push   push.Push
	source v1alpha1.PushSource
}

var (
	_ sweep.Ledger   = (*look)(nil)
	_ sweep.Examiner = (*look)(nil)
)

func newLook(entries []v1alpha1.ImageVerification, now func() time.Time) *look {
	l := &look{index: ledger.NewIndex(now), found: map[types.UID]*found{}}
	// It has no client: what is never asked to record needs none.
	l.ledger = ledger.New(nil, l.index)
	for i := range entries {
		l.observe(&entries[i])
	}
	return l
}

func (l *look) observe(e *v1alpha1.ImageVerification) { l.index.Handler().OnAdd(e, false) }

func (l *look) of(trigger types.UID) *found {
	f := l.found[trigger]
	if f == nil {
		f = &found{covered: map[push.Observation]bool{}, open: map[push.Observation]open{},
			exempt: map[place]image.Runnability{}, doubted: map[place]error{}}
		l.found[trigger] = f
	}
	return f
}

// Repositories implements sweep.Ledger.
func (l *look) Repositories(trigger *v1alpha1.ImageTrigger) []push.Repository {
	return l.ledger.Repositories(trigger)
}

// Known implements sweep.Ledger.
func (l *look) Known(trigger *v1alpha1.ImageTrigger, r push.Repository) ledger.Coverage {
	return &noting{Coverage: l.ledger.Known(trigger, r), look: l, trigger: trigger.UID}
}

// Record implements sweep.Ledger: it notes the push, and claims nothing.
func (l *look) Record(_ context.Context, trigger *v1alpha1.ImageTrigger, p push.Push, _ *v1alpha1.ImageFacts, source v1alpha1.PushSource, _ time.Time) (ledger.Result, error) {
	o := push.Observation{Repository: p.Repository, Tag: p.Tag, Digest: p.Digest, Created: p.PushedAt, Head: p.Reason == push.NewHead}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(trigger.UID).open[o] = open{p, source}
	return ledger.Result{Outcome: ledger.Unchanged}, nil
}

// Exempted implements sweep.Examiner.
func (l *look) Exempted(trigger *v1alpha1.ImageTrigger, a sweep.Artefact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(trigger.UID).exempt[place{a.Repository, a.Tag, a.Digest}] = a.Why
}

// Doubted implements sweep.Examiner.
func (l *look) Doubted(trigger *v1alpha1.ImageTrigger, p push.Push, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(trigger.UID).doubted[place{p.Repository, p.Tag, p.Digest}] = err
}

// noting notes what is covered.
type noting struct {
	ledger.Coverage
	look    *look
	trigger types.UID
}

// Covers implements push.Known.
func (n *noting) Covers(o push.Observation) bool {
	if !n.Coverage.Covers(o) {
		return false
	}
	n.look.mu.Lock()
	defer n.look.mu.Unlock()
	n.look.of(n.trigger).covered[o] = true
	return true
}
