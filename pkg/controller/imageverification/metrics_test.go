package imageverification_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// The names and attributes are what dashboards and alerts are made of.
func TestMetrics(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.MaxConcurrent = 1 })
	w.meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")
	w.restart()
	key := w.push("v1", pushed)
	w.work(key, time.Second)
	w.fail(w.runName(key, 1), "Failed")
	w.work(key, 20*time.Second)
	waiting := w.pushDigest("v2", numbered("11"), pushed)
	w.work(waiting, time.Millisecond)
	w.pass(5 * time.Second)
	for _, e := range []*v1alpha1.ImageVerification{w.entry(key), w.entry(waiting)} {
		w.reconciler.EntryHandler().OnAdd(e, true)
	}
	got := measured(t, reader)
	want := []string{
		`revet_confirm 2`,
		`revet_entries{namespace=demo,phase=Pending,trigger=all} 1`,
		`revet_entries{namespace=demo,phase=Running,trigger=all} 1`,
		`revet_push_to_confirm 2`,
		`revet_push_to_fire 2`,
		`revet_push_to_verdict 1`,
		`revet_pushed_to_run 1`,
		`revet_pushed_to_verdict 1`,
		`revet_queue_length{namespace=demo,trigger=all} 1`,
		`revet_queue_oldest{namespace=demo,trigger=all} 5`,
		`revet_requests{result=accepted} 2`,
		`revet_runs_under_way{namespace=demo,trigger=all} 1`,
		`revet_runs{cause=Push,class=,outcome=error,reason=RunFailed,route=} 1`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	e := w.entry(key)
	w.finish(w.runName(key, 2), "pass", digest, "kata")
	w.work(key, time.Second)
	w.reconciler.EntryHandler().OnUpdate(e, w.entry(key))
	w.reconciler.EntryHandler().OnDelete(w.entry(waiting))
	got = measured(t, reader)
	for _, want := range []string{
		`revet_runs{cause=Retry,class=kata,outcome=pass,reason=Passed,route=} 1`,
		`revet_entries{namespace=demo,phase=Passed,trigger=all} 1`,
	} {
		if !slices.Contains(got, want) {
			t.Errorf("there is no %s in:\n%s", want, strings.Join(got, "\n"))
		}
	}
	for _, line := range got {
		if strings.HasPrefix(line, "revet_queue") || strings.Contains(line, "phase=Pending") {
			t.Errorf("%s, though nothing waits any more", line)
		}
	}
}

// measured lists what is counted: of histograms, how often.
func measured(t *testing.T, reader sdkmetric.Reader) []string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	var lines []string
	add := func(name string, set attribute.Set, value any) {
		var own []string
		for _, kv := range set.ToSlice() {
			own = append(own, string(kv.Key)+"="+kv.Value.AsString())
		}
		if len(own) > 0 {
			name += "{" + strings.Join(own, ",") + "}"
		}
		lines = append(lines, fmt.Sprintf("%s %v", name, value))
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, p.Count)
				}
			default:
				t.Errorf("%s is a %T", m.Name, data)
			}
		}
	}
	slices.Sort(lines)
	return lines
}
