package coverage

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
	"github.com/revet-dev/revet/pkg/config"
)

func digestOf(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

func gateOf(name string, change ...func(*v1alpha1.ImageGate)) *v1alpha1.ImageGate {
	g := &v1alpha1.ImageGate{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ImageGateSpec{
			NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"gate": name}},
			Trust:             []v1alpha1.TrustedTrigger{{Namespace: "verify", Trigger: "all"}},
			MaxAge:            metav1.Duration{Duration: 24 * time.Hour},
			Exempt:            []v1alpha1.GateExemption{{Images: "registry.k8s.io/**", Reason: "the platform's own"}},
		},
		Status: v1alpha1.ImageGateStatus{Mode: v1alpha1.GateWarn},
	}
	for _, f := range change {
		f(g)
	}
	return g
}

func namespaceOf(name, gate string) *corev1.Namespace {
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if gate != "" {
		n.Labels = map[string]string{"gate": gate}
	}
	return n
}

func runningPod(namespace, name, image string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}},
	}
}

func verdictOf(trigger, digit string, outcome v1alpha1.Outcome, age time.Duration) *v1alpha1.ImageVerification {
	return &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "verify", Name: trigger + "-" + digit},
		Spec:       v1alpha1.ImageVerificationSpec{Trigger: v1alpha1.TriggerReference{Name: trigger, UID: "u-" + trigger}, Digest: digestOf(digit)},
		Status:     v1alpha1.ImageVerificationStatus{Verdict: &v1alpha1.Verdict{Outcome: outcome, Run: "r", At: *commandtest.Second(age)}},
	}
}

func triggerOf(name string) *v1alpha1.ImageTrigger {
	return &v1alpha1.ImageTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: "verify", Name: name, UID: "22"}}
}

func at(digit string) string { return "r.example/app@" + digestOf(digit) }

// town has a gate of which all is verified, one with everything that is not, and a namespace
// without a gate. Of its triggers one is trusted.
func town() []client.Object {
	exclude := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: config.GateConfigMap}}
	exclude.Data = map[string]string{config.ExcludeKey: "[infra-*]"}
	glass := runningPod("shop", "glass", at("e"))
	glass.Labels = map[string]string{v1alpha1.BreakGlassLabel: "true"}
	ended := runningPod("shop", "ended", at("f"))
	ended.Status.Phase = corev1.PodSucceeded
	return []client.Object{
		exclude, gateOf("calm"), gateOf("wild"), triggerOf("all"), triggerOf("stranger"),
		namespaceOf("bank", "calm"), namespaceOf("shop", "wild"), namespaceOf("infra-dns", "wild"), namespaceOf("lab", ""), namespaceOf("verify", "calm"),
		verdictOf("all", "a", v1alpha1.OutcomePass, time.Hour), verdictOf("all", "b", v1alpha1.OutcomePass, 48*time.Hour),
		verdictOf("all", "c", v1alpha1.OutcomeFail, time.Hour), verdictOf("stranger", "d", v1alpha1.OutcomePass, time.Hour),
		runningPod("bank", "a", at("a")), runningPod("bank", "pause", "registry.k8s.io/pause:3.10"),
		runningPod("shop", "a", at("a")), runningPod("shop", "b", at("b")), runningPod("shop", "c", at("c")),
		runningPod("shop", "d", at("d")), runningPod("shop", "tag", "nginx"), glass, ended,
		runningPod("infra-dns", "a", at("a")), runningPod("lab", "a", at("a")), runningPod("verify", "pause", "registry.k8s.io/pause:3.10"),
	}
}

func runRunning(t *testing.T, hooks interceptor.Funcs, objects []client.Object, args ...string) commandtest.Result {
	t.Helper()
	_, connect := commandtest.Writable(t, hooks, objects...)
	return commandtest.Run(New, "", connect, append([]string{"coverage", "--running"}, args...)...)
}

// What a person sees, whole.
func TestRunningPrintsWhatRunsBehindEveryGateAndNone(t *testing.T) {
	r := runRunning(t, interceptor.Funcs{}, town())
	commandtest.Golden(t, "running.txt", r.Out)
	if r.Status != 1 || r.ErrOut != "error: 6 of 11 Pods that run are not verified\n" {
		t.Errorf("status %d, %q", r.Status, r.ErrOut)
	}
	r = runRunning(t, interceptor.Funcs{}, town(), "-o", "json")
	var reports []RunningReport
	if err := json.Unmarshal([]byte(r.Out), &reports); err != nil || r.Status != 1 {
		t.Fatalf("status %d, %v", r.Status, err)
	}
	got := map[string]RunningState{}
	for _, report := range reports {
		got[report.Gate] = report.State
	}
	want := map[string]RunningState{"calm": RunningVerified, "wild": RunningUnverified, "": RunningUnverified}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

// The exit status is 0 only if all that was asked for is verified, and known.
func TestRunningStatus(t *testing.T) {
	broken := interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
		if _, pods := list.(*corev1.PodList); pods {
			return errors.New("the page broke")
		}
		return c.List(ctx, list, opts...)
	}}
	forbidden := interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
		if _, entries := list.(*v1alpha1.ImageVerificationList); entries {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "imageverifications"}, "", errors.New("no"))
		}
		return c.List(ctx, list, opts...)
	}}
	invalid := append(town(), gateOf("odd", func(g *v1alpha1.ImageGate) { g.Spec.Exempt[0].Images = "*/**" }))
	for _, test := range []struct {
		name    string
		hooks   interceptor.Funcs
		objects []client.Object
		args    []string
		status  int
		says    string
	}{
		{"a gate of which all is verified", interceptor.Funcs{}, town(), []string{"calm"}, 0, ""},
		{"a gate of which not all is verified", interceptor.Funcs{}, town(), []string{"wild"}, 1, "5 of 6 Pods that run are not verified"},
		{"a gate whose spec cannot be followed", interceptor.Funcs{}, invalid, []string{"odd"}, 1, "behind 1 of the gates is not known"},
		{"no such gate", interceptor.Funcs{}, town(), []string{"x"}, 2, `there is no ImageGate "x"; there are: calm, wild`},
		{"a page breaks", broken, town(), nil, 2, "the page broke"},
		{"the ledger may not be read", forbidden, town(), nil, 2, "--running needs to list Pods"},
		{"a namespace is named", interceptor.Funcs{}, town(), []string{"-n", "shop"}, 2, "takes neither -n nor -A"},
		{"with --verify", interceptor.Funcs{}, town(), []string{"--verify"}, 2, "neither --verify nor --artefacts"},
		{"the operator's list cannot be read", interceptor.Funcs{}, append(town()[1:], &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: config.GateConfigMap}, Data: map[string]string{config.ExcludeKey: "{}"},
		}), nil, 2, "config-gate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := runRunning(t, test.hooks, test.objects, test.args...)
			if r.Status != test.status || !strings.Contains(r.ErrOut, test.says) {
				t.Errorf("status %d, %q; want %d, %q", r.Status, r.ErrOut, test.status, test.says)
			}
		})
	}
}

// Without any gate, every trigger counts.
func TestWithoutGatesAllTriggersCount(t *testing.T) {
	objects := []client.Object{
		triggerOf("stranger"), namespaceOf("lab", ""), verdictOf("stranger", "d", v1alpha1.OutcomePass, time.Hour), runningPod("lab", "d", at("d")),
	}
	if r := runRunning(t, interceptor.Funcs{}, objects); r.Status != 0 {
		t.Errorf("status %d, %s%s", r.Status, r.Out, r.ErrOut)
	}
}
