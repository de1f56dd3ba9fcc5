package app

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"knative.dev/pkg/reconciler"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	attestations "github.com/revet-dev/revet/pkg/controller/attestation"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// ruleMetric finds the names of Revet's metrics in an expression.
var ruleMetric = regexp.MustCompile(`revet_[a-z_]+`)

// Every metric that the published alerts ask for is served under that name, with the labels by
// which they select.
func TestAlertsAskForMetricsThatAreServed(t *testing.T) {
	raw, err := os.ReadFile(filepath.FromSlash("../../docs/examples/alerts/attestations.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	served := attestorMetrics(t)
	for _, want := range []string{
		`revet_attestations{state="NotRemoved"} 1`, `revet_attestations{state="NotPublished"} 0`,
		`revet_attestation_failures_total{asked="open",reason="RegistryUnavailable"} 1`,
		`revet_attestor_leads{} 1`, `revet_attestation_key_signs{} 0`, `revet_attestation_keys{} 1`, `revet_attestation_triggers{} 2`, `revet_attestation_problems{} 3`,
	} {
		if !strings.Contains(served, want) {
			t.Errorf("there is no %s in:\n%s", want, served)
		}
	}
	var named []string
	for _, rule := range file.Groups[0].Rules {
		names := ruleMetric.FindAllString(rule.Expr, -1)
		if len(names) == 0 || rule.Annotations["cure"] == "" {
			t.Errorf("alert %s asks for no metric, or names no cure", rule.Alert)
		}
		named = append(named, names...)
	}
	slices.Sort(named)
	if named = slices.Compact(named); len(named) < 6 {
		t.Errorf("the alerts ask only for %v", named)
	}
	for _, name := range named {
		if !strings.Contains(served, name+"{") {
			t.Errorf("alerts ask for %s, which is not in:\n%s", name, served)
		}
	}
}

// attestorMetrics returns what an attestor serves that leads, has one statement that could not
// be removed, and asked a registry in vain.
func attestorMetrics(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	provider, err := newMeterProvider(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Shutdown(t.Context()) })
	meter := provider.Meter(meterName)
	metrics, err := attestations.NewMetrics(meter)
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	cluster := fake.NewClientBuilder().WithScheme(scheme).Build()
	r, err := attestations.New(attestations.Options{
		Cached: cluster, Live: cluster, Lease: nobodysLease{}, Keys: func() attestation.Ring { return attestation.Ring{} },
		Open: func(string, image.Repository) (attestations.Registry, error) {
			return nil, oci.Errorf(oci.ReasonUnavailable, "registry", "no")
		},
		Trusts: func(string, string) bool { return true }, Verifier: attestation.Verifier{ID: "x", Cluster: "x"}, Recheck: time.Hour,
		Enqueue: func(types.NamespacedName) {}, EnqueueAfter: func(types.NamespacedName, time.Duration) {},
		Recorder: record.NewFakeRecorder(10), Log: zap.NewNop(), Now: time.Now, Jitter: func() float64 { return 0 }, Metrics: metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Promote(reconciler.UniversalBucket(), func(reconciler.Bucket, types.NamespacedName) {}); err != nil {
		t.Fatal(err)
	}
	kept := &v1alpha1.ImageVerification{}
	kept.Status.Attestations = []v1alpha1.AttestationStatus{{State: v1alpha1.AttestationNotRemoved}}
	r.EntryHandler().OnAdd(kept, true)
	if _, err := r.Open("demo", image.Repository{}); err == nil {
		t.Fatal("the registry answers")
	}
	own := (&Attestor{options: DefaultAttestorOptions(), access: &leaderAccess{}}).reporter(r)
	own.facts = func() attestation.Report {
		return attestation.Report{Keys: []string{"a"}, Triggers: 2, Problems: []string{"a", "b", "c"}}
	}
	if err := own.watch(meter); err != nil {
		t.Fatal(err)
	}
	return scrape(t, address)
}

type nobodysLease struct{ attestations.Lease }
