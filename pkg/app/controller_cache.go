package app

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/tekton"
)

// newControllerCache caches entries, triggers, Revet's PipelineRuns and the operator's
// ConfigMaps: nothing that grows with what others keep in the cluster. Of entries at rest and of
// PipelineRuns it has a part. It calls onRelist when the watch of entries starts over. Pending
// is as in imageverification.Trim.
func newControllerCache(api *apiAccess, mapper meta.RESTMapper, systemNamespace string, pending func(*v1alpha1.ImageVerification) bool, onRelist func()) (cache.Cache, error) {
	ours, err := labels.NewRequirement(v1alpha1.RunLabel, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("selecting PipelineRuns: %w", err)
	}
	entries, err := entriesClient(api)
	if err != nil {
		return nil, err
	}
	c, err := cache.New(api.config, cache.Options{
		HTTPClient:       api.http,
		Scheme:           api.scheme,
		Mapper:           mapper,
		NewInformer:      relistWatcher{onRelist, entries}.informer,
		DefaultTransform: cache.TransformStripManagedFields(),
		// A reader that would start an informer by accident is an error.
		ReaderFailOnMissingInformer: true,
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.ImageVerification{}: {Transform: imageverification.Trim(pending)},
			tekton.NewRunObject():         {Label: labels.NewSelector().Add(*ours), Transform: tekton.TrimRun},
			&corev1.ConfigMap{}:           {Namespaces: map[string]cache.Config{systemNamespace: {}}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making the cache: %w", err)
	}
	return c, nil
}

// handler handles the events of one kind of objects.
type handler struct {
	object  client.Object
	handler toolscache.ResourceEventHandler
}

// observe declares what is watched.
func observe(ctx context.Context, c cache.Cache, parts []*part) error {
	for _, p := range parts {
		for _, h := range p.handlers {
			if _, err := c.GetInformer(ctx, h.object, cache.BlockUntilSynced(false)); err != nil {
				return fmt.Errorf("watching %T: %w", h.object, err)
			}
		}
	}
	return nil
}

// feed adds the handlers to informers that have synced, and waits until each handler
// has seen all existing objects. Handlers may read the cache.
func feed(ctx context.Context, c cache.Cache, handlers []handler) error {
	for _, h := range handlers {
		informer, err := c.GetInformer(ctx, h.object)
		if err != nil {
			return fmt.Errorf("watching %T: %w", h.object, err)
		}
		registration, err := informer.AddEventHandler(h.handler)
		if err != nil {
			return fmt.Errorf("watching %T: %w", h.object, err)
		}
		if !toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
			return errors.New("stopped while reading the existing objects")
		}
	}
	return nil
}
