//go:build linux && bench

package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/test/rig"
)

const (
	// sweepPeriod is long enough for a sweep of all and for the controller to rest after it.
	sweepPeriod = 15 * time.Second
	// sweepRounds is how many sweeps are measured; the median counts.
	sweepRounds = 3
)

// sweepCost is measured once: how often a benchmark is repeated does not change it.
var (
	sweepOnce sync.Once
	sweepCost = map[string]float64{}
)

// What a sweep over 1,000 and over 10,000 streams of 20 tags costs, or over as many as SWEEP_STREAMS
// says. The goal for 10,000 is 5 s of a processor and 100 MiB, for 50,000 6 s and 30 MiB.
func BenchmarkSweep(b *testing.B) {
	streams := sizes(b, "SWEEP_STREAMS", many/10, many)
	sweepOnce.Do(func() { measureSweeps(b, streams) })
	b.ReportMetric(0, "ns/op")
	for name, value := range sweepCost {
		b.ReportMetric(value, name)
	}
}

func measureSweeps(b *testing.B, sizes []int) {
	e := newBed(b)
	for i, streams := range sizes {
		e.measureSweep(b, strconv.Itoa(streams), streams, i == 0, i == len(sizes)-1)
	}
	first, last := strconv.Itoa(sizes[0]), strconv.Itoa(sizes[len(sizes)-1])
	for _, unit := range []string{"wall-s", "cpu-s", "extra-MiB"} {
		if first != last {
			sweepCost[last+"/"+first+"-"+unit] = sweepCost[last+"-"+unit] / sweepCost[first+"-"+unit]
		}
	}
}

// measureSweep measures a controller of its own, with one trigger. At the first size it measures what an
// entry takes besides, and at the last how long the receiver takes beside sweeps.
func (e *bed) measureSweep(b *testing.B, name string, streams int, first, last bool) {
	b.Helper()
	namespace := e.newNamespace(b)
	trigger := e.trigger(b, namespace)
	began := time.Now()
	e.makeCovered(b, trigger, streams)
	b.Logf("%s: %d streams and their entries made in %s", name, streams, time.Since(began).Round(time.Second))
	if first {
		e.measureEntries(b, trigger)
	}
	c := e.startRevet(b, "controller", e.programs.controller, "-identity=bench", "-sweep-interval="+sweepPeriod.String())
	defer func() {
		c.stop()
		if err := e.admin.Delete(b.Context(), trigger); err != nil {
			b.Error(err)
		}
	}()
	want := int32(streams * streamTags)
	e.awaitSweep(b, trigger, time.Time{}, want)
	swept := e.awaitSweep(b, trigger, trigger.Status.LastSweep.FinishedAt.Time, want)

	var walls, processors, memories []float64
	for range sweepRounds {
		before := c.cost(b)
		c.resetPeak(b)
		swept = e.awaitSweep(b, trigger, swept, want)
		after := c.cost(b)
		if n := after.sweeps - before.sweeps; n != 1 {
			b.Fatalf("%g sweeps were measured as one", n)
		}
		walls = append(walls, after.seconds-before.seconds)
		processors = append(processors, after.processor-before.processor)
		memories = append(memories, after.peak-before.resident)
	}
	b.Logf("%s: sweeps took %.3f s, %.2f s of a processor, %.1f MiB above what was held", name, walls, processors, memories)
	sweepCost[name+"-wall-s"], sweepCost[name+"-cpu-s"], sweepCost[name+"-extra-MiB"] = median(walls), median(processors), median(memories)
	sweepCost[name+"-entries"] = float64(e.countEntries(b, ""))
	c.stop()
	if last {
		e.measureBeside(b)
	}
}

// awaitSweep waits for a sweep that ended later than another, and returns when that was.
func (e *bed) awaitSweep(b *testing.B, trigger *v1alpha1.ImageTrigger, later time.Time, pushes int32) time.Time {
	b.Helper()
	eventually(b, restPatience, "a sweep ends", func() error {
		if err := e.admin.Get(b.Context(), client.ObjectKeyFromObject(trigger), trigger); err != nil {
			return err
		}
		s := trigger.Status.LastSweep
		if s == nil || !s.FinishedAt.After(later) {
			return errors.New("none has ended")
		}
		if s.Pushes != pushes || s.Gap != 0 || s.Recovered != 0 {
			return fmt.Errorf("the latest saw %+v, not %d pushes, all covered", s, pushes)
		}
		return nil
	})
	return trigger.Status.LastSweep.FinishedAt.Time
}

// cost is what a process has cost so far.
type cost struct{ processor, resident, peak, seconds, sweeps float64 }

func (s served) cost(b *testing.B) cost {
	b.Helper()
	var c cost
	var errs [4]error
	c.processor, errs[0] = s.processorSeconds()
	c.resident, errs[1] = s.memoryMiB("VmRSS")
	c.peak, errs[2] = s.memoryMiB("VmHWM")
	c.seconds, c.sweeps, errs[3] = sweepSeconds(b.Context(), s.metrics)
	if err := errors.Join(errs[:]...); err != nil {
		b.Fatal(err)
	}
	return c
}

// processorSeconds is what the process used of processors.
func (p *process) processorSeconds() (float64, error) { return rig.ProcessorSeconds(p.cmd.Process.Pid) }

// resetPeak makes the kernel count the peak of the resident memory from now on.
func (p *process) resetPeak(b *testing.B) {
	b.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

// sweepSeconds reads how long sweeps of streams took together, and how many there were.
func sweepSeconds(ctx context.Context, url string) (seconds, number float64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = response.Body.Close() }()
	for lines := bufio.NewScanner(io.LimitReader(response.Body, 4<<20)); lines.Scan(); {
		line := lines.Text()
		into := &seconds
		switch {
		case !strings.Contains(line, `part="streams"`):
			continue
		case strings.HasPrefix(line, "revet_sweep_duration_seconds_sum"):
		case strings.HasPrefix(line, "revet_sweep_duration_seconds_count"):
			into = &number
		default:
			continue
		}
		if *into, err = strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64); err != nil {
			return 0, 0, err
		}
	}
	return seconds, number, nil
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// makeCovered makes streams that were pushed to since the trigger, and the entries that cover them.
func (e *bed) makeCovered(b *testing.B, trigger *v1alpha1.ImageTrigger, streams int) {
	b.Helper()
	pushed := metav1.NewTime(time.Now().Truncate(time.Second))
	shown := func(n int) *imagev1.ImageStream {
		stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: trigger.Namespace, Name: fmt.Sprintf("app-%05d", n), UID: streamUID(n)}}
		for t := range streamTags {
			stream.Status.Tags = append(stream.Status.Tags, shownTag(stream, t, digestOf(trigger.Namespace+stream.Name), pushed))
		}
		return stream
	}
	first := e.copyStreams(b, streams, shown)
	covering := func(n int) (*v1alpha1.ImageVerification, error) {
		stream := shown(n)
		if n == 0 {
			stream.UID = first.UID
		}
		return coveringEntry(trigger, stream)
	}
	entry, err := covering(0)
	if err != nil {
		b.Fatal(err)
	}
	e.writeEntry(b, entry)
	e.copyEntries(b, entry, streams, covering)
}

// coveringEntry is the entry that covers all tags of a stream, which show one digest.
func coveringEntry(trigger *v1alpha1.ImageTrigger, stream *imagev1.ImageStream) (*v1alpha1.ImageVerification, error) {
	head := stream.Status.Tags[0].Items[0]
	parsed, err := image.ParseDigest(head.Image)
	if err != nil {
		return nil, err
	}
	entry, err := passedEntry(trigger, 0, 1)
	if err != nil {
		return nil, err
	}
	r := push.Repository{Kind: push.ImageStream, Name: stream.Namespace + "/" + stream.Name, UID: string(stream.UID)}
	entry.Name, entry.Spec.Digest = ledger.EntryName(string(trigger.UID), r, parsed), head.Image
	entry.Spec.Repository.Name, entry.Spec.Repository.UID = r.Name, r.UID
	first := &entry.Spec.FirstPush
	first.PushedAt, first.Tag = head.Created, stream.Status.Tags[0].Tag
	entry.Status.Tags = nil
	for _, t := range stream.Status.Tags {
		shown := *first
		shown.Tag = t.Tag
		entry.Status.Tags = append(entry.Status.Tags, v1alpha1.TagStatus{PushRecord: shown, Run: 1})
	}
	entry.Status.Runs[0].Digest = head.Image
	return entry, nil
}

// measureEntries asks etcd for the size of an entry with one tag, and of one with all.
func (e *bed) measureEntries(b *testing.B, trigger *v1alpha1.ImageTrigger) {
	b.Helper()
	usual, err := passedEntry(trigger, many, 2*many)
	if err != nil {
		b.Fatal(err)
	}
	e.writeEntry(b, usual)
	var list v1alpha1.ImageVerificationList
	if err := e.admin.List(b.Context(), &list, client.InNamespace(trigger.Namespace), client.Limit(2)); err != nil {
		b.Fatal(err)
	}
	tagged := slices.IndexFunc(list.Items, func(i v1alpha1.ImageVerification) bool { return i.Name != usual.Name })
	etcd := e.storage(b)
	for name, entry := range map[string]*v1alpha1.ImageVerification{"entry-bytes": usual, "entry-20-tags-bytes": &list.Items[tagged]} {
		_, value := stored(b, etcd, entry)
		sweepCost[name] = float64(len(value))
	}
	if err := e.admin.Delete(b.Context(), usual); err != nil {
		b.Fatal(err)
	}
}
