//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/test/stack"
)

// releasedByEvents is the event-driven form of docs/examples/deliver: verdicts start the
// release of a revision. What it leaves behind is taken away, as the other form comes next.
func (d *delivery) releasedByEvents(t *testing.T) {
	d.listen(t)
	t.Run("three images pass, and are released once", d.releasesOnce)
	t.Run("one image fails, and nothing is released", d.releasesNothing)
	d.kubectl(t, "delete", "trigger.eventing.knative.dev/release-shop", "-n", stack.System)
	d.kubectl(t, "delete", "eventlistener/release", "-n", pipelinesNamespace)
	d.mustHelm(t, "uninstall", "shop", "-n", targetNamespace, "--wait")
}

// listen applies event.yaml with the chart's place and Helm's image on this cluster.
func (d *delivery) listen(t *testing.T) {
	t.Helper()
	raw, err := os.ReadFile(example("event.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const version = "      - name: version\n        value: 0.1.0\n"
	const chart = "oci://registry.example.com/charts/shop"
	text := string(raw)
	for _, part := range []string{version, chart} {
		if strings.Count(text, part) != 1 {
			t.Fatalf("event.yaml has %q %d times", part, strings.Count(text, part))
		}
	}
	text = strings.Replace(text, chart, "oci://"+cluster.Info.RegistryInCluster+charts+"/shop", 1)
	more := version
	for name, value := range map[string]string{"helm": d.images["helm"], "program": "/ko-app/helm", "insecure": `"true"`} {
		more += fmt.Sprintf("      - name: %s\n        value: %s\n", name, value)
	}
	file := filepath.Join(t.TempDir(), "event.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(text, version, more, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	d.kubectl(t, "apply", "-f", filepath.Join(cluster.Root, "eventing", "verdicts"))
	if err := cluster.KoApply(t.Context(), ".", "-f", file); err != nil {
		t.Fatal(err)
	}
	timeout := "--timeout=" + gateTimeout.String()
	d.kubectl(t, "wait", "-n", stack.System, "--for=condition=Ready", "broker/verdicts", "sinkbinding/verdicts",
		"trigger.eventing.knative.dev/release-shop", timeout)
	d.kubectl(t, "rollout", "status", "-n", stack.System, "deployment/controller", timeout)
	d.kubectl(t, "wait", "-n", pipelinesNamespace, "--for=condition=Ready", "eventlistener/release", timeout)
}

func (d *delivery) releasesOnce(t *testing.T) {
	commit := d.pipelines.commit(t, "good")
	digests := d.build(t, "build-good", commit)
	run := d.pipelines.finished(t, "release-"+commit, deliverTimeout)
	if c := run.Status.GetCondition(apis.ConditionSucceeded); !c.IsTrue() {
		d.pipelines.logRun(t, run.Name)
		t.Fatalf("the release is %s: %s", c.Reason, c.Message)
	}
	d.runsBy(t, digests)
	// Each of the three verdicts is told, and asks for the run that the first one made.
	d.awaitRequests(t, run.Name, 3)
	if runs := d.releases(t); !slices.Equal(runs, []string{run.Name}) {
		t.Errorf("three verdicts made the runs %q", runs)
	}
	if history := d.mustHelm(t, "history", "shop", "-n", targetNamespace, "--output", "json"); strings.Count(history, `"revision":`) != 1 {
		t.Errorf("three verdicts made the revisions %s", history)
	}
}

func (d *delivery) releasesNothing(t *testing.T) {
	before := d.uids(t)
	release := d.mustHelm(t, "history", "shop", "-n", targetNamespace)
	commit := d.pipelines.commit(t, "bad")
	d.build(t, "build-bad", commit)
	run := d.pipelines.finished(t, "release-"+commit, deliverTimeout)
	if c := run.Status.GetCondition(apis.ConditionSucceeded); !c.IsFalse() {
		t.Fatalf("the release of a bad image is %s: %s", c.Reason, c.Message)
	}
	pods := d.pipelines.podsOf(t, run.Name)
	if len(pods) != 1 || pods[0].Labels["tekton.dev/pipelineTask"] != "await" {
		d.pipelines.logRun(t, run.Name)
		t.Fatalf("the release had %d Pods, want the one that waits", len(pods))
	}
	d.toldWhichFailed(t, &pods[0])
	// Both that passed are told. The one that failed is not.
	d.awaitRequests(t, run.Name, 2)
	if runs := d.releases(t); len(runs) != 2 {
		t.Errorf("two commits made the runs %q", runs)
	}
	if after := d.mustHelm(t, "history", "shop", "-n", targetNamespace); after != release {
		t.Errorf("the release was\n%s\nand is\n%s", release, after)
	}
	if after := d.uids(t); !maps.Equal(before, after) {
		t.Errorf("the Pods were %v, and are %v", before, after)
	}
}

// build builds a commit as build.yaml does, and returns the digests of its images by name.
func (d *delivery) build(t *testing.T, name, commit string) map[string]string {
	t.Helper()
	d.create(t, "build.yaml", name, map[string]string{
		"source": "git." + pipelinesNamespace + ".svc.cluster.local/shop.git", "scheme": "http",
		"commit": commit, "tag": commit, "insecure": "true", "builder": d.images["builder"], "executor": "/ko-app/executor",
	})
	return d.pipelines.built(t, name)
}

// create creates a PipelineRun of the example under a name, with parameters of its own.
func (d *delivery) create(t *testing.T, file, name string, values map[string]string) {
	t.Helper()
	raw, err := os.ReadFile(example(file))
	if err != nil {
		t.Fatal(err)
	}
	var run pipelinev1.PipelineRun
	if err := yaml.UnmarshalStrict(raw, &run); err != nil {
		t.Fatal(err)
	}
	run.Name, run.GenerateName = name, ""
	run.Spec.Params = slices.DeleteFunc(run.Spec.Params, func(p pipelinev1.Param) bool {
		return values[p.Name] != ""
	})
	for name, value := range values {
		run.Spec.Params = append(run.Spec.Params, pipelinev1.Param{Name: name, Value: *pipelinev1.NewStructuredValues(value)})
	}
	if err := d.client.Create(t.Context(), &run); err != nil {
		t.Fatal(err)
	}
}

// releases are the names of the runs that the listener made.
func (d *delivery) releases(t *testing.T) []string {
	t.Helper()
	var list pipelinev1.PipelineRunList
	ofListener := client.MatchingLabels{"triggers.tekton.dev/eventlistener": "release"}
	if err := d.client.List(t.Context(), &list, client.InNamespace(pipelinesNamespace), ofListener); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, run := range list.Items {
		names = append(names, run.Name)
	}
	return names
}

// awaitRequests waits until the listener was asked for a run so often.
func (d *delivery) awaitRequests(t *testing.T, run string, times int) {
	t.Helper()
	log := ""
	message := func() string { return fmt.Sprintf("%d requests for %s; the listener says:\n%s", times, run, log) }
	await(t, gateTimeout, message, func(ctx context.Context) (bool, error) {
		var pods corev1.PodList
		err := d.client.List(ctx, &pods, client.InNamespace(pipelinesNamespace), client.MatchingLabels{"eventlistener": "release"})
		if err != nil || len(pods.Items) != 1 {
			log = fmt.Sprintf("it has %d Pods", len(pods.Items))
			return false, err
		}
		raw, err := d.clientset.CoreV1().Pods(pipelinesNamespace).GetLogs(pods.Items[0].Name, &corev1.PodLogOptions{}).DoRaw(ctx)
		log = string(raw)
		return strings.Count(log, "name: "+run+`"`) >= times, err
	})
}
