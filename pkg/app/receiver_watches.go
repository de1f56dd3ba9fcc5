package app

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/intake"
	"github.com/revet-dev/revet/pkg/ledger"
)

// receiverWatches is what the receiver knows without a request: triggers, what
// the ledger covers, namespaces' labels, and the operator's configuration. It watches neither ImageStreams nor Images, of which there may
// be many more, and larger.
type receiverWatches struct {
	triggers   *intake.Triggers
	index      *ledger.Index
	config     *config.Store
	namespaces client.Reader
	// start runs the watches until its context ends.
	start  func(context.Context) error
	synced []func() bool
}

func newReceiverWatches(ctx context.Context, api *apiAccess, mapper meta.RESTMapper, o ReceiverOptions, log *zap.Logger) (*receiverWatches, error) {
	unsafe := true // everything here is read only
	inSystem := func(field fields.Selector) cache.ByObject {
		return cache.ByObject{Namespaces: map[string]cache.Config{o.SystemNamespace: {FieldSelector: field}}}
	}
	c, err := cache.New(api.config, cache.Options{
		HTTPClient: api.http,
		Scheme:     api.scheme,
		Mapper:     mapper,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.ConfigMap{}: inSystem(nil),
			&corev1.Secret{}:    inSystem(fields.OneTermEqualSelector("metadata.name", config.TokensSecret)),
		},
		DefaultTransform:             stripMetadata,
		DefaultUnsafeDisableDeepCopy: &unsafe,
		// A reader that would start an informer by accident is an error.
		ReaderFailOnMissingInformer: true,
	})
	if err != nil {
		return nil, fmt.Errorf("making the cache: %w", err)
	}
	w := &receiverWatches{
		triggers:   intake.NewTriggers(logTrigger(log)),
		index:      ledger.NewIndex(o.Now),
		config:     config.NewStore(o.SystemNamespace, logConfig(log)),
		namespaces: c,
	}
	for _, watch := range []struct {
		object  client.Object
		handler toolscache.ResourceEventHandler
	}{
		{&v1alpha1.ImageTrigger{}, w.triggers.Handler()},
		{&corev1.ConfigMap{}, w.config.Handler()},
		{&corev1.Secret{}, w.config.Handler()},
		{namespaceMetadata(), toolscache.ResourceEventHandlerFuncs{}},
	} {
		if err := w.add(ctx, c, watch.object, watch.handler); err != nil {
			return nil, err
		}
	}
	entries, err := w.entries(api)
	if err != nil {
		return nil, err
	}
	w.start = func(ctx context.Context) error {
		go entries.RunWithContext(ctx)
		return c.Start(ctx)
	}
	return w, nil
}

// entries feeds the index without an informer, whose store would hold several
// times of what the index keeps.
func (w *receiverWatches) entries(api *apiAccess) (*toolscache.Reflector, error) {
	rest, err := entriesClient(api)
	if err != nil {
		return nil, err
	}
	w.synced = append(w.synced, w.index.Synced)
	list := toolscache.NewListWatchFromClient(rest, entriesResource, metav1.NamespaceAll, fields.Everything())
	watched := entriesWatch{ListerWatcherWithContext: list, rest: rest}
	return toolscache.NewNamedReflector("ledger", watched, &v1alpha1.ImageVerification{}, compactStore{w.index.Store()}, 0), nil
}

func (w *receiverWatches) add(ctx context.Context, c cache.Cache, object client.Object, handler toolscache.ResourceEventHandler) error {
	informer, err := c.GetInformer(ctx, object, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching %T: %w", object, err)
	}
	registration, err := informer.AddEventHandler(handler)
	if err != nil {
		return fmt.Errorf("watching %T: %w", object, err)
	}
	// The handler's own: the store may be complete before the handler is.
	w.synced = append(w.synced, registration.HasSynced)
	return nil
}

// wait returns true once every handler has seen all that there was, and false
// if ctx ends before.
func (w *receiverWatches) wait(ctx context.Context) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		complete := true
		for _, synced := range w.synced {
			complete = complete && synced()
		}
		if complete {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}
