//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
	"github.com/revet-dev/revet/test/stack"
)

// buildRun is what a user creates to build three images of a commit, here with the
// builder that is compiled for this test.
const buildRun = `apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  name: build-images
  namespace: %[1]s
spec:
  pipelineRef: {name: build-images}
  params:
  - {name: source, value: git.%[1]s.svc.cluster.local/shop.git}
  - {name: scheme, value: http}
  - {name: commit, value: %[2]s}
  - {name: repository, value: %[3]s/%[1]s}
  - {name: tag, value: "1"}
  - {name: insecure, value: "true"}
  - {name: builder, value: ko://github.com/GoogleContainerTools/kaniko/cmd/executor}
  - {name: executor, value: /ko-app/executor}
  taskRunTemplate:
    podTemplate: {runtimeClassName: kata}
`

// From a commit to three verdicts: images that are built in the cluster, at the same
// time and without privilege, are verified as they are pushed, and nothing else
// connects the two.
func TestImagesBuiltInTheClusterAreVerified(t *testing.T) {
	w := newEnv(t, "e2e-build", stack.Direct)
	w.excuse(t)
	w.ready(t, stack.Direct)
	if err := cluster.KoApply(t.Context(), "test/build", "-f", "../e2e/testdata/git.yaml", "--", "-n", w.namespace); err != nil {
		t.Fatal(err)
	}
	if out, err := cluster.Kubectl(t.Context(), "apply", "-n", w.namespace, "-f", filepath.Join(cluster.Root, "docs", "examples", "build", "pipeline.yaml")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := cluster.Kubectl(t.Context(), "rollout", "status", "-n", w.namespace, "deployment/git", "--timeout=120s"); err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(t.TempDir(), "run.yaml")
	if err := os.WriteFile(run, fmt.Appendf(nil, buildRun, w.namespace, w.commit(t, "bad"), cluster.Info.RegistryInCluster), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cluster.KoApply(t.Context(), "test/build", "-f", run); err != nil {
		t.Fatal(err)
	}
	digests := w.built(t, "build-images")
	for name, want := range map[string]v1alpha1.Phase{"api": v1alpha1.PhasePassed, "web": v1alpha1.PhasePassed, "worker": v1alpha1.PhaseFailed} {
		entry := w.verdict(t, digests[name])
		t.Logf("%s@%s is %s", entry.Spec.Repository.Name, entry.Spec.Digest, entry.Status.Phase)
		if entry.Status.Phase != want {
			t.Errorf("%s is %s: %s: %s; want %s", name, entry.Status.Phase, entry.Status.Reason, entry.Status.Message, want)
		}
		var summary verdict.Summary
		if err := json.Unmarshal([]byte(entry.Status.Runs[0].Summary), &summary); err != nil {
			t.Fatalf("summary %q: %v", entry.Status.Runs[0].Summary, err)
		}
		// That nobody knows what is in it is told where it is let pass.
		if summary.Counts.Waived != 1 || !slices.ContainsFunc(summary.Findings, func(f taskresult.Finding) bool {
			return f.Rule == result.RuleNoPackages && f.Severity == result.SeverityWarning && f.Waiver != nil && f.Waiver.Reason == excuseReason
		}) {
			t.Errorf("%s: the summary does not tell that it is let pass without packages, and why: %s", name, entry.Status.Runs[0].Summary)
		}
	}
	w.checkBuilders(t, "build-images")
}

// excuseReason is why the images of the test may have no packages.
const excuseReason = "one file each, built from scratch"

// excuse lets images without packages pass in the namespace, for a time, as the policy
// shows for static programs.
func (w *env) excuse(t *testing.T) {
	t.Helper()
	var policy corev1.ConfigMap
	if err := w.client.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "revet-scan-policy"}, &policy); err != nil {
		t.Fatal(err)
	}
	const none = "exceptions: []\n"
	if strings.Count(policy.Data["policy.yaml"], none) != 1 {
		t.Fatalf("the policy has no empty list of exceptions:\n%s", policy.Data["policy.yaml"])
	}
	policy.Data["policy.yaml"] = strings.Replace(policy.Data["policy.yaml"], none, fmt.Sprintf(`exceptions:
- rules: [no-packages]
  images: ["%s/%s/*"]
  reason: %s
  owner: e2e@example.com
  expires: %s
`, cluster.Info.RegistryInCluster, w.namespace, excuseReason, time.Now().AddDate(0, 0, 2).Format(time.DateOnly)), 1)
	if err := w.client.Update(t.Context(), &policy); err != nil {
		t.Fatal(err)
	}
}

// commit is what the git server says that the good or the bad commit is.
func (w *env) commit(t *testing.T, which string) string {
	t.Helper()
	var pods corev1.PodList
	if err := w.client.List(t.Context(), &pods, client.InNamespace(w.namespace), client.MatchingLabels{"app": "git"}); err != nil || len(pods.Items) == 0 {
		t.Fatalf("the git server has %d Pods: %v", len(pods.Items), err)
	}
	for line := range strings.Lines(w.logOf(t, pods.Items[0].Name, "git")) {
		if hash, ok := strings.CutPrefix(line, which+" "); ok {
			return strings.TrimSpace(hash)
		}
	}
	t.Fatalf("the git server names no %s commit", which)
	return ""
}

// built waits for the end of a build, and returns the digests of its images by name.
func (w *env) built(t *testing.T, name string) map[string]string {
	t.Helper()
	run := w.finished(t, name, verdictTimeout)
	if c := run.Status.GetCondition(apis.ConditionSucceeded); !c.IsTrue() {
		w.logRun(t, name)
		t.Fatalf("the build is %s: %s", c.Reason, c.Message)
	}
	return resultsOf(run)
}

// finished waits for the end of a run.
func (w *env) finished(t *testing.T, name string, timeout time.Duration) *pipelinev1.PipelineRun {
	t.Helper()
	var run pipelinev1.PipelineRun
	await(t, timeout, func() string { return fmt.Sprintf("the end of run %s; %+v", name, run.Status.Conditions) }, func(ctx context.Context) (bool, error) {
		err := w.client.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: name}, &run)
		return err == nil && run.Status.CompletionTime != nil, err
	})
	return &run
}

// logRun logs what the containers of a run printed.
func (w *env) logRun(t *testing.T, name string) {
	t.Helper()
	for _, p := range w.podsOf(t, name) {
		for _, c := range p.Spec.Containers {
			t.Logf("%s of %s: %s", c.Name, p.Name, w.logOf(t, p.Name, c.Name))
		}
	}
}

func resultsOf(run *pipelinev1.PipelineRun) map[string]string {
	results := map[string]string{}
	for _, r := range run.Status.Results {
		results[r.Name] = r.Value.StringVal
	}
	return results
}

// checkBuilders holds that each image had a Pod of its own, at the same time as the
// others, and that none was privileged or had anything of the host.
func (w *env) checkBuilders(t *testing.T, name string) {
	t.Helper()
	pods := w.podsOf(t, name)
	if len(pods) != 3 {
		t.Errorf("the build had %d Pods, want one for each image", len(pods))
	}
	for i := range pods {
		p := &pods[i]
		if p.Spec.HostNetwork || p.Spec.HostPID || p.Spec.HostIPC || p.Spec.RuntimeClassName == nil || *p.Spec.RuntimeClassName != "kata" {
			t.Errorf("Pod %s has something of the host, or no sandbox", p.Name)
		}
		for _, v := range p.Spec.Volumes {
			if v.HostPath != nil {
				t.Errorf("Pod %s mounts %s of the host", p.Name, v.HostPath.Path)
			}
		}
		for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
			if s := c.SecurityContext; s != nil && s.Privileged != nil && *s.Privileged {
				t.Errorf("container %s of Pod %s is privileged", c.Name, p.Name)
			}
		}
		for _, c := range p.Spec.Containers {
			if s := c.SecurityContext; s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !slices.Contains(s.Capabilities.Drop, "ALL") {
				t.Errorf("container %s of Pod %s may become more than it is: %+v", c.Name, p.Name, s)
			}
		}
		t.Logf("Pod %s: class %s, created %s, ended %s", p.Name, *p.Spec.RuntimeClassName, p.CreationTimestamp.Format("15:04:05"), ended(p).Format("15:04:05"))
		for j := range pods {
			if ended(&pods[j]).Before(p.CreationTimestamp.Time) {
				t.Errorf("Pod %s was created after %s had ended: they were not built at the same time", p.Name, pods[j].Name)
			}
		}
	}
}

// ended is when the last container of a Pod ended.
func ended(p *corev1.Pod) (last time.Time) {
	for i := range p.Status.ContainerStatuses {
		if end := p.Status.ContainerStatuses[i].State.Terminated; end != nil && end.FinishedAt.After(last) {
			last = end.FinishedAt.Time
		}
	}
	return last
}
