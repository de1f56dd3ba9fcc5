//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
	"github.com/revet-dev/revet/triggers"
)

const (
	apartNamespace = "e2e-apart"
	// apartClass is a class of volumes that exist already: see addVolumes.
	apartClass = "e2e-directories"
	// The secrets of the account that scans and of the one that publishes.
	pullSecret, pushSecret = "pulls", "pushes"
)

// newApart makes a namespace in which publishing is a Pod of its own, from the manifests as
// triggers/500-triggertemplate.yaml says, with a class of volumes.
func newApart(t *testing.T, volumes int) *env {
	t.Helper()
	w := newEnv(t, apartNamespace, stack.Direct)
	addVolumes(t, volumes)
	coschedule(t, "workspaces")
	manifests, err := triggers.Manifests()
	if err != nil {
		t.Fatal(err)
	}
	manifests, _ = triggers.Apart(manifests)
	text := regexp.MustCompile(`(?m)^( *)accessModes:`).ReplaceAllString(string(manifests), "${1}storageClassName: "+apartClass+"\n${1}accessModes:")
	file := filepath.Join(t.TempDir(), "apart.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cluster.KoApply(t.Context(), ".", "-f", file, "--", "--namespace", w.namespace); err != nil {
		t.Fatal(err)
	}
	if err := cluster.NameDatabase(t.Context(), w.namespace, database); err != nil {
		t.Fatal(err)
	}
	for account, name := range map[string]string{"scan-and-validate": pullSecret, "scan-and-validate-publish": pushSecret} {
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}, Type: corev1.SecretTypeDockerConfigJson,
			StringData: map[string]string{corev1.DockerConfigJsonKey: `{"auths":{"registry.example.com":{"username":"a","password":"not-a-real-one"}}}`},
		}
		if err := w.client.Create(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		if _, err := cluster.Kubectl(t.Context(), "patch", "serviceaccount", account, "-n", w.namespace, "--patch", fmt.Sprintf(`{"secrets":[{"name":%q}]}`, name)); err != nil {
			t.Fatal(err)
		}
	}
	w.ready(t, stack.Direct)
	return w
}

// addVolumes makes a class with volumes that are directories of the node, where everybody may
// write. The cluster has nothing that makes volumes; this is for a test only.
func addVolumes(t *testing.T, n int) {
	t.Helper()
	manifests := fmt.Sprintf(`apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: %s}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
`, apartClass)
	for i := range n {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // the Pods run as another user
			t.Fatal(err)
		}
		manifests += fmt.Sprintf(`---
apiVersion: v1
kind: PersistentVolume
metadata: {name: %[1]s-%[2]d}
spec:
  storageClassName: %[1]s
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: %[3]s, type: Directory}
`, apartClass, i, dir)
	}
	if err := cluster.Apply(t.Context(), manifests); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, what := range [][]string{{"storageclass", apartClass}, {"persistentvolume", "--all"}} {
			if _, err := cluster.Kubectl(context.WithoutCancel(t.Context()), append([]string{"delete", "--wait=false"}, what...)...); err != nil {
				t.Error(err)
			}
		}
	})
}

// coschedule has Tekton keep the Pods that share a volume on one node, as it does by default, which
// this cluster turns off.
func coschedule(t *testing.T, value string) {
	t.Helper()
	set := func(value string) {
		t.Helper()
		if _, err := cluster.Kubectl(context.WithoutCancel(t.Context()), "patch", "configmap", "feature-flags", "-n", "tekton-pipelines",
			"--type=merge", "--patch", fmt.Sprintf(`{"data":{"coschedule":%q}}`, value)); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { set("disabled") })
	set(value)
}

// With publishing in a Pod of its own, reports and inventories are beside the image as before, no
// Pod that parses an image can read what pushes, all Pods are in the sandbox, and no volume is left,
// of runs that fail neither.
func TestPublishingApart(t *testing.T) {
	w := newApart(t, 3)
	for _, test := range []struct {
		name   string
		sample images.Sample
		phase  v1alpha1.Phase
		tasks  []string
	}{
		{"good", images.Good(), v1alpha1.PhasePassed, []string{"join-verdict", "publish-documents", "scan-image", "verify-signature"}},
		{"bad", images.Bad(), v1alpha1.PhaseFailed, []string{"join-verdict", "publish-documents", "scan-image", "verify-signature"}},
		{"bomb", images.Bomb(64 << 20), v1alpha1.PhaseError, []string{"scan-image", "verify-signature"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			entry := w.verdict(t, w.push(t, test.name+":1", test.sample))
			if entry.Status.Phase != test.phase {
				t.Errorf("phase = %s (%s: %s), want %s", entry.Status.Phase, entry.Status.Reason, entry.Status.Message, test.phase)
			}
			run := entry.Status.Runs[0]
			for _, class := range run.Sandbox.Observed {
				if class != "kata" {
					t.Errorf("observed class %q, want kata", class)
				}
			}
			if diff := cmp.Diff(test.tasks, w.checkPodsApart(t, run.Name)); diff != "" {
				t.Errorf("Tasks that ran (-want +got):\n%s", diff)
			}
			w.awaitNoVolume(t)
			if test.phase == v1alpha1.PhaseError {
				return
			}
			if run.Report == "" || entry.Status.Verdict.Inventory == nil || entry.Status.Verdict.Inventory.Reference == "" {
				t.Errorf("the report is %q, the verdict %+v; its summary: %s", run.Report, entry.Status.Verdict, run.Summary)
			}
			out, err := cluster.Kubectl(t.Context(), "get", "pipelinerun", run.Name, "-n", w.namespace, "-o", "jsonpath={.status.startTime} {.status.completionTime}")
			t.Logf("the run took from %s, %v", out, err)
		})
	}
}

// checkPodsApart checks what the Pods of a run's Tasks mount, and returns the Tasks.
func (w *env) checkPodsApart(t *testing.T, run string) []string {
	t.Helper()
	var tasks []string
	for _, pod := range w.podsOf(t, run) {
		task := pod.Labels["tekton.dev/pipelineTask"]
		if task == "" {
			continue // Tekton's, which keeps Pods on the node of their volume
		}
		tasks = append(tasks, task)
		logTimes(t, &pod)
		if pod.Spec.RuntimeClassName == nil || *pod.Spec.RuntimeClassName != "kata" {
			t.Errorf("Pod %s has RuntimeClass %v, want kata", pod.Name, pod.Spec.RuntimeClassName)
		}
		account, secret := "scan-and-validate", pullSecret
		if task == "publish-documents" {
			account, secret = "scan-and-validate-publish", pushSecret
			if len(pod.Spec.Containers) != 1 || !slices.Contains(pod.Spec.Containers[0].Args, "publish-documents") {
				t.Errorf("Pod %s runs %+v, want the one step that pushes", pod.Name, pod.Spec.Containers)
			}
		}
		var secrets []string
		for _, v := range pod.Spec.Volumes {
			if v.Secret != nil {
				secrets = append(secrets, v.Secret.SecretName)
			}
		}
		if pod.Spec.ServiceAccountName != account || !slices.Equal(secrets, []string{secret}) {
			t.Errorf("Pod %s of %s has the account %q and the secrets %q", pod.Name, task, pod.Spec.ServiceAccountName, secrets)
		}
	}
	slices.Sort(tasks)
	return tasks
}

// awaitNoVolume waits until no claim of a volume is left.
func (w *env) awaitNoVolume(t *testing.T) {
	t.Helper()
	var last string
	await(t, verdictTimeout, func() string { return "the end of all volumes: " + last }, func(ctx context.Context) (bool, error) {
		var claims corev1.PersistentVolumeClaimList
		if err := w.client.List(ctx, &claims, client.InNamespace(w.namespace)); err != nil {
			return false, err
		}
		last = fmt.Sprintf("%d are left", len(claims.Items))
		return len(claims.Items) == 0, nil
	})
}
