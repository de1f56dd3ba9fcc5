package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// The first list, its further pages and watches that continue are no relist. A later
// list, or a watch in place of one, is.
func TestRelistsAreListsAfterTheFirst(t *testing.T) {
	yes, no, failing := true, false, errors.New("connection refused")
	list := func(token string, err error) func(*observedLists) {
		return func(n *observedLists) {
			n.ListerWatcherWithContext = answering(err)
			_, _ = n.ListWithContext(t.Context(), metav1.ListOptions{Continue: token})
		}
	}
	watched := func(initial *bool, err error) func(*observedLists) {
		return func(n *observedLists) {
			n.ListerWatcherWithContext = answering(err)
			_, _ = n.WatchWithContext(t.Context(), metav1.ListOptions{SendInitialEvents: initial})
		}
	}
	for _, test := range []struct {
		name  string
		steps []func(*observedLists)
		want  int
	}{
		{"a start with a list", []func(*observedLists){list("", nil), list("next", nil), watched(nil, nil)}, 0},
		{"a start with a watch that lists", []func(*observedLists){watched(&yes, nil), watched(nil, nil)}, 0},
		{"a start that fails at first", []func(*observedLists){list("", failing), watched(&yes, failing), list("", nil)}, 0},
		{"a watch that goes on", []func(*observedLists){list("", nil), watched(nil, failing), watched(nil, nil), watched(&no, nil)}, 0},
		{"a list again", []func(*observedLists){list("", nil), list("", nil)}, 1},
		{"a watch that lists again", []func(*observedLists){watched(&yes, nil), watched(&yes, failing), watched(&yes, nil)}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := 0
			n := &observedLists{onRelist: func() { got++ }}
			for _, step := range test.steps {
				step(n)
			}
			if got != test.want {
				t.Errorf("%d relists, want %d", got, test.want)
			}
		})
	}
}

// The lists of other kinds are none of its business.
func TestOnlyListsOfEntriesAreObserved(t *testing.T) {
	for _, test := range []struct {
		of, list runtime.Object
		want     bool
	}{
		{&v1alpha1.ImageVerification{}, &v1alpha1.ImageVerificationList{}, true},
		{&v1alpha1.ImageTrigger{}, &v1alpha1.ImageTriggerList{}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			lists, got := 0, 0
			lw := &toolscache.ListWatch{
				ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
					lists++
					return test.list, nil
				},
				WatchFuncWithContext: func(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
					if o.SendInitialEvents != nil {
						return nil, errors.New("this server knows no such watch")
					}
					w := watch.NewFakeWithOptions(watch.FakeOptions{})
					w.Stop() // which makes the informer list again
					return w, nil
				},
			}
			ctx, cancel := context.WithCancel(t.Context())
			informer := relistWatcher{onRelist: func() { got++ }}.informer(lw, test.of, 0, nil)
			go informer.RunWithContext(ctx)
			time.Sleep(time.Minute)
			cancel()
			synctest.Wait()
			if lists < 2 || (got > 0) != test.want {
				t.Errorf("%T: %d relists after %d lists", test.of, got, lists)
			}
		})
	}
}

func answering(err error) toolscache.ListerWatcherWithContext {
	return toolscache.ToListerWatcherWithContext(&toolscache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			return &v1alpha1.ImageVerificationList{}, err
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return watch.NewFake(), err },
	})
}
