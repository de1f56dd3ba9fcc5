package app

import (
	"context"
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// The first list, further pages and watches that go on are no gaps; a list, or a
// watch in place of one, after that is.
func TestGapsAreListsAfterTheFirst(t *testing.T) {
	yes, failing := true, errors.New("connection refused")
	list := func(token string, err error) func(*noticedLists) {
		return func(n *noticedLists) {
			n.ListerWatcherWithContext = answering(err)
			_, _ = n.ListWithContext(t.Context(), metav1.ListOptions{Continue: token})
		}
	}
	watched := func(initial *bool, err error) func(*noticedLists) {
		return func(n *noticedLists) {
			n.ListerWatcherWithContext = answering(err)
			_, _ = n.WatchWithContext(t.Context(), metav1.ListOptions{SendInitialEvents: initial})
		}
	}
	for _, test := range []struct {
		name  string
		steps []func(*noticedLists)
		want  int
	}{
		{"a start with a list", []func(*noticedLists){list("", nil), list("next", nil), watched(nil, nil)}, 0},
		{"a start with a watch that lists", []func(*noticedLists){watched(&yes, nil), watched(nil, nil)}, 0},
		{"a start that fails at first", []func(*noticedLists){list("", failing), watched(&yes, failing), list("", nil)}, 0},
		{"a watch that goes on", []func(*noticedLists){list("", nil), watched(nil, failing), watched(nil, nil)}, 0},
		{"a list again", []func(*noticedLists){list("", nil), list("", nil)}, 1},
		{"a watch that lists again", []func(*noticedLists){watched(&yes, nil), watched(&yes, failing), watched(&yes, nil)}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, got := &gaps{}, 0
			g.happened() // told to nobody yet
			g.tell(func() { got++ })
			n := &noticedLists{gaps: g}
			for _, step := range test.steps {
				step(n)
			}
			if got != test.want {
				t.Errorf("%d gaps, want %d", got, test.want)
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
