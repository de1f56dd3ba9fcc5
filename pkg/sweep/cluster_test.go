package sweep

import (
	"context"
	"errors"
	"fmt"
	"testing"

	imagev1 "github.com/openshift/api/image/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pages serves streams 0..n-1, two a page, and fails where fail says so.
func pages(n int, fail func(call int, token string) error) func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
	calls := 0
	return func(_ context.Context, _ client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
		var o client.ListOptions
		o.ApplyOptions(opts)
		calls++
		if err := fail(calls, o.Continue); err != nil {
			return err
		}
		from := 0
		if o.Continue != "" {
			if _, err := fmt.Sscanf(o.Continue, "from-%d", &from); err != nil {
				return err
			}
		}
		list := l.(*imagev1.ImageStreamList)
		for i := from; i < min(n, from+2); i++ {
			list.Items = append(list.Items, *stream("team-a", fmt.Sprint(i), nil))
		}
		if next := from + 2; next < n {
			list.Continue = fmt.Sprintf("from-%d", next)
		}
		return nil
	}
}

// A list that begins again counts each repository once.
func TestListThatBeginsAgainCountsARepositoryOnce(t *testing.T) {
	w := newEnv(t)
	w.funcs.List = pages(5, func(call int, _ string) error {
		if call == 2 {
			return apierrors.NewResourceExpired("too old")
		}
		return nil
	})
	if r := w.sweep(trigger()); r.Repositories != 5 || r.Reason != "" {
		t.Errorf("result %+v", r)
	}
}

func TestSweepTellsWhatCouldNotBeListed(t *testing.T) {
	for _, test := range []struct {
		name   string
		err    error
		reason string
		retry  bool
	}{
		{"an API server that is away", errors.New("connection refused"), ReadFailed, true},
		{"a cluster without ImageStreams", &meta.NoKindMatchError{}, NoImageStreams, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newEnv(t)
			w.funcs.List = func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
				return test.err
			}
			if r := w.sweep(trigger()); r.Reason != test.reason || r.Retry != test.retry || r.Message == "" {
				t.Errorf("result %+v", r)
			}
		})
	}
}

// The same question is asked once a minute only.
func TestRightsAreAskedOncePerNamespace(t *testing.T) {
	w := newEnv(t,
		stream("team-a", "a", map[string][]item{"v1": {{1, 10}}}),
		stream("team-a", "b", map[string][]item{"v1": {{2, 10}}}),
		stream("team-a", "c", map[string][]item{"v1": {{3, 10}}}))
	w.sweeper.options.Concurrency = 1
	w.sweep(trigger())
	if w.asked != 1 {
		t.Errorf("%d questions, want 1", w.asked)
	}
}
