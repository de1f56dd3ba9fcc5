package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli"
	cligate "github.com/revet-dev/revet/pkg/cli/gate"
	"github.com/revet-dev/revet/pkg/gate"
)

// gateTest runs "kubectl revet gate test" for one image behind the gate.
func (g *gated) gateTest(t *testing.T, image string) (int, cligate.Image) {
	t.Helper()
	var out, errOut bytes.Buffer
	status := cli.Run(t.Context(), []string{
		"gate", "test", "--gate", g.gate.Name, "--image", image, "-n", g.namespace, "-o", "json", "--kubeconfig", shared.Kubeconfig(),
	}, genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut})
	var report cligate.Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || len(report.Images) != 1 {
		t.Fatalf("status %d, output %q, errors %q, %v", status, &out, &errOut, err)
	}
	return status, report.Images[0]
}

// vetted makes the ledger that the gate's content is of, in the namespace that it trusts.
func (g *gated) vetted(t *testing.T) {
	t.Helper()
	trusted := g.gate.Spec.Trust[0]
	trigger := &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: trusted.Namespace, Name: trusted.Trigger},
		Spec: v1alpha1.ImageTriggerSpec{
			Images: []v1alpha1.ImageSelector{{Repository: "r.example/**"}}, Sink: v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "scan"}},
		},
	}
	g.make(t, trigger)
	// Nobody else may write the ledger once its policy is there, which other tests apply.
	writer := asUser(t, "system:serviceaccount:revet-system:controller", "system:masters")
	now := time.Now()
	for i, of := range []struct {
		hex, tag string
		outcome  v1alpha1.Outcome
		ago      time.Duration
	}{
		{freshHex, "1", v1alpha1.OutcomePass, time.Hour},
		{expiredHex, "old", v1alpha1.OutcomePass, 200 * time.Hour},
		{ranHex, "ran", v1alpha1.OutcomePass, 200 * time.Hour},
		{longRanHex, "long", v1alpha1.OutcomePass, 2000 * time.Hour},
		{badHex, "bad", v1alpha1.OutcomeFail, time.Hour},
	} {
		pushed := metav1.NewTime(now.Add(-of.ago))
		e := &v1alpha1.ImageVerification{
			ObjectMeta: metav1.ObjectMeta{Namespace: trusted.Namespace, Name: fmt.Sprintf("app-%d", i)},
			Spec: v1alpha1.ImageVerificationSpec{
				Trigger:    v1alpha1.TriggerReference{Name: trigger.Name, UID: string(trigger.UID)},
				Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: "r.example/team/app", Pull: "r.example/team/app"},
				Digest:     "sha256:" + of.hex,
				FirstPush: v1alpha1.PushRecord{Tag: of.tag, PushedAt: pushed, ObservedAt: metav1.NewMicroTime(pushed.Time),
					Source: v1alpha1.SourceWebhook, Sequence: 1},
			},
		}
		if err := writer.Create(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = g.admin.Delete(context.Background(), e) })
		e.Status.Phase = map[v1alpha1.Outcome]v1alpha1.Phase{v1alpha1.OutcomePass: v1alpha1.PhasePassed, v1alpha1.OutcomeFail: v1alpha1.PhaseFailed}[of.outcome]
		e.Status.Verdict = &v1alpha1.Verdict{Outcome: of.outcome, Run: e.Name, At: pushed}
		if err := writer.Status().Update(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

var badHex = strings.Repeat("f", 64)

// owned makes what the API server looks up the gate's.
func (g *gated) owned(t *testing.T) []*v1alpha1.VerifiedImages {
	t.Helper()
	var l v1alpha1.VerifiedImagesList
	if err := g.admin.List(t.Context(), &l); err != nil {
		t.Fatal(err)
	}
	var all []*v1alpha1.VerifiedImages
	for i := range l.Items {
		v := &l.Items[i]
		if v.Name != g.gate.Name && v.Name != gate.TagsName(g.gate.Name) {
			continue
		}
		v.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(g.gate, v1alpha1.GroupVersion.WithKind("ImageGate"))}
		if err := g.admin.Update(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// Property: the command says what the API server does, for every standing, and says so
// where it does not.
func TestGateTestAgreesWithTheAPIServer(t *testing.T) {
	beside(t)
	g := newGated(t, v1alpha1.GateDeny, func(g *v1alpha1.ImageGate, in *gate.Surroundings) {
		exempting(g, in)
		g.Spec.Mode, g.Spec.Force = v1alpha1.GateDeny, true
		g.Spec.Trust[0].Namespace = "vetting-" + g.Name
		in.MutatingServed, in.MutatingVersion = mutating, mutatingVersion(t)
	}).enforce(t, content()...)
	g.makeNamespace(t, g.gate.Spec.Trust[0].Namespace, nil)
	looked := g.owned(t)
	g.vetted(t)
	g.gate.Status.Mode = v1alpha1.GateDeny
	if err := g.admin.Status().Update(t.Context(), g.gate); err != nil {
		t.Fatal(err)
	}
	if mutating {
		g.await(t, "tags are pinned", func() error {
			return g.try(t, g.admin, podOf("r.example/team/app:1")).err
		})
	}
	pinned := map[bool]string{true: "Verified admitted 0", false: "Verified refused 1"}[mutating]
	for _, test := range []struct{ name, image, want string }{
		{"verified", ref(freshHex), "Verified admitted 0"},
		{"verified, under another name", "docker.io/x@sha256:" + freshHex, "Verified admitted 0"},
		{"expired", ref(expiredHex), "Expired refused 1"},
		{"expired, and it ran here", ref(ranHex), "Expired admitted 0"},
		{"expired, and it ran here too long ago", ref(longRanHex), "Expired refused 1"},
		{"failed", ref(badHex), "Failed refused 1"},
		{"unknown", ref(unknownHex), "Unknown refused 1"},
		{"exempt", "registry.k8s.io/pause:3.10", "Exempt admitted 0"},
		{"exempt by its tag", "quay.io/team/app:v1", "Exempt admitted 0"},
		{"not exempt, as runtimes ignore its tag", "quay.io/team/app:v1@sha256:" + unknownHex, "Unknown refused 1"},
		{"exempt by its short name", "busybox", "Exempt admitted 0"},
		{"no longer exempt", "old.example/app:1", "Unknown refused 1"},
		{"exempt until tonight", "new.example/app:1", "Exempt admitted 0"},
		{"a look-alike", "evil.example/registry.k8s.io/pause:3.10", "Unknown refused 1"},
		{"a tag that passed", "r.example/team/app:1", pinned},
		{"a tag that failed", "r.example/team/app:bad", "Unknown refused 1"},
		{"a tag that nobody knows", "nginx:1.27", "Unknown refused 1"},
		{"what is no reference", "R.example/team/app:1", "Unknown refused 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, image := g.gateTest(t, test.image)
			got := fmt.Sprintf("%s %s %d", image.Standing, image.Happens, status)
			if got != test.want || !image.Tried || image.Disagreement != "" {
				t.Errorf("it says %q, want %q: %+v", got, test.want, image)
			}
			if a := g.try(t, g.admin, podOf(test.image)); (a.refusedBy(t) != "") != (image.Happens == cligate.Refused) {
				t.Errorf("it says %s, and the API server %v", image.Happens, a.err)
			}
		})
	}
	for _, v := range looked { // as if the controller had not written it yet
		delete(v.Digests, freshHex)
		if err := g.admin.Update(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	g.await(t, "the digest is refused", func() error {
		status, image := g.gateTest(t, ref(freshHex))
		if status != 1 || !strings.Contains(image.Disagreement, "it refuses the Pod: ") || image.Standing != "Verified" {
			return fmt.Errorf("status %d, %+v", status, image)
		}
		return nil
	})
}
