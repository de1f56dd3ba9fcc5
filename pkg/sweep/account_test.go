package sweep

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	imagev1 "github.com/openshift/api/image/v1"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/kube"
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
	w := newWorld(t,
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
	w.sweeper.Metrics = metrics
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
	w := newWorld(t, stream("team-a", "app", map[string][]item{"v1": {{1, 10}}, "v2": {{2, 10}}}))
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
	w := newWorld(t)
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

// What the API server sends is read as the client reads it, errors included, and a
// page that is heavy makes the next ones smaller.
func TestRawListsAreReadAsTypedOnes(t *testing.T) {
	streams := `{"kind":"ImageStreamList","apiVersion":"image.openshift.io/v1","metadata":{"resourceVersion":"9","continue":"next"},"items":[
		{"metadata":{"name":"app","namespace":"team-a","uid":"u1","labels":{"a":"b"},"managedFields":[{"manager":"x"}]},
		 "spec":{"tags":[{"name":"v1","referencePolicy":{"type":"Local"}}]},
		 "status":{"dockerImageRepository":"registry:5000/team-a/app","tags":[{"tag":"v1","items":[{"created":"2025-03-01T12:00:10Z","dockerImageReference":"elsewhere/x@` + digest(1).String() + `","image":"` + digest(1).String() + `","generation":2}]}]}}]}`
	last := `{"kind":"ImageStreamList","apiVersion":"image.openshift.io/v1","metadata":{},"items":[{"metadata":{"name":"db","namespace":"team-a","uid":"u2"},"status":{"dockerImageRepository":""}}]}`
	heavy := strings.Replace(streams, `"resourceVersion"`, `"pad":"`+strings.Repeat("x", pageBytes)+`","resourceVersion"`, 1)
	var limits []string
	answer := func(w http.ResponseWriter, r *http.Request) {
		limits = append(limits, r.URL.Query().Get("limit"))
		body := streams
		switch {
		case r.URL.Path != "/apis/image.openshift.io/v1/namespaces/team-a/imagestreams":
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Query().Get("continue") != "":
			body = last
		case r.URL.Query().Get("limit") == "500":
			body = heavy
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer server.Close()
	raw := rawClient(t, server.URL)
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	typed, err := client.New(&rest.Config{Host: server.URL}, client.Options{Scheme: scheme, Mapper: mapper()})
	if err != nil {
		t.Fatal(err)
	}
	list := func(l *Live) (all []StreamState) {
		if err := l.EachStream(t.Context(), "team-a", func(s *StreamState) { all = append(all, *s) }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	want := list(NewLive(typed))
	limits = nil
	if diff := cmp.Diff(want, list(NewLiveRaw(typed, raw)), cmpopts.EquateComparable(image.Repository{})); diff != "" || len(want) != 2 {
		t.Errorf("streams (-typed +raw):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"500", "250"}, limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		name   string
		status int
		body   string
		is     func(error) bool
	}{
		{"no such resource", 404, "404 page not found", func(err error) bool { return errors.Is(err, ErrNoStreams) }},
		{"an expired list", 410, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}`, apierrors.IsResourceExpired},
		{"no right", 403, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`, apierrors.IsForbidden},
		{"half an answer", 200, streams[:len(streams)-20], func(err error) bool { return strings.Contains(err.Error(), "decoding") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}
			err := NewLiveRaw(typed, raw).EachStream(t.Context(), "team-a", func(*StreamState) {})
			if err == nil || !test.is(err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// mapper knows ImageStreams without asking.
func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	m.Add(imagev1.GroupVersion.WithKind("ImageStream"), meta.RESTScopeNamespace)
	return m
}

func rawClient(t *testing.T, host string) rest.Interface {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	group := imagev1.GroupVersion
	c, err := rest.RESTClientFor(&rest.Config{Host: host, APIPath: "/apis", ContentConfig: rest.ContentConfig{
		GroupVersion: &group, NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
