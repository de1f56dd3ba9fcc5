package imageverification

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// census counts the entries that the cache has, by trigger and phase. It is kept
// up to date by what changes, so that a scrape costs nothing.
type census struct {
	mu     sync.Mutex
	counts map[standing]int64
}

// standing is what is counted. A trigger that was made anew under its name is
// the same to whoever looks at it.
type standing struct {
	trigger types.NamespacedName
	phase   v1alpha1.Phase
}

func newCensus() *census { return &census{counts: map[standing]int64{}} }

// change counts an entry that was one thing and is another; nil is not there.
func (c *census) change(before, after *v1alpha1.ImageVerification) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before != nil {
		at := standingOf(before)
		if c.counts[at]--; c.counts[at] <= 0 {
			delete(c.counts, at)
		}
	}
	if after != nil {
		c.counts[standingOf(after)]++
	}
}

func (c *census) each(do func(standing, int64)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, n := range c.counts {
		do(at, n)
	}
}

func standingOf(e *v1alpha1.ImageVerification) standing {
	return standing{types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.Trigger.Name}, e.Phase()}
}
