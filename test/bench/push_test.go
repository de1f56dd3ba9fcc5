//go:build linux && bench

package bench

import (
	"slices"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

const (
	// maxConcurrent is the most that an ImageTrigger may allow. As no run ends, it bounds the pushes of one benchmark too.
	maxConcurrent = 1000
	// warmUp is how many pushes are not counted: connections are made, and discovery and code come to memory.
	warmUp = 40
	// pause lets what a way does after its PipelineRun exists end before the other way is measured.
	pause = 60 * time.Millisecond
)

// The time from an ImageStream's update to its PipelineRun, beside the direct EventListener. The goal is 1.75 times the direct EventListener's,
// at most 2.5.
func BenchmarkPushToRun(b *testing.B) {
	e := newBed(b)
	plain, revet := e.plainWay(b), e.revetWay(b)
	one := func(w *way) measured {
		b.Helper()
		m, err := w.once(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		<-time.After(pause)
		return m
	}
	for range warmUp {
		one(plain)
		one(revet)
	}
	before := e.requests(b)
	var plains, revets []measured
	for b.Loop() {
		if warmUp+len(revets) == maxConcurrent {
			b.Fatalf("no more than %d pushes can be measured, as no run ever ends; use -benchtime 300x", maxConcurrent-warmUp)
		}
		// Neither is always the one that finds the caches as the other left them.
		if len(plains)%2 == 0 {
			plains = append(plains, one(plain))
			revets = append(revets, one(revet))
		} else {
			revets = append(revets, one(revet))
			plains = append(plains, one(plain))
		}
	}
	b.StopTimer()
	b.Logf("requests for each two pushes, one of each way, and what they took in the API server:\n%s", e.requests(b).Since(before, len(revets)))
	report(b, plains, revets)
	e.reportSteps(b, revet.namespace, revets)
}

func report(b *testing.B, plains, revets []measured) {
	b.Helper()
	run := func(m measured) time.Duration { return m.run }
	written := func(m measured) time.Duration { return m.written }
	b.ReportMetric(0, "ns/op") // both ways, pauses and all: of no use
	for _, p := range []struct {
		name    string
		percent int
	}{{"p50", 50}, {"p99", 99}} {
		plain, revet := percentile(plains, p.percent, run), percentile(revets, p.percent, run)
		b.ReportMetric(milliseconds(plain), "plain-"+p.name+"-ms")
		b.ReportMetric(milliseconds(revet), "revet-"+p.name+"-ms")
		b.ReportMetric(float64(revet)/float64(plain), "ratio-"+p.name)
	}
	b.ReportMetric(milliseconds(percentile(append(slices.Clone(plains), revets...), 50, written)), "write-p50-ms")
}

// reportSteps tells where Revet's time goes, by the times in its ledger.
func (e *bed) reportSteps(b *testing.B, namespace string, revets []measured) {
	b.Helper()
	began := map[string]time.Time{}
	for _, m := range revets {
		began[m.digest] = m.began
	}
	var entries v1alpha1.ImageVerificationList
	if err := e.admin.List(b.Context(), &entries, client.InNamespace(namespace)); err != nil {
		b.Fatal(err)
	}
	steps := map[string][]time.Duration{}
	for _, entry := range entries.Items {
		start, counted := began[entry.Spec.Digest]
		if !counted {
			continue
		}
		if len(entry.Status.Runs) != 1 || entry.Status.Runs[0].Attempts != 1 {
			b.Errorf("entry %s has not one run of one attempt: %+v", entry.Name, entry.Status.Runs)
			continue
		}
		run := entry.Status.Runs[0]
		steps["observed"] = append(steps["observed"], entry.Spec.FirstPush.ObservedAt.Sub(start))
		if run.FiredAt != nil {
			steps["fired"] = append(steps["fired"], run.FiredAt.Sub(start))
		}
		if run.ConfirmedAt != nil {
			steps["confirmed"] = append(steps["confirmed"], run.ConfirmedAt.Sub(start))
		}
	}
	for step, times := range steps {
		same := func(d time.Duration) time.Duration { return d }
		b.ReportMetric(milliseconds(percentile(times, 50, same)), step+"-p50-ms")
		b.ReportMetric(milliseconds(percentile(times, 99, same)), step+"-p99-ms")
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
