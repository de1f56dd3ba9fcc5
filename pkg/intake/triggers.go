package intake

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/selector"
	"github.com/revet-dev/revet/pkg/source"
)

// Trigger is an ImageTrigger with its selectors compiled.
type Trigger struct {
	*v1alpha1.ImageTrigger
	selector *selector.Selector
}

func (t *Trigger) account() source.Account { return source.AccountOf(t.ImageTrigger) }

// Triggers holds the triggers that can be used, compiled once. It is fed by an
// informer and safe for concurrent use.
type Triggers struct {
	// refused is told of a trigger whose selectors cannot be compiled. The
	// controller says so in the trigger's conditions; its pushes are recovered by
	// a sweep once it is repaired.
	refused func(*v1alpha1.ImageTrigger, error)

	mu   sync.Mutex // of writers
	list atomic.Pointer[triggerList]
}

type triggerList struct {
	triggers []*Trigger // by namespace and name
	// streams and otherNamespaces tell whether any selects ImageStreams, and
	// whether any needs namespaces' labels for it.
	streams         bool
	otherNamespaces bool
}

// NewTriggers returns an empty set.
func NewTriggers(refused func(*v1alpha1.ImageTrigger, error)) *Triggers {
	t := &Triggers{refused: refused}
	t.list.Store(&triggerList{})
	return t
}

// Len returns how many triggers there are.
func (t *Triggers) Len() int { return len(t.snapshot().triggers) }

func (t *Triggers) snapshot() *triggerList { return t.list.Load() }

// Handler feeds the set; add it to an informer of ImageTriggers.
func (t *Triggers) Handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { t.observe(obj) },
		UpdateFunc: func(_, obj any) { t.observe(obj) },
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if trigger, ok := obj.(*v1alpha1.ImageTrigger); ok {
				t.replace(trigger, nil)
			}
		},
	}
}

func (t *Triggers) observe(obj any) {
	trigger, ok := obj.(*v1alpha1.ImageTrigger)
	if !ok {
		return
	}
	if trigger.DeletionTimestamp != nil {
		t.replace(trigger, nil)
		return
	}
	compiled, err := selector.Compile(trigger)
	if err != nil {
		t.replace(trigger, nil)
		t.refused(trigger, err)
		return
	}
	t.replace(trigger, &Trigger{trigger, compiled})
}

// replace makes a new list, so that readers need no lock.
func (t *Triggers) replace(old *v1alpha1.ImageTrigger, by *Trigger) {
	t.mu.Lock()
	defer t.mu.Unlock()
	triggers := slices.Clone(t.list.Load().triggers)
	i, found := slices.BinarySearchFunc(triggers, old, func(have *Trigger, want *v1alpha1.ImageTrigger) int {
		if c := strings.Compare(have.Namespace, want.Namespace); c != 0 {
			return c
		}
		return strings.Compare(have.Name, want.Name)
	})
	switch {
	case found && by != nil:
		triggers[i] = by
	case found:
		triggers = slices.Delete(triggers, i, i+1)
	case by != nil:
		triggers = slices.Insert(triggers, i, by)
	}
	next := &triggerList{triggers: triggers}
	for _, trigger := range triggers {
		streams, others := trigger.selector.SelectsStreams()
		next.streams = next.streams || streams
		next.otherNamespaces = next.otherNamespaces || others
	}
	t.list.Store(next)
}
