package imageverification

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/sandbox"
)

// memory is what a process remembers between two passes. All of it may be lost:
// it saves requests, and nothing is right only because of it.
type memory struct {
	mu sync.Mutex
	// written are entries as last written, until the cache has caught up. With
	// an older state a pass would decide what was decided already.
	written map[types.NamespacedName]*v1alpha1.ImageVerification
	// sent are requests that were sent and not recorded yet, by run. Without it
	// they would be sent again, for nothing.
	sent map[string]sent
	// started are runs whose Pods were looked at, and had started.
	started map[string]bool
	// pauses are until when a trigger's sink wants to be left alone, by its UID.
	pauses map[string]time.Time
	// unread is since when it is tried to read what is known of an entry's image.
	unread map[types.NamespacedName]time.Time
}

type sent struct {
	key   types.NamespacedName
	at    time.Time
	err   error
	facts *v1alpha1.ImageFacts
	// route is where run 1 was asked to execute.
	route sandbox.Route
	// trigger is what it was when the request was sent.
	trigger lifecycle.Trigger
}

func newMemory() *memory {
	return &memory{
		written: map[types.NamespacedName]*v1alpha1.ImageVerification{}, sent: map[string]sent{}, started: map[string]bool{},
		pauses: map[string]time.Time{}, unread: map[types.NamespacedName]time.Time{},
	}
}

func keyOf(entry *v1alpha1.ImageVerification) types.NamespacedName {
	return types.NamespacedName{Namespace: entry.Namespace, Name: entry.Name}
}

func (m *memory) wrote(entry *v1alpha1.ImageVerification) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.written[keyOf(entry)] = entry
}

// forget drops an entry as it was written: another writer's state is newer.
func (m *memory) forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.written, key)
}

// drop forgets all of an entry that is gone.
func (m *memory) drop(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.written, key)
	delete(m.unread, key)
	maps.DeleteFunc(m.sent, func(_ string, s sent) bool { return s.key == key })
}

// freshest returns the later of what the cache has and what was written.
func (m *memory) freshest(cached *v1alpha1.ImageVerification) *v1alpha1.ImageVerification {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := keyOf(cached)
	own, ok := m.written[key]
	if !ok {
		return cached
	}
	order, err := resourceversion.CompareResourceVersion(own.ResourceVersion, cached.ResourceVersion)
	if err != nil || order <= 0 || own.UID != cached.UID {
		delete(m.written, key)
		return cached
	}
	return own.DeepCopy()
}

func (m *memory) didSend(run string, s sent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent[run] = s
}

func (m *memory) wasSent(run string) (sent, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sent[run]
	return s, ok
}

func (m *memory) recordedSend(run string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sent, run)
}

func (m *memory) didStart(run string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.started[run] = true
}

func (m *memory) hasStarted(run string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.started[run]
}

func (m *memory) ended(run string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.started, run)
}

// pause leaves a trigger's sink alone until the latest of what it asked for.
func (m *memory) pause(trigger string, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if until.After(m.pauses[trigger]) {
		m.pauses[trigger] = until
	}
}

func (m *memory) paused(trigger string) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pauses[trigger]
}

// unreadableSince returns since when an entry's image could not be read, now included.
func (m *memory) unreadableSince(key types.NamespacedName, now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.unread[key]; !ok {
		m.unread[key] = now
	}
	return m.unread[key]
}

func (m *memory) wasRead(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.unread, key)
}

// clear is for when leadership changes: what another leader wrote is newer.
func (m *memory) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.written)
	clear(m.started)
	clear(m.sent)
	clear(m.pauses)
	clear(m.unread)
}
