package intake

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// referring delivers an event that claims nothing of a stream, as in Reference mode.
func (f *fixture) referring(from, name string) Result {
	return f.intake.stream(f.t.Context(), from, openshift.Observation{
		Verb: openshift.Update, Object: openshift.Object{Kind: openshift.ImageStream, Namespace: "shop", Name: name}})
}

// Property: whoever sends events that show nothing makes the receiver ask the API server a bounded
// number of questions a second, and keeps no other sender's from being served.
func TestAStrangersEventsCostFewQuestions(t *testing.T) {
	f := newFixture(t, streamsOf("shop"))
	f.stream = shows()
	limited := 0
	for n := range 3 * questionBurst {
		if r := f.referring("10.0.0.66", fmt.Sprint("made-up-", n)); r.Reason == SenderLimited && r.Status == Again {
			limited++
		}
	}
	if f.reads != questionBurst || limited != 2*questionBurst {
		t.Errorf("%d re-reads, and %d asked to come again; want %d and %d", f.reads, limited, questionBurst, 2*questionBurst)
	}
	if r := f.referring("10.0.0.1", "app"); r.Status != Done {
		t.Errorf("the event of another sender: %+v, want it handled", r)
	}
	f.reads = 0
	f.elapsed += time.Second
	for n := range 2 * questionRate {
		f.referring("10.0.0.66", fmt.Sprint("made-up-", n))
	}
	if f.reads != questionRate {
		t.Errorf("%d re-reads in the next second, want %d", f.reads, questionRate)
	}
}

// Pushes that are recorded cost their sender nothing, however many come at once.
func TestASenderOfPushesIsNotLimited(t *testing.T) {
	f := newFixture(t, streamsOf("shop"))
	f.image = openshift.ImageState{Runs: true}
	for n := range questionBurst + 50 {
		if r := f.changed(shows(digestOf(t, fmt.Sprintf("%04x", n+1)).String())); r.Reason != Recorded {
			t.Fatalf("push %d: %+v, want it recorded", n, r)
		}
	}
}

// Events of namespaces that do not exist cost the API server few questions of one sender.
func TestUnknownNamespacesCostFewQuestions(t *testing.T) {
	f := newFixture(t, streamsOf("shop"), wide("platform", 1)[0])
	f.stream = shows()
	f.intake.IsKnown = func(_ context.Context, namespace string) bool { return namespace == "shop" }
	labels := &countingLabels{}
	f.intake.Namespaces = labels
	send := func(from, namespace string) Result {
		state := shows()
		return f.intake.stream(t.Context(), from, openshift.Observation{Verb: openshift.Update,
			Object: openshift.Object{Kind: openshift.ImageStream, Namespace: namespace, Name: "app"}, Stream: &state.Stream})
	}
	for n := range 2 * questionBurst {
		send("10.0.0.66", fmt.Sprint("made-up-", n))
	}
	if labels.asked != questionBurst {
		t.Errorf("%d questions about namespaces, want %d", labels.asked, questionBurst)
	}
	if r := send("10.0.0.66", "new"); r.Status != Again || r.Reason != SenderLimited {
		t.Errorf("one more: %+v, want its sender to come again", r)
	}
	for _, from := range []string{"10.0.0.66", "10.0.0.1"} {
		if r := send(from, "shop"); r.Status != Done {
			t.Errorf("an event of a known namespace from %s: %+v, want it handled", from, r)
		}
	}
	if r := send("10.0.0.1", "new"); r.Status != Done {
		t.Errorf("an event of a new namespace from another sender: %+v, want it handled", r)
	}
}

// countingLabels counts questions.
type countingLabels struct{ asked int }

func (c *countingLabels) Labels(context.Context, string) (map[string]string, error) {
	c.asked++
	return nil, nil
}

// Property: a sender that may ask no more, and comes first to a stream, does not answer for others
// that wait for the same stream.
func TestALimitedSenderDoesNotAnswerForOthers(t *testing.T) {
	f := newFixture(t, streamsOf("shop"))
	f.image = openshift.ImageState{Runs: true}
	f.stream = shows(digestOf(t, "aa").String())
	release := make(chan struct{})
	reads := func() int { f.mu.Lock(); defer f.mu.Unlock(); return f.reads }
	f.reading = func() {
		if reads() == 1 {
			<-release
		}
	}
	var all sync.WaitGroup
	all.Go(func() { f.referring("10.0.0.2", "app") })
	until(t, "the first re-read runs", func() bool { return reads() == 1 })
	for f.intake.senders.ask("10.0.0.66") {
	}
	all.Go(func() {
		if r := f.referring("10.0.0.66", "app"); r.Reason != SenderLimited {
			t.Errorf("the limited sender: %+v, want it to come again", r)
		}
	})
	until(t, "it waits", func() bool { return f.intake.flights.users("shop/app") == 1 })
	all.Go(func() {
		if r := f.referring("10.0.0.1", "app"); r.Status != Done {
			t.Errorf("the other sender: %+v, want it handled", r)
		}
	})
	until(t, "both wait", func() bool { return f.intake.flights.users("shop/app") == 2 })
	close(release)
	all.Wait()
}

// countingImages counts all that is asked about streams and Images.
type countingImages struct {
	*fixture
	asked atomic.Int64
}

func (c *countingImages) Stream(ctx context.Context, namespace, name string) (*openshift.StreamState, error) {
	c.asked.Add(1)
	return c.fixture.Stream(ctx, namespace, name)
}

func (c *countingImages) Image(ctx context.Context, d image.Digest) (openshift.ImageState, error) {
	c.asked.Add(1)
	return c.fixture.Image(ctx, d)
}

// What forged events have the receiver ask beside the re-read counts too.
func TestDigestsThatAreClaimedCountForTheirSender(t *testing.T) {
	f := newFixture(t, streamsOf("shop"))
	f.stream = shows()
	cluster := &countingImages{fixture: f}
	f.intake.Cluster = cluster
	for n := range questionBurst {
		var digests []string
		for k := range 2 * maxPrefetch {
			digests = append(digests, digestOf(t, fmt.Sprintf("%04x%x", n, k)).String())
		}
		state := shows(digests...)
		f.intake.stream(t.Context(), "10.0.0.66", openshift.Observation{Verb: openshift.Update,
			Object: openshift.Object{Kind: openshift.ImageStream, Namespace: "shop", Name: fmt.Sprint("s", n)}, Stream: &state.Stream})
	}
	until(t, "all was asked", func() bool { return cluster.asked.Load() >= questionBurst })
	if n := cluster.asked.Load(); n != questionBurst {
		t.Errorf("%d questions, want %d", n, questionBurst)
	}
	// Pushes that are recorded get all of it back.
	state := shows(digestOf(t, "aa").String())
	f.image, f.stream = openshift.ImageState{Runs: true}, state
	event := openshift.Observation{Verb: openshift.Update, Object: openshift.Object{Kind: openshift.ImageStream, Namespace: "shop", Name: "app"}, Stream: &state.Stream}
	if r := f.intake.stream(t.Context(), "10.0.0.1", event); r.Reason != Recorded {
		t.Fatalf("a push: %+v", r)
	}
	if left := f.intake.senders.spenders["10.0.0.1"].questions; left != questionBurst {
		t.Errorf("a push that was recorded left %v questions, want %d", left, questionBurst)
	}
}
