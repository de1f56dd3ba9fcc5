//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

// The namespaces of docs/examples/deliver: of the images and their trigger, of the
// Pipeline, and of what runs behind the gate.
const (
	imagesNamespace, pipelinesNamespace, targetNamespace = "shop-images", "shop-delivery", "shop"
)

// charts is a path of the local registry whose repositories are no ImageStreams: OpenShift's
// registry takes no chart from Helm.
const charts = "/shop-delivery/charts"

// deliverTimeout is ample for three builds, their verdicts and a deployment.
const deliverTimeout = 3 * verdictTimeout

// delivery is docs/examples/deliver as it stands, on the cluster.
type delivery struct {
	// env is that of the images and their trigger.
	*env
	pipelines *env
	// helm is the program on this machine, and home where it keeps its files.
	helm, home string
	// images are those of the programs that Tasks run, by parameter.
	images map[string]string
	// first and second are the digests of web in the first two revisions.
	first, second string
}

// From a commit to a release by digest: three images that pass are deployed and run behind a
// gate that refuses others, one that fails keeps all of them out, and a roll-back starts what
// is still verified.
func TestReleasesAreDeliveredByDigest(t *testing.T) {
	t.Parallel()
	d := newDelivery(t)
	t.Run("by events", d.releasedByEvents)
	t.Run("three images pass, and run by digest", d.passes)
	t.Run("one image fails, and nothing is deployed", d.fails)
	t.Run("the chart takes no tag", d.takesNoTag)
	t.Run("a second revision, by hand", d.byHand)
	t.Run("a roll-back to what expired", d.rollsBackToExpired)
	t.Run("a roll-back to what failed since", d.rollsBackToFailed)
}

func newDelivery(t *testing.T) *delivery {
	t.Helper()
	w := newEnv(t, imagesNamespace, stack.Direct)
	w.excuse(t)
	pipelines := &env{client: w.client, clientset: w.clientset, namespace: pipelinesNamespace}
	d := &delivery{env: w, pipelines: pipelines, home: t.TempDir()}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_, _ = cluster.Kubectl(ctx, "delete", "imagegate", "shop", "--ignore-not-found")
	})
	d.kubectl(t, "apply", "-f", example("accounts.yaml"), "-f", example("revet.yaml"))
	d.kubectl(t, "apply", "-n", pipelinesNamespace, "-f", example("../build/pipeline.yaml"))
	for folder, file := range map[string]string{
		".": example("pipeline.yaml"), "test/build": "../e2e/testdata/git.yaml",
	} {
		if err := cluster.KoApply(t.Context(), folder, "-f", file, "--", "-n", pipelinesNamespace); err != nil {
			t.Fatal(err)
		}
	}
	d.programs(t)
	timeout := "--timeout=" + gateTimeout.String()
	d.kubectl(t, "wait", "-n", imagesNamespace, "--for=condition=Ready", "imagetrigger/shop", timeout)
	if err := cluster.WaitSource(t.Context(), imagesNamespace); err != nil {
		t.Fatal(err)
	}
	d.kubectl(t, "wait", "imagegate/shop", "--for=jsonpath={.status.mode}=Deny", timeout)
	d.kubectl(t, "rollout", "status", "-n", pipelinesNamespace, "deployment/git", timeout)
	d.mustHelm(t, "package", example("chart"), "--destination", d.home)
	d.mustHelm(t, "push", filepath.Join(d.home, "shop-0.1.0.tgz"),
		"oci://"+cluster.Info.RegistryHost+charts, "--plain-http")
	return d
}

func example(file string) string {
	return filepath.Join(cluster.Root, "docs", "examples", "deliver", filepath.FromSlash(file))
}

// programs builds the builder and Helm from their modules, Helm also for this machine.
func (d *delivery) programs(t *testing.T) {
	t.Helper()
	d.images = map[string]string{}
	for param, of := range map[string][2]string{
		"builder": {"test/build", "github.com/GoogleContainerTools/kaniko/cmd/executor"},
		"helm":    {"test/helm", helmProgram},
	} {
		image, err := cluster.KoBuild(t.Context(), of[0], of[1])
		if err != nil {
			t.Fatal(err)
		}
		d.images[param] = image
	}
	d.helm = filepath.Join(d.home, "helm")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", d.helm, helmProgram)
	build.Dir = filepath.Join(cluster.Root, "test", "helm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building Helm: %v\n%s", err, out)
	}
}

const helmProgram = "helm.sh/helm/v4/cmd/helm"

func (d *delivery) passes(t *testing.T) {
	run := d.deliver(t, "deliver-good", d.pipelines.commit(t, "good"))
	if c := run.Status.GetCondition(apis.ConditionSucceeded); !c.IsTrue() {
		d.pipelines.logRun(t, run.Name)
		t.Fatalf("the delivery is %s: %s", c.Reason, c.Message)
	}
	digests := resultsOf(run)
	d.first = digests["web"]
	d.runsBy(t, digests)
	d.mustHelm(t, "history", "shop", "-n", targetNamespace)
}

// runsBy holds that the images passed, and that the release's Pods run them by digest.
func (d *delivery) runsBy(t *testing.T, digests map[string]string) {
	t.Helper()
	want := map[string]string{}
	for workload, names := range map[string][]string{
		"api": {"worker", "api"}, "web": {"web"}, "worker": {"worker"},
	} {
		for _, name := range names {
			if entry := d.verdict(t, digests[name]); entry.Status.Phase != v1alpha1.PhasePassed {
				t.Errorf("%s is %s: %s", name, entry.Status.Phase, entry.Status.Message)
			}
			want[workload] += d.repository(name) + "@" + digests[name] + " "
		}
	}
	got := map[string]string{}
	for _, pod := range d.pods(t) {
		for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			got[pod.Labels["app"]] += c.Image + " "
		}
		for _, s := range pod.Status.ContainerStatuses {
			if !s.Ready {
				t.Errorf("container %s of Pod %s is not ready: %+v", s.Name, pod.Name, s.State)
			}
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("what runs is %v, want %v", got, want)
	}
}

func (d *delivery) fails(t *testing.T) {
	before := d.uids(t)
	release := d.mustHelm(t, "history", "shop", "-n", targetNamespace)
	run := d.deliver(t, "deliver-bad", d.pipelines.commit(t, "bad"))
	if c := run.Status.GetCondition(apis.ConditionSucceeded); !c.IsFalse() {
		t.Fatalf("the delivery of a bad image is %s: %s", c.Reason, c.Message)
	}
	awaited := false
	for _, pod := range d.pipelines.podsOf(t, run.Name) {
		switch pod.Labels["tekton.dev/pipelineTask"] {
		case "deploy":
			t.Errorf("Pod %s deployed", pod.Name)
		case "await":
			awaited = true
			d.toldWhichFailed(t, &pod)
		}
	}
	if !awaited {
		d.pipelines.logRun(t, run.Name)
		t.Errorf("nothing awaited the verdicts")
	}
	if after := d.mustHelm(t, "history", "shop", "-n", targetNamespace); after != release {
		t.Errorf("the release was\n%s\nand is\n%s", release, after)
	}
	if after := d.uids(t); !maps.Equal(before, after) {
		t.Errorf("the Pods were %v, and are %v", before, after)
	}
}

// toldWhichFailed holds that the step that awaits verdicts says which image failed.
func (d *delivery) toldWhichFailed(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	says := d.pipelines.logOf(t, pod.Name, "step-wait")
	t.Logf("await says:\n%s", says)
	state := pod.Status.ContainerStatuses[0].State
	if state.Terminated == nil || state.Terminated.ExitCode != 1 {
		t.Errorf("the step is %+v, want exit status 1", state)
	}
	_, failed, _ := strings.Cut(says, "1 of 3 images failed")
	if !strings.Contains(failed, d.repository("worker")+"@") {
		t.Errorf("the step does not say which image failed")
	}
}

func (d *delivery) takesNoTag(t *testing.T) {
	registry := cluster.Info.RegistryInCluster + "/" + imagesNamespace
	out, err := d.helmSays(t, "template", "shop", example("chart"), "--set",
		fmt.Sprintf("registry=%s,images.api=%[2]s,images.web=1.0,images.worker=%[2]s", registry, d.first))
	if err == nil || !strings.Contains(out, "at '/images/web': '1.0' does not match pattern") {
		t.Errorf("a tag was answered with %v: %s", err, out)
	}
}

// byHand makes a second revision, in which only web is another.
func (d *delivery) byHand(t *testing.T) {
	d.second = d.pushSalted(t, "web:2", images.Good(), d.first)
	image := d.repository("web") + "@" + d.second
	out, err := cluster.Revet(t.Context(), "wait", image, "-n", imagesNamespace,
		"--for", "passed", "--timeout", "5m", "-o", "digests")
	if err != nil || out != d.second+"\n" {
		t.Fatalf("wait printed %q: %v", out, err)
	}
	d.mustHelm(t, "upgrade", "shop", "oci://"+cluster.Info.RegistryHost+charts+"/shop",
		"--version", "0.1.0", "--plain-http", "-n", targetNamespace, "--reuse-values",
		"--set", "images.web="+d.second, "--rollback-on-failure", "--timeout", "2m")
	d.webRuns(t, d.second)
}

// deliver creates the example's PipelineRun for a commit, and waits for its end.
func (d *delivery) deliver(t *testing.T, name, commit string) *pipelinev1.PipelineRun {
	t.Helper()
	values := map[string]string{
		"source": "git." + pipelinesNamespace + ".svc.cluster.local/shop.git", "scheme": "http",
		"commit": commit, "executor": "/ko-app/executor", "program": "/ko-app/helm",
		"chart": "oci://" + cluster.Info.RegistryInCluster + charts + "/shop", "insecure": "true",
	}
	maps.Copy(values, d.images)
	d.create(t, "run.yaml", name, values)
	return d.pipelines.finished(t, name, deliverTimeout)
}

// pods are those of the release that are not on their way out.
func (d *delivery) pods(t *testing.T) []corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	if err := d.client.List(t.Context(), &pods, client.InNamespace(targetNamespace)); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

func (d *delivery) uids(t *testing.T) map[string]string {
	t.Helper()
	uids := map[string]string{}
	for _, p := range d.pods(t) {
		uids[p.Name] = string(p.UID)
	}
	return uids
}

func (d *delivery) mustHelm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := d.helmSays(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// helmSays runs helm on this machine, and returns all that it printed.
func (d *delivery) helmSays(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), d.helm, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+cluster.Info.Kubeconfig,
		"HELM_CACHE_HOME="+d.home, "HELM_CONFIG_HOME="+d.home, "HELM_DATA_HOME="+d.home)
	out, err := cmd.CombinedOutput()
	t.Logf("$ helm %s\n%s", strings.Join(args, " "), out)
	if err != nil {
		return string(out), fmt.Errorf("helm %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
