package imagegate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/running"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func hexOfDigit(digit string) string { return strings.Repeat(digit, 64) }

func referenceOf(digit string) string { return "r.example/app@sha256:" + hexOfDigit(digit) }

// bench is an Observer with one gate over namespace prod, and a clock.
type bench struct {
	t        *testing.T
	gate     *v1alpha1.ImageGate
	client   client.Client
	observer *Observer
	recorder *record.FakeRecorder

	now      time.Time
	scopes   map[string]Scope
	findings map[string]gate.Finding
	unled    bool
	// fails makes lists fail.
	fails   func(client.ObjectList, client.ListOptions) error
	sent    []running.Turn
	sinkErr error
	changed int
}

func (b *bench) SendTurn(_ context.Context, t running.Turn) (refused, err error) {
	if b.sinkErr == nil {
		b.sent = append(b.sent, t)
	}
	return nil, b.sinkErr
}

func newBench(t *testing.T, objects ...client.Object) *bench {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, batchv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	b := &bench{
		t: t, now: noon, findings: map[string]gate.Finding{}, recorder: record.NewFakeRecorder(1000),
		gate: &v1alpha1.ImageGate{
			ObjectMeta: metav1.ObjectMeta{Name: "production", UID: "g1", Generation: 3, CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour))},
			Spec: v1alpha1.ImageGateSpec{
				NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}},
				Exempt:            []v1alpha1.GateExemption{{Images: "registry.k8s.io/**", Reason: "x"}},
			},
		},
	}
	b.scopes = map[string]Scope{"production": {UID: "g1", Generation: 3, Exclusion: gate.Exclusion{Names: []string{"kube-system"}, Prefixes: []string{"knative-"}}}}
	all := []client.Object{b.gate}
	for _, name := range []string{"prod", "kube-system", "knative-serving"} {
		all = append(all, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{"env": "prod"}}})
	}
	all = append(all, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "test", UID: "uid-test"}})
	b.client = interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(all, objects...)...).Build(), interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			var o client.ListOptions
			o.ApplyOptions(opts)
			if b.fails != nil {
				if err := b.fails(list, o); err != nil {
					return err
				}
			}
			return c.List(ctx, list, opts...)
		},
	})
	instruments, err := NewRunningMetrics(noop.NewMeterProvider().Meter(""))
	if err != nil {
		t.Fatal(err)
	}
	b.observer, err = NewObserver(ObserverOptions{
		Live: b.client, Cached: b.client, Turns: b, Recorder: b.recorder, Metrics: instruments, Log: zap.NewNop(),
		Scopes:  func() map[string]Scope { return b.scopes },
		Changed: func(string) { b.changed++ },
		Judge: func(_, digest string) (gate.Finding, bool) {
			return b.findings[strings.TrimPrefix(digest, "sha256:")], !b.unled
		},
		Now:      func() time.Time { return b.now },
		Interval: time.Minute, Settle: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) judge(digit string, standing gate.Standing) {
	outcome := v1alpha1.OutcomePass
	if standing == gate.Failed {
		outcome = v1alpha1.OutcomeFail
	}
	b.findings[hexOfDigit(digit)] = gate.Finding{Standing: standing, At: b.now, Verdict: &v1alpha1.Verdict{Outcome: outcome, At: metav1.NewTime(b.now)}}
}

func (b *bench) pod(namespace, name, image string) *corev1.Pod {
	b.t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + name)}}
	p.Spec.Containers = []corev1.Container{{Name: "c", Image: image}}
	if err := b.client.Create(b.t.Context(), p); err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bench) census() RunningReport {
	b.t.Helper()
	b.observer.Report(b.gate)
	b.observer.census(b.t.Context())
	return b.observer.Report(b.gate)
}

func (b *bench) condition(r RunningReport) string {
	status, reason, _ := r.allVerified(b.gate.Generation, b.now)
	return string(status) + " " + reason
}

func (b *bench) events() []string {
	var all []string
	for {
		select {
		case e := <-b.recorder.Events:
			all = append(all, e)
		default:
			return all
		}
	}
}

// Property: only the namespaces that the gate's policies look at are counted, by the present
// spec, and exempt images count as such.
func TestACensusLooksWhereTheGateDoes(t *testing.T) {
	b := newBench(t)
	b.judge("a", gate.Verified)
	b.pod("prod", "a", referenceOf("a"))
	b.pod("prod", "exempt", "registry.k8s.io/pause:3.10")
	for _, elsewhere := range []string{"test", "kube-system", "knative-serving"} {
		b.pod(elsewhere, "x", referenceOf("f"))
	}
	r := b.census()
	got := []int64{r.Running.Pods, r.Running.Verified, r.Running.Exempt, r.Running.Unverified}
	if diff := cmp.Diff([]int64{2, 1, 1, 0}, got); diff != "" {
		t.Errorf("Pods, verified, exempt, unverified (-want +got):\n%s", diff)
	}
	if got := b.condition(r); got != "True AllVerified" {
		t.Errorf("the condition is %s", got)
	}
	b.pod("unheard-of", "x", referenceOf("f")) // the cache does not show its namespace yet
	if got := b.condition(b.census()); got != "False UnverifiedRunning" {
		t.Errorf("with a Pod whose namespace is not known, the condition is %s", got)
	}
}

// Property: it is True only after a complete census under the present spec, for 5 minutes.
func TestAllRunningVerifiedIsTrueOnlyIfThatIsKnown(t *testing.T) {
	ready := func(t *testing.T) *bench {
		b := newBench(t)
		b.judge("a", gate.Verified)
		b.pod("prod", "a", referenceOf("a"))
		if got := b.condition(b.census()); got != "True AllVerified" {
			t.Fatalf("at first the condition is %s", got)
		}
		return b
	}
	for _, test := range []struct {
		name   string
		change func(b *bench)
	}{
		{"a list of Pods fails", func(b *bench) {
			b.fails = func(l client.ObjectList, _ client.ListOptions) error {
				if _, pods := l.(*corev1.PodList); pods {
					return errors.New("it broke")
				}
				return nil
			}
			b.observer.census(b.t.Context())
		}},
		{"the last list is old", func(b *bench) { b.now = b.now.Add(censusCounts + time.Second) }},
		{"the spec changed", func(b *bench) { b.gate.Generation++ }},
		{"another gate has the name", func(b *bench) { b.gate.UID = "g2" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := ready(t)
			test.change(b)
			if got := b.condition(b.observer.Report(b.gate)); got != "Unknown NotObserved" {
				t.Errorf("the condition is %s", got)
			}
		})
	}
	t.Run("nothing was listed", func(t *testing.T) {
		if got := (&bench{gate: &v1alpha1.ImageGate{}}).condition(RunningReport{}); got != "Unknown NotObserved" {
			t.Errorf("the condition is %s", got)
		}
	})
	t.Run("the list works again", func(t *testing.T) {
		b := ready(t)
		b.observer.failed("production", errors.New("it broke"))
		if got := b.condition(b.census()); got != "True AllVerified" {
			t.Errorf("the condition is %s", got)
		}
	})
}

// Property: a census does not count if the gate was judged by other rules, or led by somebody
// else, while it was taken.
func TestACensusUnderOtherRulesDoesNotCount(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(b *bench)
	}{
		{"the reconciler has not followed the spec", func(b *bench) { b.scopes["production"] = Scope{UID: "g1", Generation: 2} }},
		{"the rules are those of an earlier gate", func(b *bench) { b.scopes["production"] = Scope{UID: "g0", Generation: 3} }},
		{"another process leads", func(b *bench) { b.unled = true }},
		{"the rules change meanwhile", func(b *bench) {
			b.fails = func(l client.ObjectList, _ client.ListOptions) error {
				if _, pods := l.(*corev1.PodList); pods {
					b.scopes = map[string]Scope{"production": {UID: "g1", Generation: 4}}
				}
				return nil
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			b.judge("a", gate.Verified)
			b.pod("prod", "a", referenceOf("a"))
			test.change(b)
			b.observer.Report(b.gate)
			if got := b.observer.census(t.Context()); got != censusFailed {
				t.Errorf("the census is taken for good: %d", got)
			}
			if got := b.condition(b.observer.Report(b.gate)); got != "Unknown NotObserved" {
				t.Errorf("the condition is %s", got)
			}
		})
	}
}

// Property: as having run here count digests that passed, be it long ago. What failed too
// long ago to count is Expired as well, and does not.
func TestOnlyWhatPassedCountsAsHavingRun(t *testing.T) {
	b := newBench(t)
	b.judge("a", gate.Verified)
	b.judge("b", gate.Expired)
	b.judge("c", gate.Failed)
	b.judge("d", gate.Expired)
	b.findings[hexOfDigit("d")].Verdict.Outcome = v1alpha1.OutcomeFail
	b.judge("e", gate.Unknown) // it passed, and not all that the gate requires looked at it
	for _, digit := range []string{"a", "b", "c", "d", "e", "f"} {
		b.pod("prod", digit, referenceOf(digit))
	}
	want := map[string]time.Time{hexOfDigit("a"): noon, hexOfDigit("b"): noon}
	if diff := cmp.Diff(want, b.census().Seen); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
}

// Property: each turn of something that runs is told once, and the first census tells nothing
// but what turned since the process before this one wrote.
func TestEachTurnIsToldOnce(t *testing.T) {
	b := newBench(t)
	for _, digit := range []string{"a", "b"} {
		b.judge(digit, gate.Verified)
		b.pod("prod", digit, referenceOf(digit))
	}
	b.judge("c", gate.Failed)
	b.pod("prod", "c", referenceOf("c"))
	told := func(want ...string) {
		t.Helper()
		b.census()
		b.observer.sendTurns(t.Context())
		var got []string
		for _, turn := range b.sent {
			got = append(got, turn.Pod.Name+" "+turn.From.String()+" "+turn.To.String())
		}
		b.sent = nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		if events := b.events(); len(events) != len(want) {
			t.Errorf("Events %q, want %d", events, len(want))
		}
	}
	told()
	told()
	b.judge("a", gate.Failed)
	told("a Verified Failed")
	told()
	b.judge("a", gate.Verified)
	told("a Failed Verified")

	again := newBench(t)
	again.judge("a", gate.Failed)
	again.pod("prod", "a", referenceOf("a"))
	again.judge("b", gate.Failed)
	again.pod("prod", "b", referenceOf("b"))
	again.observer.Recall(again.gate, &v1alpha1.VerifiedImages{Digests: map[string]string{hexOfDigit("a"): "2026-11-30T11:00:00Z"}})
	b = again
	told("a Verified Failed")
}

// Property: a thousand turns at once are few Events, all CDEvents in time, and none is lost
// while the sink is down.
func TestManyTurnsAreNoStorm(t *testing.T) {
	b := newBench(t)
	digits := "0123456789abcdef"
	var all []string
	for i := range 150 {
		hex := fmt.Sprintf("%c%c%062d", digits[i/16], digits[i%16], 0)
		all = append(all, hex)
		b.findings[hex] = gate.Finding{Standing: gate.Verified}
		b.pod("prod", fmt.Sprint("p", i), "r.example/app@sha256:"+hex)
	}
	b.census()
	for _, hex := range all {
		b.findings[hex] = gate.Finding{Standing: gate.Expired}
	}
	b.sinkErr = errors.New("down")
	b.census()
	b.observer.sendTurns(t.Context())
	if got := len(b.events()); got != maxTurnEvents+1 {
		t.Errorf("%d Events", got)
	}
	b.sinkErr = nil
	for range 2 {
		b.observer.sendTurns(t.Context())
	}
	if len(b.sent) != len(all) {
		t.Errorf("%d of %d are sent", len(b.sent), len(all))
	}
}

// Property: a digest that runs and loses its verdict has the Pods listed at once; nothing else
// does.
func TestALostVerdictHasPodsListedAtOnce(t *testing.T) {
	b := newBench(t)
	b.judge("a", gate.Verified)
	b.pod("prod", "a", referenceOf("a"))
	b.census()
	for _, test := range []struct {
		name, digit string
		f           gate.Standing
		want        bool
	}{
		{"it stays verified", "a", gate.Verified, false},
		{"something that does not run failed", "b", gate.Failed, false},
		{"nobody knows for a while", "a", gate.Unknown, false},
		{"it failed", "a", gate.Failed, true},
		{"it expired", "a", gate.Expired, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			select {
			case <-b.observer.wakeCensus:
			default:
			}
			b.observer.Concluded("production", hexOfDigit(test.digit), gate.Finding{Standing: test.f})
			if got := len(b.observer.wakeCensus) > 0; got != test.want {
				t.Errorf("woken: %v", got)
			}
		})
	}
}
