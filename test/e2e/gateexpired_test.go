//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// expired holds that what ran here goes on to start, with a warning, once its verdict is too
// old: on another scale, after an eviction, by a CronJob, and by going back a revision. good
// and tool are images that passed.
func (g *gated) expired(t *testing.T, good, tool string) {
	g.runs(t, "web", good, false)
	g.runs(t, "web", tool, false)
	for _, image := range []string{good, tool} {
		await(t, gateTimeout, func() string { return image + " to be seen running" }, func(ctx context.Context) (bool, error) {
			var known v1alpha1.VerifiedImages
			err := g.client.Get(ctx, client.ObjectKey{Namespace: "revet-system", Name: gateName}, &known)
			return err == nil && known.Ran[image[strings.LastIndex(image, ":")+1:]] != "", err
		})
	}
	g.maxAge(t, "1m")
	defer func() {
		g.maxAge(t, "168h")
		g.awaitWarning(t, good, false)
	}()
	g.awaitWarning(t, good, true)
	g.awaitWarning(t, tool, true)
	g.tick(t, good)

	// An autoscaler writes the same subresource.
	g.kubectl(t, "scale", "-n", gatedNamespace, "deployment/web", "--replicas=2")
	g.rolledOut(t, "web")
	g.kubectl(t, "scale", "-n", gatedNamespace, "deployment/web", "--replicas=1")
	g.rolledOut(t, "web")

	// kubectl drain evicts Pods; there is no other node on which they could start.
	before := g.podOf(t, "digest")
	evict := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: before.Namespace, Name: before.Name}}
	if err := g.clientset.PolicyV1().Evictions(gatedNamespace).Evict(t.Context(), evict); err != nil {
		t.Fatal(err)
	}
	g.awaitRunning(t, "digest", func(p *corev1.Pod) bool { return p.UID != before.UID })

	g.kubectl(t, "rollout", "undo", "-n", gatedNamespace, "deployment/web")
	g.rolledOut(t, "web")
	g.awaitRunning(t, "web", func(p *corev1.Pod) bool { return p.Spec.Containers[0].Image == good })

	g.awaitRunning(t, "tick", func(*corev1.Pod) bool { return true })
	g.kubectl(t, "delete", "-n", gatedNamespace, "cronjob", "tick")
}

func (g *gated) maxAge(t *testing.T, age string) {
	t.Helper()
	g.kubectl(t, "patch", "imagegate", gateName, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"maxAge":%q}}`, age))
}

// awaitWarning waits until a Pod of the image is admitted with the warning that its verdict
// has expired, or without it.
func (g *gated) awaitWarning(t *testing.T, image string, warned bool) {
	t.Helper()
	var last string
	await(t, gateTimeout, func() string { return fmt.Sprintf("a warning of %s: %t; %s", image, warned, last) }, func(ctx context.Context) (bool, error) {
		out, err := cluster.KubectlSays(ctx, podIn(gatedNamespace, "probe", image), "apply", "--dry-run=server", "-f", "-")
		last = out
		return err == nil && strings.Contains(out, "its verdict has expired, and it starts because it ran here") == warned, err
	})
}

// tick makes a CronJob that starts the image every minute.
func (g *gated) tick(t *testing.T, image string) {
	t.Helper()
	if _, err := cluster.KubectlSays(t.Context(), fmt.Sprintf(`apiVersion: batch/v1
kind: CronJob
metadata: {name: tick, namespace: %s}
spec:
  schedule: "* * * * *"
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      template:
        metadata: {labels: {app: tick}}
        spec:
          restartPolicy: Never
          terminationGracePeriodSeconds: 0
          containers: [{name: app, image: "%s"}]
`, gatedNamespace, image), "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// awaitRunning waits for a Pod of the application that started, and is the one that is meant.
func (g *gated) awaitRunning(t *testing.T, app string, meant func(*corev1.Pod) bool) {
	t.Helper()
	await(t, gateTimeout, func() string { return "a Pod of " + app + " that started" }, func(ctx context.Context) (bool, error) {
		var pods corev1.PodList
		err := g.client.List(ctx, &pods, client.InNamespace(gatedNamespace), client.MatchingLabels{"app": app})
		for i := range pods.Items {
			if p := &pods.Items[i]; meant(p) && p.DeletionTimestamp == nil && (p.Status.Phase == corev1.PodRunning || p.Status.Phase == corev1.PodSucceeded) {
				return true, nil
			}
		}
		return false, err
	})
}

func (g *gated) rolledOut(t *testing.T, name string) {
	t.Helper()
	g.kubectl(t, "rollout", "status", "-n", gatedNamespace, "deployment/"+name, "--timeout="+gateTimeout.String())
}
