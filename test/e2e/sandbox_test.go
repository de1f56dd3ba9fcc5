//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

// Where runs execute, in real Pods: what is excluded goes around the class and says
// so; a class that is missing, or that no node can run, is told with its cure, and
// ends as the trigger says; and what waited runs when the class comes back.
func TestRunsExecuteWhereTheTriggerSays(t *testing.T) {
	const namespace = "e2e-sandbox"
	w := newEnv(t, namespace, stack.Direct)
	once, none := int32(1), int32(0)
	short := &metav1.Duration{Duration: 15 * time.Second}
	w.runtimeClass(t, "e2e-nohandler", "nohandler")
	w.runtimeClass(t, "e2e-mended", "nohandler")
	w.runtimeClass(t, "e2e-noshim", "noshim")
	w.runtimeClass(t, "e2e-removed", gvisor)
	w.runtimeClassOn(t, "e2e-nonode", gvisor, map[string]string{"e2e.example.com/pool": "nowhere"})
	cases := []struct {
		stream  string
		sandbox v1alpha1.Sandbox
		retries *int32
	}{
		{"excluded", v1alpha1.Sandbox{RuntimeClassName: "kata", Exclude: []v1alpha1.SandboxExclusion{{Images: namespace + "/excluded", Reason: "it needs the node's kernel"}}}, &once},
		{"late", v1alpha1.Sandbox{RuntimeClassName: "e2e-late"}, &once},
		{"fallback", v1alpha1.Sandbox{RuntimeClassName: "e2e-nohandler", StartTimeout: short, Fallback: v1alpha1.FallbackDefault}, &once},
		{"mended", v1alpha1.Sandbox{RuntimeClassName: "e2e-mended", StartTimeout: short}, &none},
		{"noshim", v1alpha1.Sandbox{RuntimeClassName: "e2e-noshim", StartTimeout: short}, &none},
		{"nonode", v1alpha1.Sandbox{RuntimeClassName: "e2e-nonode", StartTimeout: short}, &none},
		{"removed", v1alpha1.Sandbox{RuntimeClassName: "e2e-removed"}, &none},
	}
	for _, c := range cases {
		w.sandboxTrigger(t, c.stream, c.sandbox, c.retries)
	}
	if err := cluster.WaitSource(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"excluded", "fallback", "mended", "noshim", "nonode", "removed"} {
		w.awaitCondition(t, stream, v1alpha1.ConditionReady, metav1.ConditionTrue, "Ready")
	}
	w.awaitCondition(t, "late", v1alpha1.ConditionSandboxAvailable, metav1.ConditionFalse, "RuntimeClassNotFound")
	digests := map[string]string{}
	for _, c := range cases {
		sample := images.Good()
		digests[c.stream] = w.pushSalted(t, c.stream+":1", sample, namespace+c.stream)
	}

	// While the first Pods of its run execute, the class goes, so that the last is refused.
	w.awaitPods(t, digests["removed"])
	w.deleteRuntimeClass(t, "e2e-removed")

	late := w.awaitEntry(t, digests["late"], func(e *v1alpha1.ImageVerification) bool { return e.Status.Reason == "RuntimeClassNotFound" })
	if late.Status.Phase != v1alpha1.PhasePending || !strings.Contains(late.Status.Message, `no RuntimeClass "e2e-late"`) || len(late.Status.Runs) != 0 {
		t.Errorf("without its class the entry is %s with %d runs: %s", late.Status.Phase, len(late.Status.Runs), late.Status.Message)
	}
	w.runtimeClass(t, "e2e-late", gvisor)

	removed := w.verdict(t, digests["removed"])
	if removed.Status.Phase != v1alpha1.PhaseError || removed.Status.Reason != "SandboxUnavailable" || !strings.Contains(removed.Status.Message, `RuntimeClass "e2e-removed" not found`) {
		t.Errorf("of a class that went in the middle the entry is %s/%s: %s", removed.Status.Phase, removed.Status.Reason, removed.Status.Message)
	}
	w.awaitCondition(t, "removed", v1alpha1.ConditionSandboxAvailable, metav1.ConditionFalse, "RuntimeClassNotFound")
	w.runtimeClass(t, "e2e-removed", gvisor)

	for stream, says := range map[string][]string{
		"noshim": {"binary not installed", "Install the runtime's shim on the node"},
		"nonode": {"0/1 nodes are available", "Give a node the labels"},
	} {
		e := w.verdict(t, digests[stream])
		for _, text := range says {
			if e.Status.Phase != v1alpha1.PhaseError || e.Status.Reason != "SandboxUnavailable" || !strings.Contains(e.Status.Message, text) {
				t.Errorf("%s: the entry is %s/%s: %s; want it to say %q", stream, e.Status.Phase, e.Status.Reason, e.Status.Message, text)
			}
		}
		w.awaitCondition(t, stream, v1alpha1.ConditionSandboxAvailable, metav1.ConditionFalse, "SandboxUnavailable")
		t.Logf("%s: %s", stream, e.Status.Message)
	}

	const noHandler = `no runtime for "nohandler" is configured`
	mended := w.verdict(t, digests["mended"])
	if mended.Status.Phase != v1alpha1.PhaseError || mended.Status.Reason != "SandboxUnavailable" ||
		!strings.Contains(mended.Status.Message, noHandler) || !strings.Contains(mended.Status.Message, "Configure the RuntimeClass's handler") {
		t.Errorf("where no node has the handler the entry is %s/%s: %s", mended.Status.Phase, mended.Status.Reason, mended.Status.Message)
	}
	w.awaitCondition(t, "mended", v1alpha1.ConditionSandboxAvailable, metav1.ConditionFalse, "SandboxUnavailable")
	w.deleteRuntimeClass(t, "e2e-mended")
	w.awaitCondition(t, "mended", v1alpha1.ConditionSandboxAvailable, metav1.ConditionFalse, "RuntimeClassNotFound")
	w.runtimeClass(t, "e2e-mended", gvisor)

	for _, want := range []struct {
		stream, class string
		route         v1alpha1.SandboxRoute
		says          string
		runs          int
	}{
		{"excluded", "", v1alpha1.RouteExcluded, "it needs the node's kernel", 1},
		{"late", "e2e-late", "", "", 1},
		{"fallback", "", v1alpha1.RouteFellBack, noHandler, 2},
		{"mended", "e2e-mended", "", "", 2},
		{"removed", "e2e-removed", "", "", 2},
	} {
		e := w.awaitEntry(t, digests[want.stream], func(e *v1alpha1.ImageVerification) bool { return e.Status.Phase == v1alpha1.PhasePassed })
		run := e.Status.Runs[len(e.Status.Runs)-1]
		if len(e.Status.Runs) != want.runs || len(w.runsOf(t, digests[want.stream])) != want.runs {
			t.Errorf("%s: %d runs are recorded and %d exist, want %d", want.stream, len(e.Status.Runs), len(w.runsOf(t, digests[want.stream])), want.runs)
		}
		s := run.Sandbox
		if len(s.Observed) != 1 || s.Observed[0] != want.class || s.Requested != want.class || s.Route != want.route || !strings.Contains(s.RouteMessage, want.says) {
			t.Errorf("%s: the sandbox is %+v", want.stream, s)
		}
		t.Logf("%s: run 1 of %d ended as %s: %s", want.stream, len(e.Status.Runs), e.Status.Runs[0].Reason, e.Status.Runs[0].Message)
	}
}

// gvisor is the handler of the local cluster's RuntimeClass kata.
const gvisor = "runsc"

// runtimeClass makes a RuntimeClass, which goes with the test.
func (w *env) runtimeClass(t *testing.T, name, handler string) {
	t.Helper()
	w.runtimeClassOn(t, name, handler, nil)
}

// runtimeClassOn makes one whose Pods are only for nodes with labels.
func (w *env) runtimeClassOn(t *testing.T, name, handler string, labels map[string]string) {
	t.Helper()
	class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: handler, Scheduling: &nodev1.Scheduling{NodeSelector: labels}}
	if err := w.client.Create(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.client.Delete(context.WithoutCancel(t.Context()), class); client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	})
}

func (w *env) deleteRuntimeClass(t *testing.T, name string) {
	t.Helper()
	if err := w.client.Delete(t.Context(), &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		t.Fatal(err)
	}
}

// awaitPods waits until the first Pods of a digest's run have started.
func (w *env) awaitPods(t *testing.T, digest string) {
	t.Helper()
	await(t, verdictTimeout, func() string { return "the first Pods for " + digest }, func(context.Context) (bool, error) {
		started := 0
		for _, run := range w.runsOf(t, digest) { //nolint:contextcheck // it takes the test's
			for _, pod := range w.podsOf(t, run.Name) { //nolint:contextcheck // as above
				if pod.Status.Phase != corev1.PodPending {
					started++
				}
			}
		}
		return started >= 2, nil
	})
}

// sandboxTrigger declares that one stream is verified.
func (w *env) sandboxTrigger(t *testing.T, stream string, sandbox v1alpha1.Sandbox, retries *int32) {
	t.Helper()
	if err := w.client.Create(t.Context(), &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: stream},
		Spec: v1alpha1.ImageTriggerSpec{
			Images: []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{Names: []string{stream}}}},
			Sink:   v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "scan-and-validate"}}, Sandbox: sandbox, Retries: retries,
		},
	}); err != nil {
		t.Fatal(err)
	}
}

func (w *env) awaitCondition(t *testing.T, trigger, kind string, status metav1.ConditionStatus, reason string) {
	t.Helper()
	var last string
	await(t, verdictTimeout, func() string {
		return fmt.Sprintf("condition %s=%s/%s of trigger %s; %s", kind, status, reason, trigger, last)
	}, func(ctx context.Context) (bool, error) {
		var found v1alpha1.ImageTrigger
		if err := w.client.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: trigger}, &found); err != nil {
			return false, err
		}
		c := meta.FindStatusCondition(found.Status.Conditions, kind)
		if c == nil {
			return false, nil
		}
		last = fmt.Sprintf("it is %s/%s: %s", c.Status, c.Reason, c.Message)
		return c.Status == status && c.Reason == reason, nil
	})
}

// awaitEntry waits for the entry of a digest to be as wanted.
func (w *env) awaitEntry(t *testing.T, digest string, as func(*v1alpha1.ImageVerification) bool) *v1alpha1.ImageVerification {
	t.Helper()
	last := "there is none"
	var found *v1alpha1.ImageVerification
	await(t, verdictTimeout, func() string { return "the entry of " + digest + "; " + last }, func(ctx context.Context) (bool, error) {
		var list v1alpha1.ImageVerificationList
		if err := w.client.List(ctx, &list, client.InNamespace(w.namespace)); err != nil && !apierrors.IsTimeout(err) {
			return false, err
		}
		for i := range list.Items {
			if e := &list.Items[i]; e.Spec.Digest == digest {
				last = fmt.Sprintf("it is %s/%s: %s", e.Status.Phase, e.Status.Reason, e.Status.Message)
				found = e
				return as(e), nil
			}
		}
		return false, nil
	})
	return found
}
