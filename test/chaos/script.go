package chaos

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Kind of a push, by what it does to its tag.
type Kind string

// The kinds of pushes.
const (
	New      Kind = "new"      // a digest that was never pushed
	Repeat   Kind = "repeat"   // what the tag shows already: no push at all
	RollBack Kind = "rollback" // what the tag showed earlier
	Alias    Kind = "alias"    // what another tag of the stream shows
	Copy     Kind = "copy"     // what another stream shows
)

// Push is one push of the script.
type Push struct {
	At     time.Duration // since the beginning, at the earliest
	Stream int
	Tag    int
	Image  int
	Kind   Kind
}

// Shape is what pushes are spread over.
type Shape struct {
	Pushes, Streams, Tags int
	// Rate is the mean number of pushes a second.
	Rate float64
}

// The parts of a script draw from sources of their own, so that a change of one leaves the others.
const (
	pushSource  = 1
	faultSource = 2
)

func source(seed, part uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, part)) //nolint:gosec // a script has to be repeatable, not secret
}

// ScriptOf returns the pushes of a seed, in the order of their times. Pushes to one stream are made one after another.
func ScriptOf(seed uint64, s Shape) []Push {
	w := &writer{Shape: s, random: source(seed, pushSource), history: map[[2]int][]int{}}
	for len(w.pushes) < s.Pushes {
		w.moment()
	}
	return w.pushes[:s.Pushes]
}

type writer struct {
	Shape
	random *rand.Rand
	at     time.Duration
	images int
	pushes []Push
	// history are the images of each stream and tag, oldest first.
	history map[[2]int][]int
}

// The mean sizes of bursts, and how seldom one comes: a third of the pushes come in bursts.
const (
	seldom        = 60
	leastOfBurst  = 10
	spreadOfBurst = 40
)

// moment makes one push, or a burst of pushes at the same time, and moves the time on.
func (w *writer) moment() {
	number := 1
	if w.random.IntN(seldom) == 0 {
		number = leastOfBurst + w.random.IntN(spreadOfBurst)
	}
	sameStream := w.random.IntN(3) == 0
	stream := w.random.IntN(w.Streams)
	for range number {
		if !sameStream {
			stream = w.random.IntN(w.Streams)
		}
		w.push(stream)
	}
	w.at += time.Duration(w.random.ExpFloat64() * float64(number) / w.Rate * float64(time.Second))
}

func (w *writer) push(stream int) {
	p := Push{At: w.at, Stream: stream, Tag: w.random.IntN(w.Tags)}
	p.Kind, p.Image = w.choose(p)
	key := [2]int{p.Stream, p.Tag}
	w.history[key] = append(w.history[key], p.Image)
	w.pushes = append(w.pushes, p)
}

// choose falls back to a new image where there is nothing yet that could be pushed again.
func (w *writer) choose(p Push) (Kind, int) {
	tag := w.history[[2]int{p.Stream, p.Tag}]
	switch draw := w.random.IntN(100); {
	case draw < 8 && len(tag) > 0:
		return Repeat, tag[len(tag)-1]
	case draw < 18 && len(tag) > 1:
		return RollBack, tag[w.random.IntN(len(tag)-1)]
	case draw < 30:
		if other := w.history[[2]int{p.Stream, w.random.IntN(w.Tags)}]; len(other) > 0 {
			return Alias, other[len(other)-1]
		}
	case draw < 35:
		if other := w.history[[2]int{w.random.IntN(w.Streams), p.Tag}]; len(other) > 0 {
			return Copy, other[len(other)-1]
		}
	}
	w.images++
	return New, w.images
}

// steady are pushes at even times, each of a new image, over all streams and their tags in turn.
func steady(s Shape, firstImage int, over time.Duration) []Push {
	var all []Push
	for i := range s.Pushes {
		all = append(all, Push{
			At: over * time.Duration(i) / time.Duration(s.Pushes), Kind: New,
			Stream: i % s.Streams, Tag: i / s.Streams % s.Tags, Image: firstImage + i + 1,
		})
	}
	return all
}

// repository names a stream: several share a namespace.
func repository(stream int) (namespace, name string) {
	return fmt.Sprintf("team-%d", stream%namespaces), fmt.Sprintf("app-%d", stream/namespaces)
}

// namespaces is how many there are that images are pushed to.
const namespaces = 4

func tagName(tag int) string { return fmt.Sprintf("v%d", tag) }
