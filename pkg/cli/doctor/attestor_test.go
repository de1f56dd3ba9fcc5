package doctor

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
	"github.com/revet-dev/revet/pkg/config"
)

// without removes the objects of a name from a cluster.
func without(d *commandtest.Description, name string) {
	d.Objects = slices.DeleteFunc(d.Objects, func(o client.Object) bool { return o.GetName() == name })
}

func find[T client.Object](d *commandtest.Description, name string) T {
	i := slices.IndexFunc(d.Objects, func(o client.Object) bool {
		_, ok := o.(T)
		return ok && o.GetName() == name
	})
	return d.Objects[i].(T)
}

// Each part that signed verdicts need shows when it is missing, and a program's leader is not
// taken for another's.
func TestWhatSignedVerdictsNeed(t *testing.T) {
	report := func(text string) func(*commandtest.Description) {
		return func(d *commandtest.Description) {
			find[*coordinationv1.Lease](d, attestation.ReportLease).Annotations[attestation.ReportAnnotation] = text
		}
	}
	digest := config.Attested{{Namespace: "demo", Trigger: "prod"}: true}.Digest()
	nobodyAsks := func(d *commandtest.Description) {
		find[*v1alpha1.ImageTrigger](d, "prod").Spec.Attest = nil
		find[*v1alpha1.ImageVerification](d, "app-1").Status.Attestations = nil
		without(d, config.AttestationConfigMap)
	}
	list := func(document string) func(*commandtest.Description) {
		return func(d *commandtest.Description) {
			find[*corev1.ConfigMap](d, config.AttestationConfigMap).Data[config.AttestedKey] = document
		}
	}
	for _, test := range []struct {
		name   string
		change func(*commandtest.Description)
		want   map[Level][]string
	}{
		{"only an attestor leads", func(d *commandtest.Description) { without(d, "controller.imageverification.00-of-01") },
			map[Level][]string{LevelProblem: {"leader"}}},
		{"only a controller leads", func(d *commandtest.Description) { without(d, "controller.attestation.00-of-01") },
			map[Level][]string{LevelProblem: {"attestor leader"}}},
		{"there is no attestor", func(d *commandtest.Description) { without(d, "attestor") },
			map[Level][]string{LevelProblem: {"attestor"}}},
		{"nobody reported", func(d *commandtest.Description) { without(d, attestation.ReportLease) },
			map[Level][]string{LevelUnknown: {"attestation keys"}}},
		{"nobody reported lately", func(d *commandtest.Description) {
			find[*coordinationv1.Lease](d, attestation.ReportLease).Spec.RenewTime = &metav1.MicroTime{Time: commandtest.At(attestation.ReportStale)}
		}, map[Level][]string{LevelUnknown: {"attestation keys"}}},
		{"the report cannot be read", report("{"), map[Level][]string{LevelUnknown: {"attestation keys"}}},
		{"there is no key", report(`{"triggers":1,"list":"` + digest + `"}`), map[Level][]string{LevelProblem: {"attestation keys"}}},
		{"no key signs", report(`{"keys":["a"],"triggers":1,"list":"` + digest + `"}`), map[Level][]string{LevelProblem: {"attestation keys"}}},
		{"the attestor has a problem", report(`{"keys":["a"],"signs":"a","problems":["no"],"triggers":1,"list":"` + digest + `"}`),
			map[Level][]string{LevelProblem: {"attestation keys"}}},
		{"the attestor has another list", report(`{"keys":["a"],"signs":"a","list":"x"}`), map[Level][]string{LevelWarning: {"attestation list"}}},
		{"the list is not valid", list("x: y"), map[Level][]string{LevelProblem: {"attestation list"}}},
		{"the trigger is not listed", func(d *commandtest.Description) { without(d, config.AttestationConfigMap) },
			map[Level][]string{LevelWarning: {"attestation list"}, LevelProblem: {"attestations"}}},
		{"nobody asks, and an attestor without a key runs", func(d *commandtest.Description) {
			nobodyAsks(d)
			report(`{"list":"` + config.Attested{}.Digest() + `"}`)(d)
		}, map[Level][]string{}},
		{"nobody asks, and nobody leads", func(d *commandtest.Description) {
			nobodyAsks(d)
			without(d, "controller.attestation.00-of-01")
			without(d, attestation.ReportLease)
		}, map[Level][]string{LevelWarning: {"attestor leader", "attestation keys"}}},
		{"nobody asks, and there is no attestor", func(d *commandtest.Description) { nobodyAsks(d); without(d, "attestor") }, map[Level][]string{}},
		{"nobody asks, and the attestor is switched off", func(d *commandtest.Description) {
			nobodyAsks(d)
			find[*appsv1.Deployment](d, "attestor").Spec.Replicas = new(int32(0))
		}, map[Level][]string{}},
		{"a pass waits for long", func(d *commandtest.Description) {
			find[*v1alpha1.ImageVerification](d, "app-1").Status.Attestations = nil
		},
			map[Level][]string{LevelProblem: {"attestations"}}},
		{"a pass waits for short", func(d *commandtest.Description) {
			e := find[*v1alpha1.ImageVerification](d, "app-1")
			e.Status.Attestations, e.Status.Verdict.At = nil, *commandtest.Second(time.Minute)
		}, map[Level][]string{}},
		{"the registry does not answer for short", pending(time.Minute), map[Level][]string{}},
		{"the registry does not answer for long", pending(time.Hour), map[Level][]string{LevelProblem: {"attestations"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := healthy(t)
			test.change(&d)
			got, status := notOK(t, d)
			want := 0
			if len(test.want[LevelProblem])+len(test.want[LevelUnknown]) > 0 {
				want = 1
			}
			if diff := cmp.Diff(test.want, got); diff != "" || status != want {
				t.Errorf("status %d, want %d; checks that did not end well (-want +got):\n%s", status, want, diff)
			}
		})
	}
}

// pending is a statement that has been on its way for so long.
func pending(long time.Duration) func(*commandtest.Description) {
	return func(d *commandtest.Description) {
		a := &find[*v1alpha1.ImageVerification](d, "app-1").Status.Attestations[0]
		a.State, a.Since = v1alpha1.AttestationPending, commandtest.Second(long)
	}
}
