package integration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// gateSetup is a gate with what it trusts and what it gates.
type gateSetup struct {
	t *testing.T
	// ledger is the namespace of the trusted trigger, and gated the one that is gated.
	ledger, gated string
	name          string
	trigger       *v1alpha1.ImageTrigger
	// writer writes the ledger.
	writer client.Client
	admin  client.Client
}

// newGateSetup makes a trigger that nothing fires for, and an empty gated namespace.
func newGateSetup(t *testing.T) *gateSetup {
	t.Helper()
	s := &gateSetup{
		t: t, ledger: newNamespace(t), gated: newNamespace(t), admin: admin(t),
		writer: clientOf(t, account(t, systemNamespace, "controller")),
	}
	s.name = "g" + strings.TrimPrefix(s.gated, "test-")
	s.label(s.gated, "gated", s.name)
	s.trigger = s.newTrigger("vet")
	return s
}

func (s *gateSetup) newTrigger(name string) *v1alpha1.ImageTrigger {
	s.t.Helper()
	trigger := &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ledger, Name: name},
		Spec: v1alpha1.ImageTriggerSpec{
			Images: []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{Names: []string{"none"}}}},
			Sink:   v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "none"}},
		},
	}
	if err := s.admin.Create(s.t.Context(), trigger); err != nil {
		s.t.Fatal(err)
	}
	return trigger
}

func (s *gateSetup) label(namespace, key, value string) {
	s.t.Helper()
	var n corev1.Namespace
	if err := s.admin.Get(s.t.Context(), client.ObjectKey{Name: namespace}, &n); err != nil {
		s.t.Fatal(err)
	}
	n.Labels[key] = value
	if err := s.admin.Update(s.t.Context(), &n); err != nil {
		s.t.Fatal(err)
	}
}

// gate makes a gate in Deny with the given change, and removes it after the test.
func (s *gateSetup) gate(change ...func(*v1alpha1.ImageGateSpec)) *v1alpha1.ImageGate {
	s.t.Helper()
	g := &v1alpha1.ImageGate{
		ObjectMeta: metav1.ObjectMeta{Name: s.name},
		Spec: v1alpha1.ImageGateSpec{
			NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"gated": s.name}},
			Trust:             []v1alpha1.TrustedTrigger{{Namespace: s.ledger, Trigger: "vet"}},
			MaxAge:            metav1.Duration{Duration: 168 * time.Hour},
			Mode:              v1alpha1.GateDeny, Force: true,
		},
	}
	for _, f := range change {
		f(&g.Spec)
	}
	if err := s.admin.Create(s.t.Context(), g); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { removeGate(s.t, s.admin, s.name) })
	return g
}

// digestOf returns a digest that nobody else uses.
func digestOf(parts ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(parts...)))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// record writes an entry that ended, with a verdict of the given age.
func (s *gateSetup) record(name, digest string, outcome v1alpha1.Outcome, age time.Duration) *v1alpha1.ImageVerification {
	s.t.Helper()
	at := metav1.NewTime(time.Now().Add(-age).Truncate(time.Second))
	pushed := v1alpha1.PushRecord{Tag: "1", PushedAt: at, ObservedAt: metav1.NewMicroTime(at.Time), Source: v1alpha1.SourceEvent}
	e := &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ledger, Name: name},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: s.trigger.Name, UID: string(s.trigger.UID)},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: "r.example.com/" + name, Pull: "r.example.com/" + name},
			Digest:     digest, FirstPush: pushed,
		},
	}
	if err := s.writer.Create(s.t.Context(), e); err != nil {
		s.t.Fatal(err)
	}
	s.conclude(e, outcome, at)
	return e
}

// conclude writes a verdict into an entry.
func (s *gateSetup) conclude(
	e *v1alpha1.ImageVerification, outcome v1alpha1.Outcome, at metav1.Time,
	more ...func(*v1alpha1.ImageVerificationStatus),
) {
	s.t.Helper()
	eventually(s.t, "the status is written", func() error {
		if err := s.writer.Get(s.t.Context(), client.ObjectKeyFromObject(e), e); err != nil {
			return err
		}
		number := e.Status.RunCount + 1
		e.Status.Phase = map[v1alpha1.Outcome]v1alpha1.Phase{v1alpha1.OutcomePass: v1alpha1.PhasePassed, v1alpha1.OutcomeFail: v1alpha1.PhaseFailed}[outcome]
		e.Status.Tags = []v1alpha1.TagStatus{{PushRecord: e.Spec.FirstPush, Run: number}}
		e.Status.RunCount = number
		run := fmt.Sprintf("%s-%d", e.Name, number)
		e.Status.Runs = append(e.Status.Runs, v1alpha1.RunStatus{
			Number: number, Name: run, Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: "1"},
			RequestedAt: metav1.NewMicroTime(at.Time), FinishedAt: &at, Outcome: outcome,
		})
		e.Status.Verdict = &v1alpha1.Verdict{Outcome: outcome, Run: run, At: at}
		for _, change := range more {
			change(&e.Status)
		}
		return s.writer.Status().Update(s.t.Context(), e)
	})
}

// start tries to start a Pod without making it.
func (s *gateSetup) start(image string) error {
	return s.admin.Create(s.t.Context(), podOf(s.gated, image), client.DryRunAll)
}

func podOf(namespace, image string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "p-"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}},
	}
}

func at(digest string) string { return "r.example.com/app@" + digest }

// admits waits until a Pod with the digest may start.
func (s *gateSetup) admits(digest string) {
	s.t.Helper()
	eventually(s.t, "a Pod with a verified digest may start", func() error { return s.start(at(digest)) })
}

// refuses waits until a Pod with the digest may not start.
func (s *gateSetup) refuses(digest string) { s.refusesImage(at(digest)) }

// refusesImage waits until a Pod with the image may not start.
func (s *gateSetup) refusesImage(image string) {
	s.t.Helper()
	eventually(s.t, "a Pod with an unverified image may not start", func() error {
		err := s.start(image)
		if err == nil {
			return fmt.Errorf("the Pod may start")
		}
		if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
			return err
		}
		return nil
	})
}

func (s *gateSetup) read() (*v1alpha1.ImageGate, error) {
	var g v1alpha1.ImageGate
	err := s.admin.Get(s.t.Context(), client.ObjectKey{Name: s.name}, &g)
	return &g, err
}

// awaits waits until a condition of the gate has a status and a reason.
func (s *gateSetup) awaits(condition string, status metav1.ConditionStatus, reason string) metav1.Condition {
	s.t.Helper()
	var found metav1.Condition
	eventually(s.t, fmt.Sprintf("condition %s is %s for %s", condition, status, reason), func() error {
		g, err := s.read()
		if err != nil {
			return err
		}
		c := meta.FindStatusCondition(g.Status.Conditions, condition)
		if c == nil || c.Status != status || c.Reason != reason || c.ObservedGeneration != g.Generation {
			return fmt.Errorf("it is %+v", c)
		}
		found = *c
		return nil
	})
	return found
}

// enforced waits until the gate's spec is in force.
func (s *gateSetup) enforced() {
	s.t.Helper()
	s.awaits(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonEnforced)
}

// maps returns the gate's VerifiedImages by name.
func (s *gateSetup) maps() (map[string]v1alpha1.VerifiedImages, error) {
	var list v1alpha1.VerifiedImagesList
	err := s.admin.List(s.t.Context(), &list, client.InNamespace(systemNamespace), client.MatchingLabels{v1alpha1.GateLabel: s.name})
	all := map[string]v1alpha1.VerifiedImages{}
	for _, v := range list.Items {
		all[v.Name] = v
	}
	return all, err
}

// owned counts what carries the gate's label.
func (s *gateSetup) owned() (int, error) {
	count := 0
	for _, list := range []client.ObjectList{
		&v1alpha1.VerifiedImagesList{}, &admissionv1.ValidatingAdmissionPolicyList{}, &admissionv1.ValidatingAdmissionPolicyBindingList{},
	} {
		if err := s.admin.List(s.t.Context(), list, client.MatchingLabels{v1alpha1.GateLabel: s.name}); err != nil {
			return 0, err
		}
		count += meta.LenList(list)
	}
	return count, nil
}

// removeGate removes a gate, and what it owns if nobody else does.
func removeGate(t *testing.T, c client.Client, name string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	g := &v1alpha1.ImageGate{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := c.Delete(ctx, g); client.IgnoreNotFound(err) != nil {
		t.Error(err)
	}
	for _, o := range []client.Object{&admissionv1.ValidatingAdmissionPolicyBinding{}, &admissionv1.ValidatingAdmissionPolicy{}} {
		if err := c.DeleteAllOf(ctx, o, client.MatchingLabels{v1alpha1.GateLabel: name}); err != nil {
			t.Error(err)
		}
	}
	if err := c.DeleteAllOf(ctx, &v1alpha1.VerifiedImages{}, client.InNamespace(systemNamespace), client.MatchingLabels{v1alpha1.GateLabel: name}); err != nil {
		t.Error(err)
	}
}

// Property: what a trusted trigger passed may start in a gated namespace, from the moment
// its verdict is written; what failed may not, nor what nobody verified. Everything goes
// with the gate.
func TestAGateAdmitsWhatPassed(t *testing.T) {
	ownCluster(t)
	s := newGateSetup(t)
	startController(t, "gates")
	passed := digestOf(t.Name(), "passed")
	entry := s.record("passed", passed, v1alpha1.OutcomePass, 0)
	s.gate()
	s.enforced()
	s.admits(passed)
	s.refuses(digestOf(t.Name(), "unknown"))

	later := digestOf(t.Name(), "later")
	s.record("later", later, v1alpha1.OutcomePass, 0)
	s.admits(later)

	s.conclude(entry, v1alpha1.OutcomeFail, metav1.Now())
	s.refuses(passed)
	s.admits(later)

	if err := s.admin.Delete(t.Context(), &v1alpha1.ImageGate{ObjectMeta: metav1.ObjectMeta{Name: s.name}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "everything goes with the gate", func() error {
		if n, err := s.owned(); err != nil || n > 0 {
			return fmt.Errorf("%d objects are left: %w", n, err)
		}
		return s.start(at(passed))
	})
}
