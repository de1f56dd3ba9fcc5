package attestation_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	controller "github.com/revet-dev/revet/pkg/controller/attestation"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// refusing is a registry that takes or refuses whatever changes it, with a status.
func refusing(status *atomic.Int64) http.Handler {
	real := quiet(registry.WithReferrersSupport(true))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := int(status.Load()); code != 0 && r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.WriteHeader(code)
			return
		}
		real.ServeHTTP(w, r)
	})
}

// The times and counts are what alerts are made of: since when a state lasts, however often it
// was found out again, and what registries did not do, by reason.
func TestSinceAndFailures(t *testing.T) {
	var status atomic.Int64
	w := newWorld(t, refusing(&status))
	reader := sdkmetric.NewManualReader()
	var err error
	if w.options.Metrics, err = controller.NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")); err != nil {
		t.Fatal(err)
	}
	w.restart()
	since := func(state v1alpha1.AttestationState, want time.Time) {
		t.Helper()
		a := w.read().Status.Attestations[0]
		if a.State != state || a.Since == nil || !a.Since.Time.Equal(want) {
			t.Errorf("%s since %v, want %s since %s", a.State, a.Since, state, want)
		}
	}
	status.Store(http.StatusForbidden)
	w.mustReconcile()
	began := w.now
	since(v1alpha1.AttestationNotPublished, began)
	w.now = w.now.Add(time.Hour)
	w.mustReconcile()
	since(v1alpha1.AttestationNotPublished, began)
	status.Store(0)
	w.now = w.now.Add(time.Hour)
	w.mustReconcile()
	since(v1alpha1.AttestationPublished, w.now)
	status.Store(http.StatusMethodNotAllowed)
	w.judged("run-2", v1alpha1.OutcomeFail, w.now)
	w.now = w.now.Add(time.Minute)
	began = w.now
	for range 3 {
		w.mustReconcile()
		since(v1alpha1.AttestationNotRemoved, began)
		w.now = w.now.Add(time.Hour)
	}
	want := []string{
		"asked=push,reason=AccessDenied 2",
		"asked=remove,reason=PushRefused 9", // of three images, three times
	}
	if diff := cmp.Diff(want, failures(t, reader)); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

// What may not be opened counts, and a reason that nobody foresaw makes no label.
func TestFailuresHaveFewLabels(t *testing.T) {
	w := newWorld(t, quiet())
	reader := sdkmetric.NewManualReader()
	var err error
	if w.options.Metrics, err = controller.NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")); err != nil {
		t.Fatal(err)
	}
	n := 0
	w.options.Open = func(string, image.Repository) (controller.Registry, error) {
		n++
		return nil, oci.Errorf(oci.Reason(fmt.Sprint("Reason", n)), "registry", "no")
	}
	w.restart()
	for range 3 {
		w.mustReconcile()
		w.now = w.now.Add(time.Hour)
	}
	if diff := cmp.Diff([]string{"asked=open,reason=Other 3"}, failures(t, reader)); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

// failures returns the counter's values, by their labels.
func failures(t *testing.T, reader *sdkmetric.ManualReader) []string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok || m.Name != "revet_attestation_failures" {
				continue
			}
			for _, p := range sum.DataPoints {
				values = append(values, strings.TrimSpace(p.Attributes.Encoded(attribute.DefaultEncoder())+fmt.Sprintf(" %d", p.Value)))
			}
		}
	}
	slices.Sort(values)
	return values
}
