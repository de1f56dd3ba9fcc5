package gate

import (
	"context"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
)

// kindsEvery is how often the garbage collector looks for kinds that are new. That of a
// cluster does every 30 s, and there a kind is older than that when somebody deletes it.
const kindsEvery = time.Second

// manager are those controllers of kube-controller-manager that a gate's end is about.
type manager struct {
	*garbagecollector.GarbageCollector
}

// startManager runs the garbage collector and the controller of namespaces until the test ends.
func startManager(t *testing.T) manager {
	t.Helper()
	config := shared.RESTConfig()
	config.QPS = -1
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := metadata.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(clients.Discovery()))
	native, others := informers.NewSharedInformerFactory(clients, 0), metadatainformer.NewSharedInformerFactory(objects, 0)
	started := make(chan struct{})
	collector, err := garbagecollector.NewGarbageCollector(ctx, clients, objects, mapper,
		garbagecollector.DefaultIgnoredResources(), informerfactory.NewInformerFactory(native, others), started)
	if err != nil {
		stop()
		t.Fatal(err)
	}
	namespaces := namespace.NewNamespaceController(ctx, clients, objects,
		clients.Discovery().ServerPreferredNamespacedResources, native.Core().V1().Namespaces(), 5*time.Minute, corev1.FinalizerKubernetes)
	var running sync.WaitGroup
	running.Go(func() { namespaces.Run(ctx, 10) })
	running.Go(func() { collector.Run(ctx, 20, kindsEvery) })
	running.Go(func() { collector.Sync(ctx, clients.Discovery(), kindsEvery) })
	native.Start(ctx.Done())
	others.Start(ctx.Done())
	close(started)
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return manager{collector}
}

// startAggregation runs the controller of aggregated ClusterRoles until the test ends.
func startAggregation(t *testing.T) {
	t.Helper()
	clients, err := kubernetes.NewForConfig(shared.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	factory := informers.NewSharedInformerFactory(clients, 0)
	roles := clusterroleaggregation.NewClusterRoleAggregation(factory.Rbac().V1().ClusterRoles(), clients.RbacV1())
	var running sync.WaitGroup
	running.Go(func() { roles.Run(ctx, 1) })
	factory.Start(ctx.Done())
	t.Cleanup(func() {
		stop()
		running.Wait()
		factory.Shutdown()
	})
}
