package app

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/revet-dev/revet/pkg/controller/imagegate"
	"github.com/revet-dev/revet/pkg/gate"
)

const (
	// mutatingInterval is how often it is looked up which version the cluster serves: an
	// upgrade of the cluster may bring one, or take one away.
	mutatingInterval = 10 * time.Minute
	// mutatingGap is between two lookups that something asked for.
	mutatingGap = 10 * time.Second
	// mutatingSync bounds the first list of a version's objects.
	mutatingSync = time.Minute
)

// mutatingPolicies follows in which version the cluster serves MutatingAdmissionPolicies.
type mutatingPolicies struct {
	// find returns the best version that is served, or "".
	find func() (string, error)
	// watch begins to watch the objects in a version, and returns once they are known. Unwatch
	// ends that.
	watch   func(ctx context.Context, version string) error
	unwatch func(ctx context.Context, version string)
	// changed is called when the version is another one.
	changed func()
	log     *zap.Logger

	served atomic.Pointer[string]
	again  chan struct{}
}

// version returns the version that is served and watched, or "".
func (m *mutatingPolicies) version() string {
	if v := m.served.Load(); v != nil {
		return *v
	}
	return ""
}

// start finds the version that is to be watched from the beginning.
func (m *mutatingPolicies) start() {
	version, err := m.find()
	if err != nil {
		m.log.Warn("looking up MutatingAdmissionPolicies failed; gates do not pin tags until that works, and it is tried again", zap.Error(err))
		m.lookAgain()
	}
	m.served.Store(&version)
}

// lookAgain asks for a lookup, as something does not fit the version that was found.
func (m *mutatingPolicies) lookAgain() {
	select {
	case m.again <- struct{}{}:
	default:
	}
}

// run looks the version up again and again until the context ends.
func (m *mutatingPolicies) run(ctx context.Context) error {
	for {
		wait := time.NewTimer(mutatingGap)
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
		wait.Reset(mutatingInterval - mutatingGap)
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-m.again:
		case <-wait.C:
		}
		wait.Stop()
		if err := m.look(ctx); err != nil {
			m.log.Warn("looking up MutatingAdmissionPolicies failed; it is tried again", zap.String("version", m.version()), zap.Error(err))
			m.lookAgain()
		}
	}
}

// look follows the version that is served now. On an error everything stays as it is.
func (m *mutatingPolicies) look(ctx context.Context) error {
	before := m.version()
	version, err := m.find()
	if err != nil || version == before {
		return err
	}
	if version != "" {
		if err := m.watch(ctx, version); err != nil {
			m.unwatch(ctx, version)
			return err
		}
	}
	m.served.Store(&version)
	m.log.Info("the cluster serves MutatingAdmissionPolicies in another version", zap.String("version", version), zap.String("before", before))
	m.changed()
	if before != "" {
		m.unwatch(ctx, before)
	}
	return nil
}

// resourceLister is the part of discovery that lists the resources of a version.
type resourceLister interface {
	ServerResourcesForGroupVersion(groupVersion string) (*metav1.APIResourceList, error)
}

// servedMutating returns the best version in which the cluster serves
// MutatingAdmissionPolicies, or "".
func servedMutating(discovery resourceLister) (string, error) {
	for _, version := range gate.MutatingVersions() {
		of := schema.GroupVersion{Group: admissionv1.GroupName, Version: version}
		list, err := discovery.ServerResourcesForGroupVersion(of.String())
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("listing the resources of %s: %w", of, err)
		}
		for i := range list.APIResources {
			if list.APIResources[i].Kind == "MutatingAdmissionPolicy" {
				return version, nil
			}
		}
	}
	return "", nil
}

// mutatingHandlers are what watches MutatingAdmissionPolicies and their bindings in a version.
func mutatingHandlers(version string, h toolscache.ResourceEventHandler) []handler {
	var all []handler
	for _, kind := range imagegate.OwnedMutating(version) {
		all = append(all, handler{metadataOf(kind), h})
	}
	return all
}

// watchMutating has a cache that runs watch them, and waits for the first list.
func watchMutating(ctx context.Context, own cache.Cache, version string, h toolscache.ResourceEventHandler) error {
	ctx, cancel := context.WithTimeout(ctx, mutatingSync)
	defer cancel()
	return feed(ctx, own, mutatingHandlers(version, h))
}

// unwatchMutating ends that.
func unwatchMutating(ctx context.Context, own cache.Cache, log *zap.Logger, version string) {
	for _, kind := range imagegate.OwnedMutating(version) {
		if err := own.RemoveInformer(ctx, metadataOf(kind)); err != nil {
			log.Warn("ending a watch failed", zap.Stringer("kind", kind), zap.Error(err))
		}
	}
}
