package app

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// gaps notices when the watch of ImageVerifications had to begin again from a list:
// its server went away for longer than it remembers, or was started again. Sources
// of events, which nobody can look into, then lost what happened in between.
type gaps struct {
	mu   sync.Mutex
	told func()
}

// tell makes f be called at each gap from now on.
func (g *gaps) tell(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told = f
}

func (g *gaps) happened() {
	g.mu.Lock()
	told := g.told
	g.mu.Unlock()
	if told != nil {
		told()
	}
}

// informer makes an informer as the cache would, whose lists are noticed.
func (g *gaps) informer(lw toolscache.ListerWatcher, object runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	if _, ledger := object.(*v1alpha1.ImageVerification); ledger {
		lw = &noticedLists{ListerWatcherWithContext: toolscache.ToListerWatcherWithContext(lw), gaps: g}
	}
	return toolscache.NewSharedIndexInformer(lw, object, resync, indexers)
}

// noticedLists tells of each beginning but the first: a list, or a watch that
// brings what a list would.
type noticedLists struct {
	toolscache.ListerWatcherWithContext
	gaps *gaps

	mu sync.Mutex
	// complete: what there was has been read once.
	complete bool
}

// ListWithContext implements toolscache.ListerWithContext.
func (n *noticedLists) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	list, err := n.ListerWatcherWithContext.ListWithContext(ctx, o)
	if err == nil && o.Continue == "" {
		n.began()
	}
	return list, err
}

// WatchWithContext implements toolscache.WatcherWithContext.
func (n *noticedLists) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	w, err := n.ListerWatcherWithContext.WatchWithContext(ctx, o)
	if err == nil && o.SendInitialEvents != nil && *o.SendInitialEvents {
		n.began()
	}
	return w, err
}

// List and Watch are what the interface without contexts asks for.
func (n *noticedLists) List(o metav1.ListOptions) (runtime.Object, error) {
	return n.ListWithContext(context.Background(), o)
}

// Watch implements toolscache.Watcher.
func (n *noticedLists) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return n.WatchWithContext(context.Background(), o)
}

func (n *noticedLists) began() {
	n.mu.Lock()
	again := n.complete
	n.complete = true
	n.mu.Unlock()
	if again {
		n.gaps.happened()
	}
}
