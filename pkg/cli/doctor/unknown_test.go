package doctor

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

// healthy is the cluster of testdata/healthy.yaml, in which doctor finds nothing wrong.
func healthy(t *testing.T) commandtest.Description {
	t.Helper()
	scheme, err := command.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	return commandtest.ReadObjects(t, filepath.FromSlash("testdata/healthy.yaml"), scheme)
}

// notOK returns the checks of the report on a cluster that did not end well, by level, and
// the exit status.
func notOK(t *testing.T, description commandtest.Description) (map[Level][]string, int) {
	t.Helper()
	scheme, err := command.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	r := commandtest.Run(New, "", connectTo(t, description, scheme), "doctor", "-A", "-o", "json")
	var report Report
	if err := json.Unmarshal([]byte(r.Out), &report); err != nil {
		t.Fatalf("%v: %s%s", err, r.Out, r.ErrOut)
	}
	checks := map[Level][]string{}
	for _, f := range report.Installation {
		checks[f.Level] = append(checks[f.Level], f.Check)
	}
	for _, of := range report.Triggers {
		for _, f := range of.Findings {
			checks[f.Level] = append(checks[f.Level], f.Check)
		}
	}
	delete(checks, LevelOK)
	return checks, r.Status
}

func triggerIn(d commandtest.Description) *v1alpha1.ImageTrigger {
	i := slices.IndexFunc(d.Objects, func(o client.Object) bool { _, ok := o.(*v1alpha1.ImageTrigger); return ok })
	return d.Objects[i].(*v1alpha1.ImageTrigger)
}

func entryIn(d commandtest.Description) *v1alpha1.ImageVerification {
	i := slices.IndexFunc(d.Objects, func(o client.Object) bool { _, ok := o.(*v1alpha1.ImageVerification); return ok })
	return d.Objects[i].(*v1alpha1.ImageVerification)
}

// Property: what doctor may not read, or cannot read, is unknown and makes the exit status
// 1. No check passes in silence for it.
func TestWhatCannotBeReadIsUnknown(t *testing.T) {
	elsewhere := func(d commandtest.Description) { // other namespaces may be meant
		triggerIn(d).Spec.Images[0].ImageStreams.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "demo"}}
	}
	nodes := func(d commandtest.Description) {
		for _, o := range d.Objects {
			if class, ok := o.(*nodev1.RuntimeClass); ok {
				class.Scheduling = &nodev1.Scheduling{NodeSelector: map[string]string{"pool": "sandboxed"}}
			}
		}
	}
	unsigned := func(d commandtest.Description) { entryIn(d).Status.Attestations = nil }
	unused := func(d commandtest.Description) { entryIn(d).Spec.Trigger.UID = "another" }
	for _, test := range []struct {
		kind   string
		change func(commandtest.Description)
		want   []string
	}{
		{"Deployment", nil, []string{"receiver", "controller", "attestor"}},
		{"Lease", nil, []string{"leader", "attestor leader", "attestation keys"}},
		{"Lease", unsigned, []string{"leader", "attestor leader", "attestation keys", "attestations"}},
		{"ValidatingAdmissionPolicy", nil, []string{"ledger policy"}},
		{"ValidatingAdmissionPolicyBinding", nil, []string{"ledger policy"}},
		{"ImageTrigger", nil, []string{"attestation list", "triggers"}},
		{"ImageVerification", nil, []string{"entries"}},
		{"EventListener", nil, []string{"inspection", "FilterValid", "SinkResolved", "TemplateAccepted", "Authorized"}},
		{"ServiceAccount", nil, []string{"inspection", "FilterValid", "SinkResolved", "TemplateAccepted", "Authorized", "ServiceAccount"}},
		{"SubjectAccessReview", nil, []string{"inspection", "FilterValid", "SinkResolved", "TemplateAccepted", "Authorized"}},
		{"RuntimeClass", nil, []string{"inspection", "FilterValid", "SinkResolved", "TemplateAccepted", "Authorized", "RuntimeClass"}},
		{"Node", nodes, []string{"nodes"}},
		{"Namespace", nil, []string{"source"}},
		{"ApiServerSource", nil, []string{"source"}},
		{"Namespace/all", elsewhere, []string{"PullAllowed", "source"}},
		{"ConfigMap", func(d commandtest.Description) {
			triggerIn(d).Spec.Sink = v1alpha1.Sink{URI: "http://sink.example.com"}
		},
			[]string{"attestation list", "inspection", "FilterValid", "SinkResolved", "TemplateAccepted", "Authorized"}},
		{"ConfigMap", unsigned, []string{"attestation list", "attestations"}},
		{"ConfigMap", unused, []string{"attestation list", "attestations"}},
	} {
		for _, forbidden := range []bool{true, false} {
			d := healthy(t)
			name := test.kind + " fails"
			if d.Failing = []string{test.kind}; forbidden {
				name = test.kind + " is forbidden"
				d.Failing, d.Forbidden = nil, d.Failing
			}
			if test.kind == "Namespace/all" && !forbidden {
				continue // only rights differ by namespace
			}
			t.Run(name, func(t *testing.T) {
				if test.change != nil {
					test.change(d)
				}
				got, status := notOK(t, d)
				want := test.want
				if test.kind == "ServiceAccount" && forbidden {
					want = want[len(want)-1:] // the controller's check does without
				}
				if diff := cmp.Diff(want, got[LevelUnknown]); diff != "" || status != 1 {
					t.Errorf("status %d, want 1; unknown checks (-want +got):\n%s\nall: %v", status, diff, got)
				}
			})
		}
	}
}

// A cluster in which nothing is wrong and everything can be read has status 0: otherwise
// the test above would show nothing.
func TestNothingIsUnknownInAHealthyCluster(t *testing.T) {
	if got, status := notOK(t, healthy(t)); len(got) > 0 || status != 0 {
		t.Errorf("status %d, findings %v", status, got)
	}
}

// What only the controller knows, and what it does not say, is no less unknown or wrong
// than what doctor reads itself.
func TestTheControllersWordCounts(t *testing.T) {
	condition := func(kind string, status metav1.ConditionStatus, reason string) func(*v1alpha1.ImageTrigger) {
		return func(t *v1alpha1.ImageTrigger) {
			t.Status.Conditions = append(t.Status.Conditions, metav1.Condition{Type: kind, Status: status, Reason: reason, Message: "words", ObservedGeneration: 1})
		}
	}
	sweptAs := func(change func(*metav1.Condition)) func(*v1alpha1.ImageTrigger) {
		return func(t *v1alpha1.ImageTrigger) {
			for i := range t.Status.Conditions {
				if c := &t.Status.Conditions[i]; c.Type == v1alpha1.ConditionSwept {
					change(c)
				}
			}
		}
	}
	for _, test := range []struct {
		name   string
		change func(*v1alpha1.ImageTrigger)
		want   map[Level][]string
	}{
		{"requests are not followed by runs", condition("Confirmed", metav1.ConditionFalse, "Unconfirmed"), map[Level][]string{LevelProblem: {"Confirmed"}}},
		{"Pods cannot start in the class", condition("SandboxAvailable", metav1.ConditionFalse, "SandboxUnavailable"), map[Level][]string{LevelProblem: {"SandboxAvailable"}}},
		{"the class was missing when the controller looked", condition("SandboxAvailable", metav1.ConditionFalse, "RuntimeClassNotFound"), map[Level][]string{}},
		{"the runs may not pull", condition("PullAllowed", metav1.ConditionFalse, "PullNotAllowed"), map[Level][]string{LevelProblem: {"PullAllowed"}}},
		{"nobody knows whether the runs may pull", condition("PullAllowed", metav1.ConditionUnknown, "PullNotKnown"), map[Level][]string{LevelUnknown: {"PullAllowed"}}},
		{"a condition of a later version", condition("Future", metav1.ConditionFalse, "Later"), map[Level][]string{LevelProblem: {"Future"}}},
		{"a sweep that did not see everything", sweptAs(func(c *metav1.Condition) { c.Status = metav1.ConditionFalse }), map[Level][]string{LevelProblem: {"sweep"}}},
		{"a sweep of which nobody knows", sweptAs(func(c *metav1.Condition) { c.Status = metav1.ConditionUnknown }), map[Level][]string{LevelUnknown: {"sweep"}}},
		{"a sweep without a condition", func(t *v1alpha1.ImageTrigger) { t.Status.Conditions = t.Status.Conditions[:1] }, map[Level][]string{LevelUnknown: {"sweep"}}},
		{"a sweep that could not see everything", func(t *v1alpha1.ImageTrigger) {
			t.Status.LastSweep.Coverage = v1alpha1.CoverageNotKnown
			t.Status.LastSweep.Unknown = []v1alpha1.Unknown{{Reason: "StreamsNotVisible", Count: 2}}
		}, map[Level][]string{LevelUnknown: {"sweep"}}},
		{"a sweep of a Revet that does not report coverage", func(t *v1alpha1.ImageTrigger) { t.Status.LastSweep.Coverage = "" }, map[Level][]string{LevelUnknown: {"sweep"}}},
		{"a sweep that found a gap", func(t *v1alpha1.ImageTrigger) { t.Status.LastSweep.Coverage = v1alpha1.CoverageGap }, map[Level][]string{LevelProblem: {"sweep"}}},
		{"a sweep of another spec", sweptAs(func(c *metav1.Condition) { c.ObservedGeneration = 0 }), map[Level][]string{LevelUnknown: {"sweep"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := healthy(t)
			test.change(triggerIn(d))
			got, _ := notOK(t, d)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// Somebody has to lead every bucket of keys, and the Leases of a number of buckets that is
// no longer configured say nothing.
func TestEveryBucketNeedsALeader(t *testing.T) {
	for _, test := range []struct {
		name string
		// leases are those besides controller.imageverification.00-of-01, and whether
		// somebody renews them.
		leases map[string]bool
		want   map[Level][]string
	}{
		{"an old number of buckets", map[string]bool{"controller.imageverification.00-of-02": false, "controller.imageverification.01-of-02": false}, map[Level][]string{}},
		{"both of two", map[string]bool{"controller.imagetrigger.00-of-02": true, "controller.imagetrigger.01-of-02": true}, map[Level][]string{}},
		{"one of two", map[string]bool{"controller.imagetrigger.00-of-02": true, "controller.imagetrigger.01-of-02": false}, map[Level][]string{LevelProblem: {"leader"}}},
		{"one of two, the other never made", map[string]bool{"controller.imagetrigger.00-of-02": true}, map[Level][]string{LevelProblem: {"leader"}}},
		{"a Lease of somebody else", map[string]bool{"another.00-of-02": true}, map[Level][]string{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := healthy(t)
			for name, renewed := range test.leases {
				holder, at := "controller-b", metav1.NewMicroTime(commandtest.At(time.Hour))
				if renewed {
					at = metav1.NewMicroTime(commandtest.At(time.Second))
				}
				d.Objects = append(d.Objects, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: name},
					Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &at}})
			}
			got, _ := notOK(t, d)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}
