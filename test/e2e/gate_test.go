//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

// gateTimeout is ample for a gate to go to another mode, for which all Pods are listed first.
const gateTimeout = 2 * time.Minute

// endTimeout is how long after a gate's end everything starts again, at the latest.
const endTimeout = time.Minute

const (
	gateName = "e2e"
	// gatedNamespace is behind the gate, and thirdParties has no trigger: what is pushed
	// there is a digest that nobody pushed, as far as Revet knows.
	gatedNamespace, thirdParties = "e2e-gated", "e2e-thirdparty"
)

// gated is a namespace behind a gate without exemptions, and the trigger that it trusts.
type gated struct {
	*env
	salt string
}

// Behind a gate without exemptions, what was verified starts and nothing else: by digest, by
// tag, as a third party's image, and no longer once a newer verdict failed it.
func TestOnlyWhatWasVerifiedStarts(t *testing.T) {
	t.Parallel()
	g := &gated{env: newEnv(t, "e2e-gate", stack.Direct), salt: fmt.Sprint(time.Now().UnixNano())}
	g.ready(t, stack.Direct)
	for _, namespace := range []string{gatedNamespace, thirdParties} {
		g.kubectl(t, "create", "namespace", namespace)
	}
	g.declare(t)
	good := g.pushSalted(t, "good:1", images.Good(), g.salt)
	bad := g.pushSalted(t, "bad:1", images.Bad(), g.salt)
	for digest, want := range map[string]v1alpha1.Phase{good: v1alpha1.PhasePassed, bad: v1alpha1.PhaseFailed} {
		if entry := g.verdict(t, digest); entry.Status.Phase != want {
			t.Fatalf("%s is %s: %s", digest, entry.Status.Phase, entry.Status.Message)
		}
	}
	g.awaitAdmitted(t, good)

	t.Run("a verified digest runs", func(t *testing.T) { g.runs(t, "digest", g.at("good", good), false) })
	t.Run("its tag is pinned to it", func(t *testing.T) {
		g.runs(t, "tag", g.repository("good")+":1", false)
		if image := g.imageOf(t, "tag"); image != g.repository("good")+":1@"+good {
			t.Errorf("the Pod's image is %s, want the digest %s", image, good)
		}
	})
	t.Run("a failed digest is refused", func(t *testing.T) { g.refused(t, "bad", g.at("bad", bad)) })
	t.Run("a failed tag is refused", func(t *testing.T) { g.refused(t, "bad-tag", g.repository("bad")+":1") })
	var tool string
	t.Run("a third party's image starts once it is verified", func(t *testing.T) { tool = g.thirdParty(t) })
	t.Run("break-glass starts it, and is counted", func(t *testing.T) { g.breakGlass(t, g.at("bad", bad)) })
	t.Run("what ran starts again once its verdict expired", func(t *testing.T) { g.expired(t, g.at("good", good), tool) })
	t.Run("a verdict that turns keeps the next Pod out, and not the one that runs", func(t *testing.T) { g.turns(t, good) })
	t.Run("without the gate, everything starts", func(t *testing.T) {
		g.kubectl(t, "delete", "imagegate", gateName)
		await(t, endTimeout, func() string { return "a Pod that no gate refuses" }, func(ctx context.Context) (bool, error) {
			_, err := cluster.KubectlSays(ctx, podIn(gatedNamespace, "free", g.at("bad", bad)), "apply", "-f", "-")
			return err == nil, err
		})
	})
}

// declare applies the gate as an operator does, and waits until it refuses.
func (g *gated) declare(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_, _ = cluster.Kubectl(ctx, "delete", "imagegate", gateName, "--ignore-not-found")
	})
	if err := cluster.Apply(t.Context(), fmt.Sprintf(`apiVersion: revet.dev/v1alpha1
kind: ImageGate
metadata: {name: %s}
spec:
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}
  trust: [{namespace: %s, trigger: everything}]
  require: {checks: [scan, validate], sandboxed: true, platforms: [linux/amd64], databaseMaxAge: 120h}
  mode: Deny
`, gateName, gatedNamespace, g.namespace)); err != nil {
		t.Fatal(err)
	}
	g.kubectl(t, "wait", "imagegate/"+gateName, "--for=jsonpath={.status.mode}=Deny", "--timeout="+gateTimeout.String())
}

// thirdParty has an image verified that nobody pushed where the trigger looks, and returns it.
func (g *gated) thirdParty(t *testing.T) string {
	foreign := &env{client: g.client, clientset: g.clientset, namespace: thirdParties}
	digest := foreign.pushSalted(t, "tool:1", images.Good(), g.salt+"-tool")
	image := foreign.repository("tool") + "@" + digest
	g.refused(t, "tool-unknown", image)
	out, err := cluster.Revet(t.Context(), "verify", image, "-n", g.namespace, "--wait", "--timeout="+verdictTimeout.String())
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	g.awaitAdmitted(t, digest)
	g.runs(t, "tool", image, false)
	return image
}

// breakGlass starts an image that failed, by the right to it.
func (g *gated) breakGlass(t *testing.T, image string) {
	g.runs(t, "glass", image, true)
	await(t, gateTimeout, func() string {
		return fmt.Sprintf("that the use is counted; %+v", g.gate(t.Context(), t).Status.BreakGlass)
	},
		func(ctx context.Context) (bool, error) { return g.gate(ctx, t).Status.BreakGlass.Uses > 0, nil })
	if pod := g.gate(t.Context(), t).Status.BreakGlass.LastPod; !strings.HasPrefix(pod, gatedNamespace+"/glass-") {
		t.Errorf("the last use is told of Pod %q", pod)
	}
}

// turns replays what passed under a rule that it breaks.
func (g *gated) turns(t *testing.T, digest string) {
	g.forbid(t)
	entry := g.verdict(t, digest)
	if out, err := cluster.Revet(t.Context(), "replay", entry.Name, "-n", g.namespace); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	await(t, verdictTimeout, func() string { return fmt.Sprintf("a verdict that failed; %+v", entry.Status.Verdict) }, func(ctx context.Context) (bool, error) {
		err := g.client.Get(ctx, client.ObjectKeyFromObject(entry), entry)
		return err == nil && entry.Status.Verdict != nil && entry.Status.Verdict.Outcome == v1alpha1.OutcomeFail, err
	})
	// Until the gate is told, the Pod would be made.
	await(t, gateTimeout, func() string { return "that the gate refuses " + digest }, func(ctx context.Context) (bool, error) {
		_, err := cluster.KubectlSays(ctx, podIn(gatedNamespace, "probe", g.at("good", digest)), "apply", "--dry-run=server", "-f", "-")
		return err != nil && strings.Contains(err.Error(), "ImageGate "+gateName+" refuses "), nil
	})
	g.refused(t, "turned", g.at("good", digest))
	if pod := g.podOf(t, "digest"); pod.Status.Phase != corev1.PodRunning {
		t.Errorf("the Pod that ran is %s", pod.Status.Phase)
	}
	await(t, gateTimeout, func() string {
		return fmt.Sprintf("that what runs is told to have failed; %+v", g.gate(t.Context(), t).Status.Running)
	},
		func(ctx context.Context) (bool, error) {
			return slices.ContainsFunc(g.gate(ctx, t).Status.Running.Worst, func(r v1alpha1.RunningImage) bool {
				return r.Standing == "Failed" && strings.HasPrefix(r.Pod, "digest-") && r.Digest == digest
			}), nil
		})
}

// forbid adds a label to those that the namespace's rules require.
func (w *env) forbid(t *testing.T) {
	t.Helper()
	var rules corev1.ConfigMap
	if err := w.client.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "revet-validation-rules"}, &rules); err != nil {
		t.Fatal(err)
	}
	const label = "- org.opencontainers.image.source\n"
	changed := strings.Replace(rules.Data["rules.yaml"], label, label+"  - example.com/approved\n", 1)
	if changed == rules.Data["rules.yaml"] {
		t.Fatalf("the rules require no label:\n%s", changed)
	}
	rules.Data["rules.yaml"] = changed
	if err := w.client.Update(t.Context(), &rules); err != nil {
		t.Fatal(err)
	}
}

// runs holds that a Deployment of the image gets a Pod that starts.
func (g *gated) runs(t *testing.T, name, image string, breakGlass bool) {
	t.Helper()
	if out := g.deploy(t, name, image, breakGlass); strings.Contains(out, "Warning") {
		t.Errorf("whoever deployed it was warned: %s", out)
	}
	g.rolledOut(t, name)
}

// refused holds that a Deployment of the image is made with a warning, and gets no Pod, and
// that a Pod is refused in words.
func (g *gated) refused(t *testing.T, name, image string) {
	t.Helper()
	if out := g.deploy(t, name, image, false); !strings.Contains(out, "ImageGate "+gateName+" refuses the Pods of this template: "+image) {
		t.Errorf("whoever deployed %s was not warned: %s", image, out)
	}
	g.kubectl(t, "wait", "-n", gatedNamespace, "deployment/"+name, "--for=condition=ReplicaFailure", "--timeout="+gateTimeout.String())
	out, err := cluster.KubectlSays(t.Context(), podIn(gatedNamespace, name, image), "apply", "-f", "-")
	if err == nil || !strings.Contains(out, "ImageGate "+gateName+" refuses "+image) {
		t.Errorf("a Pod of %s was answered with %v: %s", image, err, out)
	}
}

func (g *gated) deploy(t *testing.T, name, image string, breakGlass bool) string {
	t.Helper()
	label := ""
	if breakGlass {
		label = ", " + v1alpha1.BreakGlassLabel + `: "true"`
	}
	out, err := cluster.KubectlSays(t.Context(), fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s%[4]s}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: app, image: "%[3]s"}]
`, name, gatedNamespace, image, label), "apply", "-f", "-")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// podIn is a Pod of an image.
func podIn(namespace, name, image string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: %s}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: app, image: "%s"}]
`, name, namespace, image)
}

func (g *gated) podOf(t *testing.T, app string) *corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	if err := g.client.List(t.Context(), &pods, client.InNamespace(gatedNamespace), client.MatchingLabels{"app": app}); err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) != 1 {
		t.Fatalf("Deployment %s has %d Pods", app, len(pods.Items))
	}
	return &pods.Items[0]
}

func (g *gated) imageOf(t *testing.T, app string) string {
	t.Helper()
	return g.podOf(t, app).Spec.Containers[0].Image
}

// awaitAdmitted waits until the API server admits a Pod of the digest: its verdict is written
// to what the gate looks up within seconds.
func (g *gated) awaitAdmitted(t *testing.T, digest string) {
	t.Helper()
	var last error
	await(t, gateTimeout, func() string { return fmt.Sprintf("that the gate admits %s: %v", digest, last) }, func(ctx context.Context) (bool, error) {
		_, last = cluster.KubectlSays(ctx, podIn(gatedNamespace, "probe", g.at("any", digest)), "apply", "--dry-run=server", "-f", "-")
		return last == nil, nil
	})
}

func (g *gated) gate(ctx context.Context, t *testing.T) *v1alpha1.ImageGate {
	t.Helper()
	var found v1alpha1.ImageGate
	if err := g.client.Get(ctx, client.ObjectKey{Name: gateName}, &found); err != nil {
		t.Fatal(err)
	}
	return &found
}

func (g *gated) at(repository, digest string) string { return g.repository(repository) + "@" + digest }

// repository names a repository of the namespace, as the cluster reaches it.
func (w *env) repository(name string) string {
	return cluster.Info.RegistryInCluster + "/" + w.namespace + "/" + name
}

func (w *env) kubectl(t *testing.T, args ...string) {
	t.Helper()
	if _, err := cluster.Kubectl(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}
