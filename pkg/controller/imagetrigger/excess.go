package imagetrigger

import (
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/selector"
)

// excessFor is for how long a trigger counts as too many without another look.
const excessFor = time.Second

// excess remembers, of each namespace, the oldest trigger that was found to be too many: younger
// ones are as well. So what a namespace has too many is not compared with all that it has, once
// for each. It is safe for concurrent use.
type excess struct {
	mu sync.Mutex
	of map[string]found
}

type found struct {
	metav1.ObjectMeta
	at time.Time
}

func newExcess() *excess { return &excess{of: map[string]found{}} }

// has reports whether a trigger is known to be too many.
func (e *excess) has(trigger *v1alpha1.ImageTrigger, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	f, ok := e.of[trigger.Namespace]
	if !ok {
		return false
	}
	if age := now.Sub(f.at); age < 0 || age >= excessFor {
		delete(e.of, trigger.Namespace)
		return false
	}
	return selector.Older(&v1alpha1.ImageTrigger{ObjectMeta: f.ObjectMeta}, trigger) <= 0
}

// add remembers a trigger that was found to be too many.
func (e *excess) add(trigger *v1alpha1.ImageTrigger, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.of[trigger.Namespace] = found{
		metav1.ObjectMeta{Name: trigger.Name, CreationTimestamp: trigger.CreationTimestamp}, now,
	}
}
