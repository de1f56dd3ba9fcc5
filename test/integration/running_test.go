package integration

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/app"
	gates "github.com/revet-dev/revet/pkg/gate"
)

func audit(s *v1alpha1.ImageGateSpec) { s.Mode, s.Force = v1alpha1.GateAudit, false }

// seldom lists Pods so rarely that what a test waits for has to have another reason.
func seldom(o *app.ControllerOptions) { o.CensusInterval = 4 * time.Minute }

func often(o *app.ControllerOptions) { o.CensusInterval = time.Second }

// pod makes a Pod in the gated namespace. Nothing runs it.
func (s *gateSetup) pod(image string, change ...func(*corev1.Pod)) *corev1.Pod {
	s.t.Helper()
	p := podOf(s.gated, image)
	for _, f := range change {
		f(p)
	}
	if err := s.admin.Create(s.t.Context(), p); err != nil {
		s.t.Fatal(err)
	}
	return p
}

func breakGlass(p *corev1.Pod) { p.Labels = map[string]string{v1alpha1.BreakGlassLabel: "true"} }

func (s *gateSetup) remove(p *corev1.Pod) {
	s.t.Helper()
	if err := s.admin.Delete(s.t.Context(), p, client.GracePeriodSeconds(0)); err != nil {
		s.t.Fatal(err)
	}
}

// event waits for an Event about an object with the given reason.
func (s *gateSetup) event(namespace, about, reason string) corev1.Event {
	s.t.Helper()
	var found corev1.Event
	eventually(s.t, fmt.Sprintf("Event %s about %s", reason, about), func() error {
		var all corev1.EventList
		if err := s.admin.List(s.t.Context(), &all, client.InNamespace(namespace)); err != nil {
			return err
		}
		for _, e := range all.Items {
			if e.InvolvedObject.Name == about && e.Reason == reason {
				found = e
				return nil
			}
		}
		return fmt.Errorf("not among %d", len(all.Items))
	})
	return found
}

// cdEvents is a sink that keeps what it takes.
type cdEvents struct {
	*httptest.Server
	mu  sync.Mutex
	all []cloudevents.Event
}

func newCDEvents(t *testing.T) *cdEvents {
	t.Helper()
	s := &cdEvents{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var e cloudevents.Event
		if err == nil {
			err = e.UnmarshalJSON(body)
		}
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = append(s.all, e)
	}))
	t.Cleanup(s.Close)
	return s
}

// of returns the types of the events about a digest behind a gate.
func (s *cdEvents) of(gate, digest string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var types []string
	for _, e := range s.all {
		if e.Extensions()["gate"] == gate && e.Extensions()["imagedigest"] == digest {
			types = append(types, e.Type()+" "+fmt.Sprint(e.Extensions()["standing"]))
		}
	}
	return types
}

// Property: when the verdict of something that runs turns, that is told at once: in the
// status, by one Event and by one CDEvent for each turn. Mode Deny waits meanwhile.
func TestItIsToldWhenTheVerdictOfSomethingThatRunsTurns(t *testing.T) {
	ownCluster(t)
	s := newGateSetup(t)
	sink := newCDEvents(t)
	startController(t, "gates", seldom, func(o *app.ControllerOptions) { o.EventSink = sink.URL })
	digest := digestOf(t.Name())
	entry := s.record("app", digest, v1alpha1.OutcomePass, time.Minute)
	pod := s.pod(at(digest))
	s.gate(audit)
	s.awaits(v1alpha1.ConditionAllRunningVerified, metav1.ConditionTrue, v1alpha1.ReasonAllVerified)

	s.conclude(entry, v1alpha1.OutcomeFail, metav1.Now().Rfc3339Copy())
	s.awaits(v1alpha1.ConditionAllRunningVerified, metav1.ConditionFalse, v1alpha1.ReasonUnverifiedRunning)
	g, err := s.read()
	if err != nil {
		t.Fatal(err)
	}
	if r := g.Status.Running; r.Pods != 1 || r.Failed != 1 || r.Unverified != 1 || len(r.Worst) != 1 || r.Worst[0].Pod != pod.Name {
		t.Errorf("running is %+v", r)
	}
	if e := s.event("default", s.name, "RunningFailed"); e.Type != corev1.EventTypeWarning || !strings.Contains(e.Message, pod.Name) || !strings.Contains(e.Message, digest) {
		t.Errorf("the Event is %s: %s", e.Type, e.Message)
	}
	r := revet(t, "coverage", "--running", s.name, "--kubeconfig", clusterOf(t).Kubeconfig())
	if r.status != 1 || !strings.Contains(r.out, s.gated+"/"+pod.Name) || !strings.Contains(r.errOut, "1 of 1 Pods that run are not verified") {
		t.Errorf("coverage --running: %+v", r)
	}
	g.Spec.Mode = v1alpha1.GateDeny
	if err := s.admin.Update(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	waiting := s.awaits(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnverifiedRunning)
	eventually(t, "it says how many workloads wait", func() error {
		waiting = s.awaits(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnverifiedRunning)
		if !strings.Contains(waiting.Message, "keep 1 workloads from starting") {
			return fmt.Errorf("it says %q", waiting.Message)
		}
		return nil
	})

	want := []string{"dev.cdevents.incident.detected.0.3.0 Failed"}
	eventually(t, "the sink has the turn", func() error {
		if got := sink.of(s.name, digest); !slices.Equal(got, want) {
			return fmt.Errorf("it has %q", got)
		}
		return nil
	})
}

// Property: a digest that is verified again is told as resolved.
func TestItIsToldWhenSomethingThatRunsIsVerifiedAgain(t *testing.T) {
	ownCluster(t)
	s := newGateSetup(t)
	sink := newCDEvents(t)
	startController(t, "gates", often, func(o *app.ControllerOptions) { o.EventSink = sink.URL })
	digest := digestOf(t.Name())
	entry := s.record("app", digest, v1alpha1.OutcomeFail, time.Minute)
	s.pod(at(digest))
	s.gate(audit)
	s.awaits(v1alpha1.ConditionAllRunningVerified, metav1.ConditionFalse, v1alpha1.ReasonUnverifiedRunning)
	s.conclude(entry, v1alpha1.OutcomePass, metav1.Now().Rfc3339Copy())
	s.awaits(v1alpha1.ConditionAllRunningVerified, metav1.ConditionTrue, v1alpha1.ReasonAllVerified)
	if e := s.event("default", s.name, "RunningVerified"); e.Type != corev1.EventTypeNormal {
		t.Errorf("the Event is %s: %s", e.Type, e.Message)
	}
	eventually(t, "the sink has the turn", func() error {
		if got := sink.of(s.name, digest); !slices.Equal(got, []string{"dev.cdevents.incident.resolved.0.3.0 Verified"}) {
			return fmt.Errorf("it has %q", got)
		}
		return nil
	})
}

// Property: a Pod with the break-glass label is counted, however short its life, and once,
// also if the controller is started again.
func TestEachUseOfBreakGlassIsCountedOnce(t *testing.T) {
	ownCluster(t)
	s := newGateSetup(t)
	stop := startController(t, "gates", often)
	s.gate()
	s.enforced()
	uses := func(want int64, last string) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d uses of break-glass are counted", want), func() error {
			g, err := s.read()
			if err != nil {
				return err
			}
			if b := g.Status.BreakGlass; b.Uses != want || b.LastPod != s.gated+"/"+last {
				return fmt.Errorf("they are %+v", b)
			}
			return nil
		})
	}
	unknown := at(digestOf(t.Name()))
	short := s.pod(unknown, breakGlass)
	s.remove(short)
	uses(1, short.Name)
	if e := s.event("default", s.name, "BreakGlass"); !strings.Contains(e.Message, short.Name) {
		t.Errorf("the gate's Event is %q", e.Message)
	}
	s.event(s.gated, short.Name, "BreakGlass")

	time.Sleep(time.Until(short.CreationTimestamp.Add(time.Second))) // times are whole seconds
	stays := s.pod(unknown, breakGlass)
	uses(2, stays.Name)
	stop()
	startController(t, "gates", often)
	time.Sleep(time.Until(stays.CreationTimestamp.Add(time.Second)))
	another := s.pod(unknown, breakGlass)
	uses(3, another.Name)
}

// breakPages serves lists of Pods in pages of one, and fails the second while it is broken.
type breakPages struct {
	http.RoundTripper
	mu     sync.Mutex
	broken bool
	status int
}

func (b *breakPages) set(broken bool, status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken, b.status = broken, status
}

func (b *breakPages) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	if r.URL.Path != "/api/v1/pods" || q.Get("watch") != "" || q.Get("limit") != "500" || q.Get("labelSelector") != "" {
		return b.RoundTripper.RoundTrip(r)
	}
	b.mu.Lock()
	broken, status := b.broken, b.status
	b.mu.Unlock()
	if broken && (q.Get("continue") != "" || status == http.StatusForbidden) {
		return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: http.NoBody, Request: r, Header: http.Header{}}, nil
	}
	r = r.Clone(r.Context())
	q.Set("limit", "1")
	r.URL.RawQuery = q.Encode()
	return b.RoundTripper.RoundTrip(r)
}

// Property: while a page cannot be read, nobody knows whether all that runs is verified.
func TestABrokenListOfPodsIsUnknown(t *testing.T) {
	ownCluster(t)
	s := newGateSetup(t)
	pages := &breakPages{}
	startController(t, "gates", often, func(o *app.ControllerOptions) {
		o.Config.WrapTransport = func(rt http.RoundTripper) http.RoundTripper {
			pages.RoundTripper = rt
			return pages
		}
	})
	digest := digestOf(t.Name())
	s.record("app", digest, v1alpha1.OutcomePass, 0)
	s.pod(at(digest))
	s.pod(at(digest))
	s.gate(audit)
	for _, status := range []int{http.StatusInternalServerError, http.StatusForbidden} {
		s.awaits(v1alpha1.ConditionAllRunningVerified, metav1.ConditionTrue, v1alpha1.ReasonAllVerified)
		pages.set(true, status)
		s.awaits(v1alpha1.ConditionAllRunningVerified, metav1.ConditionUnknown, v1alpha1.ReasonNotObserved)
		pages.set(false, 0)
	}
}

// Property: that a digest ran is remembered across restarts, and after it stopped running.
func TestWhatRanIsRemembered(t *testing.T) {
	ownCluster(t)
	s := newGateSetup(t)
	stop := startController(t, "gates", often)
	passed, failed := digestOf(t.Name(), "passed"), digestOf(t.Name(), "failed")
	s.record("passed", passed, v1alpha1.OutcomePass, 24*time.Hour)
	s.record("failed", failed, v1alpha1.OutcomeFail, 24*time.Hour)
	pod := s.pod(at(passed))
	s.pod(at(failed))
	s.gate(audit, func(g *v1alpha1.ImageGateSpec) { g.MaxAge = metav1.Duration{Duration: time.Hour} })
	ran := func() {
		t.Helper()
		eventually(t, "what ran is written", func() error {
			all, err := s.maps()
			if err != nil {
				return err
			}
			if v := all[s.name]; len(v.Ran) != 1 || v.Ran[strings.TrimPrefix(passed, "sha256:")] == "" || len(v.Digests) != 0 {
				return fmt.Errorf("it has digests %v and ran %v", v.Digests, v.Ran)
			}
			return nil
		})
	}
	ran()
	stop()
	s.remove(pod)
	startController(t, "gates", often)
	restarted := time.Now()
	eventually(t, "the Pods are listed again", func() error {
		g, err := s.read()
		if err != nil {
			return err
		}
		if r := g.Status.Running; r.ObservedAt == nil || !r.ObservedAt.After(restarted) || r.Pods != 1 {
			return fmt.Errorf("running is %+v", r)
		}
		return nil
	})
	ran()
}

// deploymentOf has the break-glass label in its template.
func deploymentOf(namespace, name string) *appsv1.Deployment {
	labels := map[string]string{"app": name, v1alpha1.BreakGlassLabel: "true"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "r.example.com/app:1"}}},
			},
		},
	}
}

// Property: a workload that carried the label before the gate was in Deny is listed and does
// not count; before that list is complete, none counts; one that somebody with the right made
// later counts, also after a restart. One in a namespace that the gate comes to gate later is
// listed then, whether a controller runs at the time or starts afterwards.
func TestTemplatesOlderThanTheGateAreNotTrusted(t *testing.T) {
	ownCluster(t)
	s := newGateSetup(t)
	stop := startController(t, "gates", often)
	before := deploymentOf(s.gated, "before")
	if err := s.admin.Create(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	s.gate()
	owners := func(want ...string) {
		t.Helper()
		eventually(t, fmt.Sprintf("the untrusted owners are %v", want), func() error {
			all, err := s.maps()
			if err != nil {
				return err
			}
			for _, name := range []string{s.name, gates.TagsName(s.name)} {
				var got []string
				for uid := range all[name].UntrustedOwners {
					got = append(got, uid)
				}
				slices.Sort(got)
				if !slices.Equal(got, want) {
					return fmt.Errorf("in %s they are %v", name, got)
				}
			}
			return nil
		})
	}
	owners(gates.EveryOwner)
	owners(string(before.UID))
	g, err := s.read()
	if err != nil {
		t.Fatal(err)
	}
	want := []v1alpha1.WorkloadReference{{Kind: "Deployment", Namespace: s.gated, Name: "before", UID: string(before.UID)}}
	if !slices.Equal(g.Status.UntrustedTemplates, want) {
		t.Errorf("status.untrustedTemplates is %+v", g.Status.UntrustedTemplates)
	}
	entered := func() *appsv1.Deployment {
		t.Helper()
		namespace := newNamespace(t)
		d := deploymentOf(namespace, "elsewhere")
		if err := s.admin.Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		s.label(namespace, "gated", s.name)
		return d
	}
	known := []string{string(before.UID), string(entered().UID)}
	slices.Sort(known)
	owners(known...)
	listed := ""
	eventually(t, "the status says what was listed, and nothing changes any more", func() error {
		g, err := s.read()
		if err == nil && (g.Status.TemplatesListed == "" || g.Status.TemplatesListed != listed) {
			listed = g.Status.TemplatesListed
			err = fmt.Errorf("it says %q", listed)
		}
		return err
	})
	stop()
	if err := s.admin.Create(t.Context(), deploymentOf(s.gated, "later")); err != nil {
		t.Fatal(err)
	}
	known = append(known, string(entered().UID))
	slices.Sort(known)
	startController(t, "gates", often)
	restarted := time.Now()
	eventually(t, "the controller looks again", func() error {
		g, err := s.read()
		if err == nil && (g.Status.Running.ObservedAt == nil || !g.Status.Running.ObservedAt.After(restarted)) {
			err = fmt.Errorf("it has not")
		}
		return err
	})
	owners(known...)
}
