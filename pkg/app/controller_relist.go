package app

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// relistWatcher notices when the watch of ImageVerifications starts over with a list:
// its server was away for longer than it remembers, or restarted. Sources of events,
// which Revet cannot inspect, lost what happened meanwhile.
type relistWatcher struct {
	// onRelist is called after each list but the first.
	onRelist func()
	// rest requests ImageVerifications; without it, they are watched as all other kinds.
	rest rest.Interface
}

// informer makes an informer as the cache would, and observes the lists of entries, of which it
// decodes many at its start.
func (r relistWatcher) informer(lw toolscache.ListerWatcher, object runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	if _, ledger := object.(*v1alpha1.ImageVerification); ledger {
		watched := toolscache.ToListerWatcherWithContext(lw)
		if r.rest != nil {
			watched = entriesWatch{ListerWatcherWithContext: watched, rest: r.rest}
		}
		lw = &observedLists{ListerWatcherWithContext: watched, onRelist: r.onRelist}
	}
	return toolscache.NewSharedIndexInformer(lw, object, resync, indexers)
}

// observedLists reports each start of a watch but the first. A start is a list, or a
// watch that begins with what a list would return.
type observedLists struct {
	toolscache.ListerWatcherWithContext
	onRelist func()

	mu sync.Mutex
	// started is true once the first list was read.
	started bool
}

// ListWithContext implements toolscache.ListerWithContext.
func (n *observedLists) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	list, err := n.ListerWatcherWithContext.ListWithContext(ctx, o)
	if err == nil && o.Continue == "" {
		n.start()
	}
	return list, err
}

// WatchWithContext implements toolscache.WatcherWithContext.
func (n *observedLists) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	w, err := n.ListerWatcherWithContext.WatchWithContext(ctx, o)
	if err == nil && o.SendInitialEvents != nil && *o.SendInitialEvents {
		n.start()
	}
	return w, err
}

// List implements toolscache.Lister.
func (n *observedLists) List(o metav1.ListOptions) (runtime.Object, error) {
	return n.ListWithContext(context.Background(), o)
}

// Watch implements toolscache.Watcher.
func (n *observedLists) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return n.WatchWithContext(context.Background(), o)
}

func (n *observedLists) start() {
	n.mu.Lock()
	again := n.started
	n.started = true
	n.mu.Unlock()
	if again {
		n.onRelist()
	}
}
