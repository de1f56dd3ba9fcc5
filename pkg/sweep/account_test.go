package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	imagev1 "github.com/openshift/api/image/v1"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// observed reads all instruments: "name{labels} value", for those of sums and gauges.
func observed(t *testing.T, reader *metric.ManualReader) []string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	var lines []string
	add := func(name string, points []metricdata.DataPoint[int64]) {
		for _, p := range points {
			var labels []string
			for _, l := range p.Attributes.ToSlice() {
				labels = append(labels, string(l.Key)+"="+l.Value.AsString())
			}
			lines = append(lines, fmt.Sprintf("%s{%s} %d", name, strings.Join(labels, ","), p.Value))
		}
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				add(m.Name, data.DataPoints)
			case metricdata.Gauge[int64]:
				add(m.Name, data.DataPoints)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// What a sweep leaves open is in its result and in the gauges, until the trigger is
// somebody else's.
func TestGapIsCounted(t *testing.T) {
	w := newEnv(t,
		stream("team-a", "app", map[string][]item{"v1": {{3, 30}, {2, 20}, {1, -600}}, "sig": {{9, 10}}}),
		stream("team-a", "bad", map[string][]item{"v1": {{4, 10}}}),
		stream("team-a", "unread", map[string][]item{"v1": {{5, 10}}}))
	w.unreadable = digest(5)
	w.sweeper.options.Concurrency = 1 // the first failure is the one that is told
	w.artefacts[digest(9)] = true
	reader := metric.NewManualReader()
	metrics, err := NewMetrics(metric.NewMeterProvider(metric.WithReader(reader)).Meter("test"))
	if err != nil {
		t.Fatal(err)
	}
	metrics.showFor(w.sweeper.options.MaxAge, w.sweeper.Now)
	w.sweeper.Metrics = metrics
	w.sweeper.recorder.Metrics = metrics.Metrics
	w.funcs.Create = func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
		if e, ok := o.(*v1alpha1.ImageVerification); ok && e.Spec.Repository.Name == "team-a/bad" {
			return errors.New("etcd is away")
		}
		return c.Create(ctx, o, opts...)
	}
	asked := trigger()
	if r := w.sweep(asked); r.Pushes != 4 || r.Gap != 2 || r.Recovered != 2 {
		t.Errorf("result %+v", r)
	}
	want := []string{
		"revet_coverage_gap{namespace=team-a,trigger=all} 2",
		"revet_coverage_not_known{namespace=team-a,reason=ReadFailed,trigger=all} 1",
		"revet_pushes_recorded{source=sweep} 2",
		"revet_pushes_shown{namespace=team-a,trigger=all} 4",
		"revet_sweep_recovered{reason=BeforeProcess} 2",
		"revet_sweeps{part=streams,result=RecordFailed} 1",
	}
	if diff := cmp.Diff(want, observed(t, reader)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	w.sweeper.Forget(asked.UID)
	for _, line := range observed(t, reader) {
		if strings.HasPrefix(line, "revet_coverage_gap") {
			t.Errorf("a trigger that is forgotten is told of: %s", line)
		}
	}
}

// Once does what a requested sweep does, for several triggers with one list.
func TestOnceSweepsWithoutARequest(t *testing.T) {
	w := newEnv(t, stream("team-a", "app", map[string][]item{"v1": {{1, 10}}, "v2": {{2, 10}}}))
	lists := 0
	w.funcs.List = func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
		if _, ok := l.(*imagev1.ImageStreamList); ok {
			lists++
		}
		return c.List(ctx, l, opts...)
	}
	one, two, bad := trigger(), trigger(), trigger()
	two.UID, two.Name = "two", "two"
	two.Spec.Images[0].Tags.Include = []string{"v2"}
	bad.UID, bad.Spec.Images = "bad", nil
	r := w.sweeper.Once(t.Context(), one, bad, two)
	if len(r) != 3 || r[0].Recovered != 2 || r[1].Reason != SelectorInvalid || r[2].Recovered != 1 || lists != 1 {
		t.Errorf("%d lists, results %+v", lists, r)
	}
	if latest, underWay := w.sweeper.Latest(one.UID); latest != nil || underWay {
		t.Error("it is remembered")
	}
}

// A change that was seen is a push, though no sweep of the repository was complete.
func TestFirstSweepKnowsWhatANotificationBrought(t *testing.T) {
	w := newEnv(t)
	w.registry.set(repositoryA, "v1", 1)
	asked := registries(repositoryA)
	w.registry.refuse[repositoryA+":v2"] = errors.New("502")
	w.registry.set(repositoryA, "v2", 5)
	if r := w.sweep(asked); len(r.Baselines) != 0 {
		t.Fatalf("result %+v", r)
	}
	w.registry.set(repositoryA, "v1", 2)
	if r := w.sweep(asked); r.Recovered != 1 {
		t.Errorf("result %+v", r)
	}
	want := []string{repositoryA + " 01 v1@3600 existing", repositoryA + " 02 v1@3600 sweep"}
	if diff := cmp.Diff(want, w.entries()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}
