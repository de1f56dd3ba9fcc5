package intake

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// counting answers every question, and counts them.
type counting struct {
	mu        sync.Mutex
	contents  map[image.Digest]int
	rights    map[source.Account]int
	panicking bool
}

func (c *counting) Stream(context.Context, string, string) (*openshift.StreamState, error) {
	return nil, errors.New("the stream is not asked for here")
}

func (c *counting) Image(_ context.Context, d image.Digest) (openshift.ImageState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.panicking {
		panic("a bug")
	}
	c.contents[d]++
	return openshift.ImageState{Runs: true, Facts: &v1alpha1.ImageFacts{Base: d.Hex()[:2]}}, nil
}

func (c *counting) MayGet(_ context.Context, a source.Account, namespace, name string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rights[a]++
	return namespace == "team" && name == "app", nil
}

func findingOf(account string, digests ...image.Digest) finding {
	f := finding{trigger: &Trigger{ImageTrigger: &v1alpha1.ImageTrigger{}}}
	f.trigger.Namespace, f.trigger.Spec.ServiceAccountName = "team", account
	for _, d := range digests {
		f.Pushes = append(f.Pushes, push.Push{Tag: "v1", Digest: d})
	}
	return f
}

// What an event claims may be a lie: it must not make the receiver ask without bound.
func TestPrefetchAsksEachQuestionOnceAndFewOfThem(t *testing.T) {
	a, b := digestOf(t, "aa"), digestOf(t, "bb")
	many := make([]image.Digest, 0, 50)
	for n := range 50 {
		many = append(many, digestOf(t, string(rune('a'+n%6))+string(rune('0'+n/6))))
	}
	for _, test := range []struct {
		name                 string
		findings             []finding
		contents, rights     int
		afterwards, question int
	}{
		{"nothing new is nothing to ask", []finding{findingOf("x")}, 0, 0, 1, 1},
		{"two triggers of one account ask once", []finding{findingOf("x", a, b), findingOf("x", a, b)}, 2, 1, 2, 1},
		{"many digests are not all prefetched", []finding{findingOf("x", many...)}, maxPrefetch, 1, maxPrefetch + 1, 1},
		{"many accounts are not all prefetched", []finding{
			findingOf("1", a), findingOf("2", a), findingOf("3", a), findingOf("4", a), findingOf("5", a), findingOf("6", a),
		}, 1, maxPrefetch, 1, maxPrefetch + 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &counting{contents: map[image.Digest]int{}, rights: map[source.Account]int{}}
			r := newPrefetch(c, openshift.Object{Namespace: "team", Name: "app"})
			r.start(t.Context(), test.findings, func(*Trigger) bool { return true }, func() bool { return true })
			for _, q := range r.images {
				_, _ = q.get()
			}
			for _, q := range r.rights {
				_, _ = q.get()
			}
			if len(c.contents) != test.contents || len(c.rights) != test.rights {
				t.Errorf("prefetched %d Images and %d rights, want %d and %d", len(c.contents), len(c.rights), test.contents, test.rights)
			}
			// What is needed is answered, asked before or not.
			wanted := a
			if test.name == "many digests are not all prefetched" {
				wanted = many[49]
			}
			got, err := r.image(t.Context(), wanted).get()
			if diff := cmp.Diff(openshift.ImageState{Runs: true, Facts: &v1alpha1.ImageFacts{Base: wanted.Hex()[:2]}}, got); diff != "" || err != nil {
				t.Errorf("Image (-want +got), error %v:\n%s", err, diff)
			}
			account := source.Account{Namespace: "team", Name: test.findings[len(test.findings)-1].trigger.Spec.ServiceAccountName}
			if allowed, err := r.right(t.Context(), account).get(); !allowed || err != nil {
				t.Errorf("allowed = %t, error %v", allowed, err)
			}
			if len(c.contents) != test.afterwards || len(c.rights) != test.question {
				t.Errorf("asked for %d Images and %d rights in all, want %d and %d", len(c.contents), len(c.rights), test.afterwards, test.question)
			}
			for d, n := range c.contents {
				if n != 1 {
					t.Errorf("asked %d times for Image %s", n, d)
				}
			}
		})
	}
}

// A panic beside the request's goroutine would end the receiver.
func TestPanicBesideARequestIsAnError(t *testing.T) {
	r := newPrefetch(&counting{panicking: true}, openshift.Object{})
	if _, err := r.image(t.Context(), digestOf(t, "aa")).get(); err == nil || !strings.Contains(err.Error(), "a bug") {
		t.Errorf("error %v, want the panic", err)
	}
}

// Pushes of one digest are one entry, and would only be in each other's way.
func TestPushesAreGroupedByDigest(t *testing.T) {
	a, b := digestOf(t, "aa"), digestOf(t, "bb")
	all := []push.Push{{Tag: "1", Digest: a}, {Tag: "2", Digest: b}, {Tag: "3", Digest: a}}
	want := [][]push.Push{{all[0], all[2]}, {all[1]}}
	if diff := cmp.Diff(want, byDigest(all), cmp.Comparer(func(a, b image.Digest) bool { return a == b }), cmp.Comparer(func(a, b image.Repository) bool { return a == b })); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}
