//go:build linux && bench

package bench

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	many         = 10_000
	writesAtOnce = 32
	// restTime is how long memory has to stay as it is: longer than the interval in which the programs give back what they
	// do not use.
	restTime     = 70 * time.Second
	restPatience = 5 * time.Minute
	restSlack    = 1.0 // MiB
)

// idleMemory is measured once: how often a benchmark is repeated does not change it.
var (
	idleOnce    sync.Once
	idleMetrics = map[string]float64{}
)

// What receiver and controller hold while nothing happens, and what their start costs. The goals are 60
// MiB empty, 100 MiB with 10,000 streams, and with 100,000 entries 300 MiB for the controller and 200
// for the receiver, which starts with 40,000 digests of one repository in 3 s.
func BenchmarkIdleMemory(b *testing.B) {
	streams, entries := setting(b, "MEMORY_STREAMS", many, 0), setting(b, "MEMORY_ENTRIES", many, 1)
	repositories := setting(b, "MEMORY_REPOSITORIES", entries, 1)
	idleOnce.Do(func() { idleMemory(b, streams, entries, repositories) })
	b.ReportMetric(0, "ns/op")
	for name, value := range idleMetrics {
		b.ReportMetric(value, name)
	}
}

func idleMemory(b *testing.B, streams, entries, repositories int) {
	e := newBed(b)
	if streams > 0 {
		e.measureIdle(b, "empty", func() error { return nil })
	}
	namespace := e.newNamespace(b)
	e.listener(b, namespace)
	began := time.Now()
	if streams > 0 {
		e.makeStreams(b, namespace, streams)
	}
	b.Logf("%d streams made in %s", streams, time.Since(began).Round(time.Second))
	trigger := e.trigger(b, namespace)
	swept := func() error {
		if err := e.admin.Get(b.Context(), client.ObjectKeyFromObject(trigger), trigger); err != nil {
			return err
		}
		if s := trigger.Status.LastSweep; s == nil || int(s.Repositories) != streams {
			return fmt.Errorf("not all streams were swept: %+v", s)
		}
		return nil
	}
	if streams > 0 {
		e.measureIdle(b, "streams", swept)
	}
	if n := e.countEntries(b, namespace); n != 0 {
		b.Errorf("%d pushes from before the trigger were recorded", n)
	}

	began = time.Now()
	e.makeEntries(b, trigger, entries, repositories)
	b.Logf("%d entries made in %s", entries, time.Since(began).Round(time.Second))
	eventually(b, startPatience, "the API server has the entries", func() error {
		if n := e.countEntries(b, namespace); n != entries {
			return fmt.Errorf("it has %d, not %d", n, entries)
		}
		return nil
	})
	e.measureIdle(b, "entries", swept)
}

// measureIdle starts one program after the other, waits until they have done what there was to do and
// rest, and stops them.
func (e *bed) measureIdle(b *testing.B, state string, busy func() error) {
	b.Helper()
	receiver := e.startMeasured(b, state, "receiver", e.startReceiver)
	controller := e.startMeasured(b, state, "controller", func(b *testing.B) served { return e.startController(b, maxConcurrent) })
	eventually(b, restPatience, "the controller has done its work", busy)
	held := awaitRest(b, receiver.process, controller.process)
	for i, p := range []served{receiver, controller} {
		c := p.cost(b)
		name := p.name + "-" + state
		idleMetrics[name+"-MiB"], idleMetrics[name+"-peak-MiB"], idleMetrics[name+"-cpu-s"] = held[i], c.peak, c.processor
	}
	b.Logf("%s: receiver %+v, controller %+v", state, receiver.cost(b), controller.cost(b))
	controller.stop()
	receiver.stop()
}

// startMeasured notes how long a program took until it was ready, and how much of a processor.
func (e *bed) startMeasured(b *testing.B, state, name string, start func(*testing.B) served) served {
	b.Helper()
	began := time.Now()
	p := start(b)
	idleMetrics[name+"-"+state+"-start-s"] = time.Since(began).Seconds()
	idleMetrics[name+"-"+state+"-start-cpu-s"] = p.cost(b).processor
	return p
}

// awaitRest returns what processes hold once that has not changed for restTime.
func awaitRest(b *testing.B, processes ...*process) []float64 {
	b.Helper()
	steady := make([]float64, len(processes))
	since := time.Now()
	eventually(b, restPatience, "the programs rest", func() error {
		for i, p := range processes {
			now, err := p.residentMiB()
			if err != nil {
				return err
			}
			if math.Abs(now-steady[i]) > restSlack {
				steady[i], since = now, time.Now()
			}
		}
		if rested := time.Since(since); rested < restTime {
			return fmt.Errorf("they hold %.1f MiB, for %s now", steady, rested.Round(time.Second))
		}
		return nil
	})
	return steady
}

// makeStreams makes streams that were last pushed to a year ago.
func (e *bed) makeStreams(b *testing.B, namespace string, number int) {
	b.Helper()
	created := metav1.NewTime(time.Now().AddDate(-1, 0, 0).Truncate(time.Second))
	shown := func(n int) *imagev1.ImageStream {
		stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("app-%05d", n), UID: streamUID(n)}}
		for t := range streamTags {
			digest := digestOf(fmt.Sprintf("%s %d", stream.Name, t))
			stream.Status.Tags = append(stream.Status.Tags, shownTag(stream, t, digest, created))
		}
		return stream
	}
	e.copyStreams(b, number, shown)
}

func inParallel(b *testing.B, number int, do func(context.Context, int) error) {
	b.Helper()
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(writesAtOnce)
	for n := range number {
		group.Go(func() error { return do(ctx, n) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}
