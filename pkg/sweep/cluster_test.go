package sweep

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	imagev1 "github.com/openshift/api/image/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pages serves streams 0..n-1 by pages, and fails where it is told to.
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
		for i := from; i < min(n, from+int(o.Limit)); i++ {
			list.Items = append(list.Items, *stream("team-a", fmt.Sprint(i), nil))
		}
		if next := from + int(o.Limit); next < n {
			list.Continue = fmt.Sprintf("from-%d", next)
		}
		return nil
	}
}

func TestListIsReadPageByPage(t *testing.T) {
	expired := apierrors.NewResourceExpired("the continue token is too old")
	for _, test := range []struct {
		name    string
		streams int
		fail    func(call int, token string) error
		want    string
		err     error
	}{
		{"no stream", 0, func(int, string) error { return nil }, "", nil},
		{"one page", 2, func(int, string) error { return nil }, "0 1", nil},
		{"three pages", 5, func(int, string) error { return nil }, "0 1 2 3 4", nil},
		{"a list that expires begins again", 5, func(call int, _ string) error {
			if call == 3 {
				return expired
			}
			return nil
		}, "0 1 2 3 0 1 2 3 4", nil},
		{"a list that always expires ends", 5, func(_ int, token string) error {
			if token != "" {
				return expired
			}
			return nil
		}, "0 1 0 1 0 1 0 1 0 1 0 1", expired},
		{"no such kind", 5, func(int, string) error {
			return &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "image.openshift.io", Kind: "ImageStream"}}
		}, "", ErrNoStreams},
		{"no such resource", 5, func(int, string) error {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "imagestreams"}, "")
		}, "", ErrNoStreams},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.funcs.List = pages(test.streams, test.fail)
			live := NewLive(w.client)
			live.pageSize = 2
			var got []string
			err := live.EachStream(t.Context(), "team-a", func(s *StreamState) { got = append(got, s.Name) })
			if !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("streams (-want +got):\n%s", diff)
			}
		})
	}
}

// A list that begins again counts each repository once.
func TestListThatBeginsAgainCountsARepositoryOnce(t *testing.T) {
	w := newWorld(t)
	w.sweeper.Cluster.(*Live).pageSize = 2
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
			w := newWorld(t)
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
	w := newWorld(t,
		stream("team-a", "a", map[string][]item{"v1": {{1, 10}}}),
		stream("team-a", "b", map[string][]item{"v1": {{2, 10}}}),
		stream("team-a", "c", map[string][]item{"v1": {{3, 10}}}))
	w.sweeper.options.Concurrency = 1
	w.sweep(trigger())
	if w.asked != 1 {
		t.Errorf("%d questions, want 1", w.asked)
	}
}
