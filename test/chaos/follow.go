//go:build linux

package chaos

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	followAgain = 200 * time.Millisecond
	// followFor bounds one watch, so that one that has quietly died is noticed.
	followFor = 30 * time.Second
)

// follow calls see with every object of a kind as it is and whenever it changes, more than once perhaps, until the context
// ends. It goes on where a watch ended, and lists again only where the API server no longer knows what came after that.
func follow(ctx context.Context, c client.WithWatch, list client.ObjectList, namespace string, see func(client.Object)) {
	version := ""
	for ctx.Err() == nil {
		if version == "" {
			version = listed(ctx, c, list, namespace, see)
		}
		if version != "" {
			version = watched(ctx, c, list, namespace, version, see)
		}
		sleep(ctx, followAgain)
	}
}

// listed returns the version of the list, or "" if there is none.
func listed(ctx context.Context, c client.WithWatch, list client.ObjectList, namespace string, see func(client.Object)) string {
	ctx, cancel := context.WithTimeout(ctx, followFor)
	defer cancel()
	list = list.DeepCopyObject().(client.ObjectList)
	if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return ""
	}
	_ = meta.EachListItem(list, func(o runtime.Object) error { // it returns what see does
		see(o.(client.Object))
		return nil
	})
	return list.GetResourceVersion()
}

// watched returns the version that it came to, or "" if the API server does not know the one to begin with.
func watched(ctx context.Context, c client.WithWatch, list client.ObjectList, namespace, version string, see func(client.Object)) string {
	ctx, cancel := context.WithTimeout(ctx, followFor)
	defer cancel()
	from := &client.ListOptions{Namespace: namespace, Raw: &metav1.ListOptions{ResourceVersion: version, AllowWatchBookmarks: true}}
	w, err := c.Watch(ctx, list, from)
	if err != nil {
		return version
	}
	defer w.Stop()
	for {
		select {
		case event, open := <-w.ResultChan():
			if !open {
				return version
			}
			o, isObject := event.Object.(client.Object)
			if event.Type == watch.Error || !isObject {
				return ""
			}
			version = o.GetResourceVersion()
			if event.Type == watch.Added || event.Type == watch.Modified {
				see(o)
			}
		case <-ctx.Done():
			return version
		}
	}
}
