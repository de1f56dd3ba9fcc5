//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/stack"
)

// A digest that ran here starts with a warning although its verdict expired. Where the gate
// denies expired ones, it starts once it is verified again.
func (d *delivery) rollsBackToExpired(t *testing.T) {
	d.awaitRan(t, d.first)
	d.patchGate(t, `{"spec":{"maxAge":"1m"}}`)
	d.awaitAnswer(t, d.first, "its verdict has expired, and it starts because it ran here within 30 days")
	d.rollBack(t, "1")
	d.webRuns(t, d.first)

	d.patchGate(t, `{"spec":{"onExpired":"Deny"}}`)
	d.awaitAnswer(t, d.second, "ImageGate shop refuses ")
	d.rollBack(t, "2")
	d.webIsRefused(t, d.first)
	d.replay(t, d.second, v1alpha1.OutcomePass)
	d.awaitAnswer(t, d.second, "created")
	// The verdict is young for a minute only, and the Deployment may try later than that.
	d.patchGate(t, `{"spec":{"maxAge":"168h","onExpired":"Warn"}}`)
	d.webRuns(t, d.second)
}

// A digest that failed since does not start, whatever ran here, and what runs goes on.
func (d *delivery) rollsBackToFailed(t *testing.T) {
	d.forbid(t)
	d.replay(t, d.first, v1alpha1.OutcomeFail)
	d.awaitAnswer(t, d.first, "ImageGate shop refuses ")
	d.rollBack(t, "1")
	d.webIsRefused(t, d.second)
}

func (d *delivery) patchGate(t *testing.T, patch string) {
	t.Helper()
	d.kubectl(t, "patch", "imagegate", "shop", "--type=merge", "-p", patch)
}

// rollBack goes back to a revision, without waiting for it.
func (d *delivery) rollBack(t *testing.T, revision string) {
	t.Helper()
	d.mustHelm(t, "rollback", "shop", revision, "-n", targetNamespace)
}

// webRuns holds that the Deployment of web comes to have one Pod, of the digest.
func (d *delivery) webRuns(t *testing.T, digest string) {
	t.Helper()
	d.kubectl(t, "rollout", "status", "-n", targetNamespace, "deployment/shop-web",
		"--timeout="+gateTimeout.String())
	d.onlyWeb(t, digest)
}

// webIsRefused holds that the Deployment of web gets no new Pod, in the gate's words, and
// that the one of the digest runs on.
func (d *delivery) webIsRefused(t *testing.T, digest string) {
	t.Helper()
	d.kubectl(t, "wait", "-n", targetNamespace, "deployment/shop-web",
		"--for=condition=ReplicaFailure", "--timeout="+gateTimeout.String())
	says, err := cluster.Kubectl(t.Context(), "get", "-n", targetNamespace, "deployment/shop-web",
		"-o", `jsonpath={.status.conditions[?(@.type=="ReplicaFailure")].message}`)
	if err != nil || !strings.Contains(says, "ImageGate shop refuses "+d.repository("web")+"@") {
		t.Errorf("the Deployment says %q: %v", says, err)
	}
	t.Log(says)
	d.onlyWeb(t, digest)
}

func (d *delivery) onlyWeb(t *testing.T, digest string) {
	t.Helper()
	web := 0
	for _, p := range d.pods(t) {
		if p.Labels["app"] != "web" {
			continue
		}
		web++
		image := p.Spec.Containers[0].Image
		if image != d.repository("web")+"@"+digest || p.Status.Phase != corev1.PodRunning {
			t.Errorf("Pod %s of %s is %s, want one of %s that runs", p.Name, image, p.Status.Phase, digest)
		}
	}
	if web != 1 {
		t.Errorf("web has %d Pods", web)
	}
}

// awaitAnswer waits until who would make a Pod of web by the digest is told so.
func (d *delivery) awaitAnswer(t *testing.T, digest, want string) {
	t.Helper()
	pod := podIn(targetNamespace, "probe", d.repository("web")+"@"+digest)
	var last string
	message := func() string { return fmt.Sprintf("the answer %q for %s: %s", want, digest, last) }
	await(t, gateTimeout, message, func(ctx context.Context) (bool, error) {
		last, _ = cluster.KubectlSays(ctx, pod, "apply", "--dry-run=server", "-f", "-")
		warned := strings.Contains(last, "Warning")
		return strings.Contains(last, want) && (want != "created" || !warned), nil
	})
	t.Log(last)
}

// awaitRan waits until the gate has seen the digest run.
func (d *delivery) awaitRan(t *testing.T, digest string) {
	t.Helper()
	message := func() string { return "that the gate sees " + digest + " run" }
	await(t, gateTimeout, message, func(ctx context.Context) (bool, error) {
		var list v1alpha1.VerifiedImagesList
		ofGate := client.MatchingLabels{v1alpha1.GateLabel: "shop"}
		err := d.client.List(ctx, &list, client.InNamespace(stack.System), ofGate)
		if err != nil {
			return false, err
		}
		for i := range list.Items {
			if _, ok := list.Items[i].Ran[strings.TrimPrefix(digest, "sha256:")]; ok {
				return true, nil
			}
		}
		return false, nil
	})
}

// replay has a digest verified again, and waits for its next verdict.
func (d *delivery) replay(t *testing.T, digest string, want v1alpha1.Outcome) {
	t.Helper()
	entry := d.verdict(t, digest)
	before := entry.Status.Verdict.Number
	if out, err := cluster.Revet(t.Context(), "replay", entry.Name, "-n", imagesNamespace); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	message := func() string { return fmt.Sprintf("another verdict; %+v", entry.Status.Verdict) }
	await(t, verdictTimeout, message, func(ctx context.Context) (bool, error) {
		err := d.client.Get(ctx, client.ObjectKeyFromObject(entry), entry)
		return err == nil && entry.Status.Verdict.Number > before, err
	})
	if entry.Status.Verdict.Outcome != want {
		t.Errorf("the verdict is %s, want %s: %s", entry.Status.Verdict.Outcome, want, entry.Status.Message)
	}
}
