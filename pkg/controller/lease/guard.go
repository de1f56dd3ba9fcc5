package lease

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"knative.dev/pkg/hash"
	kle "knative.dev/pkg/leaderelection"
)

// Guard is the lease of one controller. It finds the bucket of a key.
type Guard struct {
	leases  *Leases
	buckets *hash.BucketSet
}

// Hold begins a use of the lease of the key's bucket, if this process holds it. The
// context ends before the lease can; release ends the use.
func (g *Guard) Hold(ctx context.Context, key types.NamespacedName) (context.Context, func(), bool) {
	return g.leases.hold(ctx, g.buckets.Owner(key.String()))
}

// Write allows a write of the key's status under the lease of its bucket.
func (g *Guard) Write(ctx context.Context, key types.NamespacedName) (context.Context, context.CancelFunc, bool) {
	return g.leases.write(ctx, g.buckets.Owner(key.String()))
}

// Guard returns the lease of the controller with the given queue, and a configuration
// of leader election with the same buckets.
func (l *Leases) Guard(config *kle.Config, queue string) (*Guard, kle.ComponentConfig) {
	component := config.GetComponentConfig("controller")
	component.Identity = l.identity
	component.LeaseName = func(i uint32) string {
		return fmt.Sprintf("controller.%s.%02d-of-%02d", queue, i, config.Buckets)
	}
	names := sets.New[string]()
	for i := range config.Buckets {
		names.Insert(component.LeaseName(i))
	}
	return &Guard{leases: l, buckets: hash.NewBucketSet(names)}, component
}
