//go:build linux && bench

package bench

import (
	"context"
	"fmt"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/cluster/openshift/imageapi"
	"github.com/revet-dev/revet/test/rig"
)

const (
	// burstPushes is how many pushes a burst has, unless BURST_PUSHES says otherwise.
	burstPushes = 2000
	// burstStreams are pushed to side by side, each by one writer.
	burstStreams = 40
	// burstQuiet is how long no PipelineRun has to be added until one that is missing counts as lost.
	burstQuiet = 45 * time.Second
	// burstAfter is how long doubles are waited for once all are there.
	burstAfter = 3 * time.Second
)

// burstCost is measured once: how often a benchmark is repeated does not change it.
var (
	burstOnce sync.Once
	burstCost = map[string]float64{}
)

// Many pushes at once, beside the direct EventListener: PipelineRuns made per second from the first push to the last PipelineRun. None
// may be lost or doubled, and the goal is the direct EventListener's number.
func BenchmarkBurst(b *testing.B) {
	pushes, qps := setting(b, "BURST_PUSHES", burstPushes, burstStreams), setting(b, "BURST_SINK_QPS", sinkQPS, 1)
	burstOnce.Do(func() { measureBursts(b, pushes, qps) })
	b.ReportMetric(0, "ns/op")
	for name, value := range burstCost {
		b.ReportMetric(value, name)
	}
}

func measureBursts(b *testing.B, pushes, qps int) {
	e := newBed(b)
	e.sinkQPS = qps
	ways := []*burstWay{e.burstPlain(b), e.burstRevet(b, pushes)}
	for _, w := range ways {
		if m := w.burst(b, w.streams, 1); m.lost+m.doubled > 0 {
			b.Errorf("%s: of the first %d pushes %d were lost and %d doubled", w.name, m.pushes, m.lost, m.doubled)
		}
	}
	for _, w := range ways {
		before, requests := w.processors(b), e.requests(b)
		m := w.burst(b, w.streams, pushes/burstStreams)
		rate := float64(m.runs) / m.took.Seconds()
		b.Logf("%s: %d pushes written in %s, %d runs in %s: %.1f runs/s, %d lost, %d doubled; push to run p50 %s, p99 %s\n"+
			"processor seconds: %s\nrequests for each push, and what they took in the API server:\n%s",
			w.name, m.pushes, m.written.Round(time.Millisecond), m.runs, m.took.Round(time.Millisecond), rate, m.lost, m.doubled,
			m.p(50).Round(time.Millisecond), m.p(99).Round(time.Millisecond), since(before, w.processors(b)), e.requests(b).Since(requests, m.pushes))
		for name, value := range map[string]float64{
			"runs/s": rate, "lost": float64(m.lost), "doubled": float64(m.doubled), "p50-ms": milliseconds(m.p(50)), "p99-ms": milliseconds(m.p(99)),
		} {
			burstCost[w.name+"-"+name] = value
		}
	}
	burstCost["ratio-runs/s"] = burstCost["revet-runs/s"] / burstCost["plain-runs/s"]
}

// burstWay is one way from pushes to PipelineRuns, over many streams of a namespace of its own.
type burstWay struct {
	name      string
	namespace string
	admin     client.WithWatch
	streams   []*burstStream
	processes map[string]*process
	// mark is the annotation by which a PipelineRun tells its push, and of what it then says of a push.
	mark string
	of   func(burstPush) string
}

type burstStream struct {
	stream *imagev1.ImageStream
	next   int
}

// burstPush is one push, which was begun and written at a time and shows the stream in a version.
type burstPush struct {
	stream, digest, version string
	began                   time.Time
}

// bursted is what a burst came to.
type bursted struct {
	pushes, runs, lost, doubled int
	written, took               time.Duration
	waits                       []time.Duration
}

func (m bursted) p(percent int) time.Duration {
	return percentile(m.waits, percent, func(d time.Duration) time.Duration { return d })
}

// burst pushes so often to each of the streams, side by side, and waits for the PipelineRuns.
func (w *burstWay) burst(b *testing.B, streams []*burstStream, each int) bursted {
	b.Helper()
	shown := make([][]burstPush, len(streams))
	for n, s := range streams {
		for range each {
			digest, err := s.makeImage(b.Context(), w.admin)
			if err != nil {
				b.Fatal(err)
			}
			shown[n] = append(shown[n], burstPush{stream: s.stream.Name, digest: digest})
		}
	}
	seen := newSightings(b, w)
	began := time.Now()
	writers, ctx := errgroup.WithContext(b.Context())
	for n, s := range streams {
		writers.Go(func() error {
			for i := range shown[n] {
				if err := s.push(ctx, w.admin, &shown[n][i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := writers.Wait(); err != nil {
		b.Fatal(err)
	}
	m := bursted{written: time.Since(began), pushes: len(streams) * each}
	wanted := map[string]time.Time{}
	for _, pushes := range shown {
		for _, p := range pushes {
			wanted[w.of(p)] = p.began
		}
	}
	all := seen.await(b, wanted)
	last := began
	for mark, at := range wanted {
		times := all[mark]
		m.runs += len(times)
		if len(times) == 0 {
			m.lost++
			continue
		}
		m.doubled += len(times) - 1
		m.waits = append(m.waits, times[0].Sub(at))
		if end := times[len(times)-1]; end.After(last) {
			last = end
		}
	}
	m.took = last.Sub(began)
	return m
}

// makeImage makes the Image that the stream's next push shows.
func (s *burstStream) makeImage(ctx context.Context, c client.Client) (string, error) {
	digest := digestOf(fmt.Sprintf("%s/%s %d", s.stream.Namespace, s.stream.Name, s.next))
	s.next++
	return digest, c.Create(ctx, rig.NewImage(digest, s.stream.Status.DockerImageRepository+"@"+digest))
}

// push shows a digest under the next of the tags. The histories are kept whole: nothing prunes during a burst.
func (s *burstStream) push(ctx context.Context, c client.Client, p *burstPush) error {
	tags := 0
	for _, t := range s.stream.Status.Tags {
		tags += len(t.Items)
	}
	imageapi.AddTagEvent(s.stream, fmt.Sprintf("v%d", tags%streamTags), imagev1.TagEvent{
		Created:              metav1.NewTime(time.Now().Truncate(time.Second)),
		DockerImageReference: s.stream.Status.DockerImageRepository + "@" + p.digest, Image: p.digest, Generation: 1,
	})
	p.began = time.Now()
	err := c.Status().Update(ctx, s.stream)
	p.version = s.stream.ResourceVersion
	return err
}

// sightings tells, as they are added, what PipelineRuns are for.
type sightings struct {
	runs watch.Interface
	seen chan sighting
}

type sighting struct {
	mark string
	at   time.Time
}

func newSightings(b *testing.B, w *burstWay) *sightings {
	b.Helper()
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(runList)
	// What is there comes as added too, at once; it is of other pushes.
	runs, err := w.admin.Watch(b.Context(), &list, client.InNamespace(w.namespace))
	if err != nil {
		b.Fatal(err)
	}
	// Room for more than there can be: the time is taken when a run comes, not when somebody looks.
	s := &sightings{runs: runs, seen: make(chan sighting, 100_000)}
	go func() {
		defer close(s.seen)
		for event := range runs.ResultChan() {
			run, ok := event.Object.(*metav1.PartialObjectMetadata)
			if !ok || event.Type != watch.Added {
				continue
			}
			mark := run.Annotations[w.mark]
			if stream := run.Labels["bench/stream"]; stream != "" {
				mark = stream + "/" + mark
			}
			s.seen <- sighting{mark, time.Now()}
		}
	}()
	return s
}

// await returns when each PipelineRun was added, by its mark, once all that are wanted were, or none is added any more.
func (s *sightings) await(b *testing.B, wanted map[string]time.Time) map[string][]time.Time {
	b.Helper()
	defer s.runs.Stop()
	times, missing := map[string][]time.Time{}, maps.Clone(wanted)
	patience := burstQuiet
	for {
		select {
		case run, open := <-s.seen:
			if !open {
				b.Fatal("the watch of PipelineRuns has ended")
			}
			times[run.mark] = append(times[run.mark], run.at)
			if delete(missing, run.mark); len(missing) == 0 {
				patience = burstAfter
			}
		case <-time.After(patience):
			return times
		}
	}
}

func (e *bed) newBurstWay(b *testing.B, name, namespace, target string) *burstWay {
	b.Helper()
	w := &burstWay{name: name, namespace: namespace, admin: e.admin, processes: map[string]*process{}}
	for n := range burstStreams {
		s := &burstStream{stream: &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("app-%02d", n)}}}
		e.create(b, s.stream)
		w.streams = append(w.streams, s)
	}
	w.processes["adapter"] = e.startAdapter(b, namespace, target)
	return w
}

// burstPlain is adapter to sink.
func (e *bed) burstPlain(b *testing.B) *burstWay {
	b.Helper()
	namespace := e.newNamespace(b)
	e.apply(b, namespace, "testdata/plain.yaml")
	url, sink := e.startSink(b, namespace, "plain")
	w := e.newBurstWay(b, "plain", namespace, url)
	w.processes["sink"] = sink
	w.mark = "bench/version"
	w.of = func(p burstPush) string { return p.stream + "/" + p.version }
	return w
}

// burstRevet is adapter to receiver, ledger, controller and sink, with as many triggers as the pushes need: each selects
// some of the streams.
func (e *bed) burstRevet(b *testing.B, pushes int) *burstWay {
	b.Helper()
	namespace := e.newNamespace(b)
	sink := e.listener(b, namespace)
	var triggers []*v1alpha1.ImageTrigger
	// Ten lines, by the last digit of the streams' names, are dealt out to the triggers; half of what each may run is left.
	number := min(10, max(1, 2*pushes/maxConcurrent))
	names := make([][]string, number)
	for digit := range 10 {
		names[digit%number] = append(names[digit%number], fmt.Sprintf("*%d", digit))
	}
	for n := range number {
		triggers = append(triggers, e.namedTrigger(b, namespace, fmt.Sprintf("vet-%d", n), &v1alpha1.ImageStreamSelector{Names: names[n]}))
	}
	receiver := e.startReceiver(b)
	controller := e.startController(b, 2*pushes)
	for _, t := range triggers {
		e.awaitReady(b, t)
	}
	w := e.newBurstWay(b, "revet", namespace, receiver.url)
	w.processes["sink"], w.processes["receiver"], w.processes["controller"] = sink, receiver.process, controller.process
	w.mark = v1alpha1.DigestAnnotation
	w.of = func(p burstPush) string { return p.digest }
	return w
}

// processors are the processor seconds of a way's processes so far. The API server, etcd and the writers are one process,
// the benchmark's own.
func (w *burstWay) processors(b *testing.B) map[string]float64 {
	b.Helper()
	used := map[string]float64{}
	for name, p := range w.processes {
		var err error
		if used[name], err = p.processorSeconds(); err != nil {
			b.Fatal(err)
		}
	}
	var err error
	if used["API server, etcd and writers"], err = rig.ProcessorSeconds(os.Getpid()); err != nil {
		b.Fatal(err)
	}
	return used
}

func since(before, after map[string]float64) string {
	used := map[string]string{}
	for name, s := range after {
		used[name] = fmt.Sprintf("%.1f", s-before[name])
	}
	return fmt.Sprint(used)
}
