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
// ends. It lists again when a watch ends, with an API server that was away for example.
func follow[L client.ObjectList](ctx context.Context, c client.WithWatch, newList func() L, see func(client.Object), opts ...client.ListOption) {
	for ctx.Err() == nil {
		once(ctx, c, newList(), see, opts)
		sleep(ctx, followAgain)
	}
}

func once(ctx context.Context, c client.WithWatch, list client.ObjectList, see func(client.Object), opts []client.ListOption) {
	ctx, cancel := context.WithTimeout(ctx, followFor)
	defer cancel()
	if err := c.List(ctx, list, opts...); err != nil {
		return
	}
	_ = meta.EachListItem(list, func(o runtime.Object) error {
		see(o.(client.Object))
		return nil
	})
	from := &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}}
	w, err := c.Watch(ctx, list, append(opts, from)...)
	if err != nil {
		return
	}
	defer w.Stop()
	for {
		select {
		case event, open := <-w.ResultChan():
			if !open || event.Type == watch.Error {
				return
			}
			if o, ok := event.Object.(client.Object); ok && event.Type != watch.Deleted {
				see(o)
			}
		case <-ctx.Done():
			return
		}
	}
}
