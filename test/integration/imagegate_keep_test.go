package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// edit changes an object until nobody else does so at the same time.
func (s *gateSetup) edit(o client.Object, change func()) {
	s.t.Helper()
	eventually(s.t, "an object is edited", func() error {
		if err := s.admin.Get(s.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		change()
		return s.admin.Update(s.t.Context(), o)
	})
}

// told waits for an Event of the gate.
func (s *gateSetup) told(reason, about string) {
	s.t.Helper()
	eventually(s.t, "an Event "+reason+" about "+about, func() error {
		var events corev1.EventList
		if err := s.admin.List(s.t.Context(), &events); err != nil {
			return err
		}
		var seen []string
		for _, e := range events.Items {
			if e.InvolvedObject.Name != s.name {
				continue
			}
			if e.Reason == reason && strings.Contains(e.Message, about) {
				return nil
			}
			seen = append(seen, e.Reason+": "+e.Message)
		}
		return fmt.Errorf("there are %q", seen)
	})
}

// Property: the API server refuses a digest from the moment it expires, while no process of
// Revet runs, and it leaves the map within 60 s while one does.
func TestAnExpiredDigestIsRefusedAndLeaves(t *testing.T) {
	ownCluster(t)
	s := newGateSetup(t)
	stop := startController(t, "gates")
	short, fresh := digestOf(t.Name(), "short"), digestOf(t.Name(), "fresh")
	s.gate(func(spec *v1alpha1.ImageGateSpec) { spec.MaxAge.Duration = time.Minute })
	s.enforced()
	s.refuses(short) // the API server knows the policies
	s.record("short", short, v1alpha1.OutcomePass, 30*time.Second)
	s.admits(short)
	stop()
	s.refuses(short)
	if maps, err := s.maps(); err != nil || maps[s.name].Digests[strings.TrimPrefix(short, "sha256:")] == "" {
		t.Fatalf("%+v, %v: want the digest still in the map", maps, err)
	}
	startController(t, "gates")
	s.record("fresh", fresh, v1alpha1.OutcomePass, 0)
	s.admits(fresh)
	within(t, time.Minute, "the expired digest leaves the map", func() error {
		maps, err := s.maps()
		if err != nil {
			return err
		}
		if maps[s.name].Digests[strings.TrimPrefix(short, "sha256:")] != "" {
			return fmt.Errorf("it is there")
		}
		return nil
	})
}

// Property: what somebody else changes or deletes of a gate's objects is put back, and an
// Event tells of it.
func TestWhatAGateOwnsIsPutBack(t *testing.T) {
	ownCluster(t)
	s := newGateSetup(t)
	startController(t, "gates")
	passed, unknown := digestOf(t.Name(), "passed"), digestOf(t.Name(), "unknown")
	s.record("passed", passed, v1alpha1.OutcomePass, 0)
	s.gate()
	s.enforced()
	s.admits(passed)
	s.refuses(unknown)

	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "revet-gate-" + s.name + "-digests"}}
	s.edit(policy, func() {
		policy.Spec.MatchConstraints.ExcludeResourceRules = policy.Spec.MatchConstraints.ResourceRules
	})
	s.told("PutBack", policy.Name)
	eventually(t, "the policy is put back", func() error {
		if err := s.admin.Get(t.Context(), client.ObjectKeyFromObject(policy), policy); err != nil {
			return err
		}
		if len(policy.Spec.MatchConstraints.ExcludeResourceRules) > 0 {
			return fmt.Errorf("it excludes %v", policy.Spec.MatchConstraints.ExcludeResourceRules)
		}
		return nil
	})
	s.refuses(unknown)

	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: policy.Name}}
	if err := s.admin.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the binding is put back", func() error { return s.admin.Get(t.Context(), client.ObjectKeyFromObject(binding), binding) })
	s.refuses(unknown)

	hex := strings.TrimPrefix(unknown, "sha256:")
	images := &v1alpha1.VerifiedImages{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: s.name}}
	s.edit(images, func() { images.Digests[hex] = time.Now().UTC().Format(time.RFC3339) })
	eventually(t, "a digest that somebody wrote leaves", func() error {
		maps, err := s.maps()
		if err != nil || maps[s.name].Digests[hex] != "" {
			return fmt.Errorf("it is there: %v", err)
		}
		return nil
	})
	s.refuses(unknown)
	for _, name := range []string{s.name, s.name + ".tags"} {
		gone := &v1alpha1.VerifiedImages{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: name}}
		if err := s.admin.Delete(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" comes back", func() error { return s.admin.Get(t.Context(), client.ObjectKeyFromObject(gone), gone) })
		s.told("PutBack", name)
	}
	s.admits(passed)

	// An edit while no process runs is put back by the next one. Labels count as well.
	s.edit(policy, func() { delete(policy.Labels, v1alpha1.GateLabel) })
	eventually(t, "the label is put back", func() error {
		if err := s.admin.Get(t.Context(), client.ObjectKeyFromObject(policy), policy); err != nil {
			return err
		}
		if policy.Labels[v1alpha1.GateLabel] != s.name {
			return fmt.Errorf("the labels are %v", policy.Labels)
		}
		return nil
	})
}

// Property: only verdicts of triggers that the gate trusts now count; a trigger that does
// not exist is a condition, and its namespace is excluded all the same.
func TestTrustOfAGateChanges(t *testing.T) {
	ownCluster(t)
	s := newGateSetup(t)
	startController(t, "gates")
	first, second := digestOf(t.Name(), "first"), digestOf(t.Name(), "second")
	s.record("first", first, v1alpha1.OutcomePass, 0)
	g := s.gate()
	s.enforced()
	s.admits(first)

	s.edit(g, func() { g.Spec.Trust[0].Trigger = "other" })
	c := s.awaits(v1alpha1.ConditionTrustResolved, metav1.ConditionFalse, v1alpha1.ReasonTriggersMissing)
	if !strings.Contains(c.Message, s.ledger+"/other") {
		t.Errorf("the message %q does not name the trigger", c.Message)
	}
	s.refuses(first)
	s.trigger = s.newTrigger("other")
	s.awaits(v1alpha1.ConditionTrustResolved, metav1.ConditionTrue, v1alpha1.ReasonTrustResolved)
	s.record("second", second, v1alpha1.OutcomePass, 0)
	s.admits(second)

	// A trigger of the same name is made again: its earlier verdicts count until they expire.
	if err := s.admin.Delete(t.Context(), s.trigger); err != nil {
		t.Fatal(err)
	}
	s.awaits(v1alpha1.ConditionTrustResolved, metav1.ConditionFalse, v1alpha1.ReasonTriggersMissing)
	s.trigger = s.newTrigger("other")
	s.awaits(v1alpha1.ConditionTrustResolved, metav1.ConditionTrue, v1alpha1.ReasonTrustResolved)
	s.admits(second)

	// Where trusted triggers run nothing is gated, whatever the namespace's labels say.
	s.label(s.ledger, "gated", s.name)
	if err := s.admin.Create(t.Context(), podOf(s.ledger, at(digestOf("any"))), client.DryRunAll); err != nil {
		t.Errorf("a Pod of a trusted trigger's namespace: %v", err)
	}
}

// Property: a gate goes to Deny by force or when all that runs is verified, and leaves Deny
// at once.
func TestModesOfAGate(t *testing.T) {
	ownCluster(t)
	s := newGateSetup(t)
	startController(t, "gates")
	unknown := digestOf(t.Name(), "unknown")
	if err := s.admin.Create(t.Context(), podOf(s.gated, at(unknown))); err != nil {
		t.Fatal(err)
	}
	g := s.gate(func(spec *v1alpha1.ImageGateSpec) { spec.Mode, spec.Force = v1alpha1.GateAudit, false })
	s.enforced()
	mode := func(want v1alpha1.GateMode) {
		t.Helper()
		eventually(t, "mode "+string(want)+" is in force", func() error {
			g, err := s.read()
			if err != nil || g.Status.Mode != want || g.Status.ObservedGeneration != g.Generation {
				return fmt.Errorf("%+v, %w", g.Status, err)
			}
			return nil
		})
	}
	mode(v1alpha1.GateAudit)
	s.edit(g, func() { g.Spec.Mode = v1alpha1.GateDeny })
	c := s.awaits(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnverifiedRunning)
	if !strings.Contains(c.Message, "spec.force") || !strings.Contains(c.Message, "Audit is in force") {
		t.Errorf("the message %q names no cure", c.Message)
	}
	mode(v1alpha1.GateAudit)
	if err := s.start(at(unknown)); err != nil {
		t.Errorf("a Pod is refused although mode Deny is not in force: %v", err)
	}
	s.edit(g, func() { g.Spec.Force = true })
	s.enforced()
	mode(v1alpha1.GateDeny)
	s.refuses(unknown)
	s.edit(g, func() { g.Spec.Mode, g.Spec.Force = v1alpha1.GateWarn, false })
	mode(v1alpha1.GateWarn)
	s.admits(unknown)
}

// Property: the gate's objects say what each tag stands for, and follow its newest push.
func TestTagsOfAGate(t *testing.T) {
	ownCluster(t)
	s := newGateSetup(t)
	startController(t, "gates")
	passed := digestOf(t.Name(), "passed")
	e := s.record("app", passed, v1alpha1.OutcomePass, 0)
	s.gate()
	s.enforced()
	stands := func(want string) {
		t.Helper()
		eventually(t, "the tag stands for "+want, func() error {
			maps, err := s.maps()
			if got := maps[s.name+".tags"].Tags["r.example.com/app:1"]; err != nil || got != want {
				return fmt.Errorf("it stands for %q: %v", got, err)
			}
			return nil
		})
	}
	stands(strings.TrimPrefix(passed, "sha256:"))
	s.conclude(e, v1alpha1.OutcomeFail, metav1.Now())
	stands("Failed")
}
