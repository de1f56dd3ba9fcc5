package sweep

import (
	"fmt"
	"sync"

	"github.com/revet-dev/revet/pkg/source"
)

// names counts the bytes of the names that sweeps hold, by the namespace of the trigger: a list
// of a registry is as long as the registry wants. It is safe for concurrent use.
type names struct {
	most int

	mu   sync.Mutex
	held map[string]int
}

func newNames(most int) *names { return &names{most: most, held: map[string]int{}} }

// nameCost is what a name takes beside its bytes.
const nameCost = 32

// hold takes room for a name, whose size it returns, unless the namespace holds too many.
func (n *names) hold(namespace, name string) (size int, tooMany bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	size = len(name) + nameCost
	if n.held[namespace]+size > n.most {
		return 0, true
	}
	n.held[namespace] += size
	return size, false
}

// release gives back what a list held.
func (n *names) release(namespace string, size int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.held[namespace] -= size; n.held[namespace] <= 0 {
		delete(n.held, namespace)
	}
}

// tooMany says that a namespace's sweeps hold too many names to read on.
func (n *names) tooMany(namespace string) error {
	return &source.Refusal{Reason: source.Unreadable, Err: fmt.Errorf(
		"the lists that sweeps of namespace %q read at once have more than %d bytes of names", namespace, n.most)}
}
