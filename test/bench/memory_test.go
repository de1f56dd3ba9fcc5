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

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
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

// What receiver and controller hold while nothing happens. The goals are 60 MiB empty and 100 MiB with 10,000 streams.
func BenchmarkIdleMemory(b *testing.B) {
	idleOnce.Do(func() { idleMemory(b) })
	b.ReportMetric(0, "ns/op")
	for name, value := range idleMetrics {
		b.ReportMetric(value, name)
	}
}

func idleMemory(b *testing.B) {
	e := newBed(b)
	e.measureIdle(b, "empty", func() error { return nil })

	namespace := e.newNamespace(b)
	e.listener(b, namespace)
	began := time.Now()
	e.makeStreams(b, namespace)
	b.Logf("%d streams made in %s", many, time.Since(began).Round(time.Second))
	trigger := e.trigger(b, namespace)
	e.measureIdle(b, "streams", func() error {
		if err := e.admin.Get(b.Context(), client.ObjectKeyFromObject(trigger), trigger); err != nil {
			return err
		}
		if s := trigger.Status.LastSweep; s == nil || s.Repositories != many {
			return fmt.Errorf("not all streams were swept: %+v", s)
		}
		return nil
	})
	if n := e.countEntries(b, namespace); n != 0 {
		b.Errorf("%d pushes from before the trigger were recorded", n)
	}

	began = time.Now()
	e.makeEntries(b, trigger)
	b.Logf("%d entries made in %s", many, time.Since(began).Round(time.Second))
	e.measureIdle(b, "entries", func() error { return nil })
}

// measureIdle starts both programs, waits until they have done what there was to do and rest, and stops them.
func (e *bed) measureIdle(b *testing.B, state string, busy func() error) {
	b.Helper()
	receiver, controller := e.startReceiver(b), e.startController(b, maxConcurrent)
	eventually(b, restPatience, "the controller has done its work", busy)
	held := awaitRest(b, receiver.process, controller.process)
	idleMetrics["receiver-"+state+"-MiB"], idleMetrics["controller-"+state+"-MiB"] = held[0], held[1]
	controller.stop()
	receiver.stop()
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
func (e *bed) makeStreams(b *testing.B, namespace string) {
	b.Helper()
	created := metav1.NewTime(time.Now().AddDate(-1, 0, 0).Truncate(time.Second))
	inParallel(b, many, func(ctx context.Context, n int) error {
		stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("app-%05d", n)}}
		if err := e.admin.Create(ctx, stream); err != nil {
			return err
		}
		for t := range streamTags {
			digest := digestOf(fmt.Sprintf("%s %d", stream.Name, t))
			stream.Status.Tags = append(stream.Status.Tags, imagev1.NamedTagEventList{Tag: fmt.Sprintf("v1.%d", t), Items: []imagev1.TagEvent{{
				Created: created, DockerImageReference: stream.Status.DockerImageRepository + "@" + digest, Image: digest, Generation: 1,
			}}})
		}
		return e.admin.Status().Update(ctx, stream)
	})
}

// makeEntries records a push of each of as many digests, with a verdict.
func (e *bed) makeEntries(b *testing.B, trigger *v1alpha1.ImageTrigger) {
	b.Helper()
	c := e.ledgerClient(b)
	inParallel(b, many, func(ctx context.Context, n int) error {
		entry, err := passedEntry(trigger, n)
		if err != nil {
			return err
		}
		status := entry.Status
		if err := c.Create(ctx, entry); err != nil {
			return err
		}
		entry.Status = status
		return c.Status().Update(ctx, entry)
	})
}

// ledgerClient is for writing the ledger, which only Revet's own accounts may.
func (e *bed) ledgerClient(b *testing.B) client.Client {
	b.Helper()
	config, err := e.cluster.UserConfig("system:serviceaccount:"+systemNamespace+":controller", "system:serviceaccounts")
	if err != nil {
		b.Fatal(err)
	}
	c, err := newClient(config)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func passedEntry(trigger *v1alpha1.ImageTrigger, n int) (*v1alpha1.ImageVerification, error) {
	name := fmt.Sprintf("%s/app-%05d", trigger.Namespace, n)
	r := v1alpha1.RepositoryReference{
		Kind: v1alpha1.RepositoryImageStream, Name: name, UID: fmt.Sprintf("00000000-0000-4000-8000-%012d", n), Pull: "registry.example.com/" + name,
	}
	entry, err := rig.NewEntry(trigger, r, digestOf(fmt.Sprintf("entry %d", n)), fmt.Sprintf("v1.%d", n%streamTags), time.Now())
	if err != nil {
		return nil, err
	}
	rig.Conclude(entry, v1alpha1.OutcomePass, time.Now())
	return entry, nil
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

func (e *bed) countEntries(b *testing.B, namespace string) int {
	b.Helper()
	var entries metav1.PartialObjectMetadataList
	entries.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ImageVerificationList"))
	if err := e.admin.List(b.Context(), &entries, client.InNamespace(namespace)); err != nil {
		b.Fatal(err)
	}
	return len(entries.Items)
}
