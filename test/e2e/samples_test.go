//go:build e2e

package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline/pod"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

// bombSize is what the bomb's layer unpacks to; it is stored in 2 MiB.
const bombSize = 2 << 30

// Every sample, attacks among them, gets the verdict that it deserves for the reason
// that it deserves, in Pods of class kata; a registry that stalls ends in an Error;
// the node is unharmed, and the next image is verified.
func TestSamplesGetTheVerdictTheyDeserve(t *testing.T) {
	w := newEnv(t, "e2e-samples", stack.Direct)
	never := int32(0)
	if err := w.client.Create(t.Context(), &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "everything"},
		Spec: v1alpha1.ImageTriggerSpec{
			Images:  []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{Names: []string{"*"}}}},
			Sink:    v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "scan-and-validate"}},
			Sandbox: v1alpha1.Sandbox{RuntimeClassName: "kata"}, Retries: &never, MaxConcurrent: 3,
		},
	}); err != nil {
		t.Fatal(err)
	}
	w.awaitCondition(t, "everything", v1alpha1.ConditionReady, metav1.ConditionTrue, "Ready")
	if err := cluster.WaitSource(t.Context(), w.namespace); err != nil {
		t.Fatal(err)
	}
	stalled := w.stall(t)
	tampered := w.mirror(t, "tampered")

	samples := slices.Concat(images.All(), images.Vulnerable(), images.Hostile(), []images.Sample{images.Bomb(bombSize)})
	digests := map[string]string{}
	for _, s := range samples {
		tag := fmt.Sprintf("%s/%s/%s:1", cluster.Info.RegistryHost, w.namespace, s.Name)
		w.stream(t, s.Name)
		d, err := images.Push(t.Context(), tag, s, images.Options{Now: time.Now(), Salt: w.namespace})
		if err != nil {
			t.Fatalf("push sample %s: %v", s.Name, err)
		}
		digests[s.Name] = d.String()
	}
	for _, s := range samples {
		if s.Reason == notAnImage {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			entry := w.verdict(t, digests[s.Name])
			checkSample(t, s, entry)
			for _, run := range entry.Status.Runs {
				for _, p := range w.podsOf(t, run.Name) {
					logTimes(t, &p)
				}
			}
		})
	}
	t.Run("a registry that stalls", func(t *testing.T) { w.checkStalled(t, stalled) })
	t.Run("the next image", func(t *testing.T) {
		entry := w.verdict(t, w.pushSalted(t, "next:1", images.Good(), w.namespace+"next"))
		if entry.Status.Phase != v1alpha1.PhasePassed {
			t.Errorf("after the attacks a good image is %s: %s: %s", entry.Status.Phase, entry.Status.Reason, entry.Status.Message)
		}
	})
	w.tamper(t, tampered)
	for _, broken := range []struct {
		reason       oci.Reason
		param, value string
	}{
		{vulndb.ReasonMissing, "database", database + "-gone"},
		{vulndb.ReasonTampered, "database", tampered},
		{vulndb.ReasonTooOld, "database-max-age", "1s"},
	} {
		t.Run(string(broken.reason), func(t *testing.T) {
			before := w.setDefault(t, broken.param, broken.value)
			defer w.setDefault(t, broken.param, before)
			w.checkNoVerdict(t, string(broken.reason))
		})
	}
	t.Run("no database", w.checkNoDatabase)
	t.Run("what cannot run is no push", func(t *testing.T) {
		for _, s := range samples {
			// It was pushed before the next image, whose verdict is there.
			if runs := w.runsOf(t, digests[s.Name]); s.Reason == notAnImage && len(runs) != 0 {
				t.Errorf("sample %s has %d runs", s.Name, len(runs))
			}
		}
	})
	w.checkNode(t)
}

// checkNoVerdict holds that an image ends as an Error of the reason, and returns what the
// entry says.
func (w *env) checkNoVerdict(t *testing.T, reason string) string {
	t.Helper()
	entry := w.verdict(t, w.pushSalted(t, strings.ToLower(reason)+":1", images.Debian(0), w.namespace+reason))
	if entry.Status.Phase != v1alpha1.PhaseError || !strings.Contains(entry.Status.Message, reason) {
		t.Errorf("it is %s/%s: %s; want an Error that says %s", entry.Status.Phase, entry.Status.Reason, entry.Status.Message, reason)
	}
	return entry.Status.Message
}

// checkNoDatabase holds that an image ends as an Error that names the command which
// fills a database, where none is named; and that what the owner switched off passes
// and is shown wherever the verdict is.
func (w *env) checkNoDatabase(t *testing.T) {
	if err := cluster.NameDatabase(t.Context(), w.namespace, ""); err != nil {
		t.Fatal(err)
	}
	const command = "kubectl revet fill-database "
	if message := w.checkNoVerdict(t, string(vulndb.ReasonNotConfigured)); !strings.Contains(message, command) {
		t.Errorf("the entry says %q, want the command %q in it", message, command)
	}
	before := w.setDefault(t, "scan", "Off")
	defer w.setDefault(t, "scan", before)
	// It would fail if anybody looked.
	entry := w.verdict(t, w.pushSalted(t, "off:1", images.Debian(0), w.namespace+"off"))
	var summary verdict.Summary
	if err := json.Unmarshal([]byte(entry.Status.Runs[0].Summary), &summary); err != nil {
		t.Fatalf("summary %q: %v", entry.Status.Runs[0].Summary, err)
	}
	if entry.Status.Phase != v1alpha1.PhasePassed || !slices.Contains(summary.Off, "scan") || summary.Database != nil {
		t.Errorf("with scan Off it is %s/%s: %s; summary %s", entry.Status.Phase, entry.Status.Reason, entry.Status.Message, entry.Status.Runs[0].Summary)
	}
	if !slices.Contains(strings.Split(entry.Status.NotChecked, ","), "scan") {
		t.Errorf("the entry says that %q was not checked", entry.Status.NotChecked)
	}
	table, err := cluster.Kubectl(t.Context(), "get", "imageverification", entry.Name, "-n", w.namespace)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table, "NOT-CHECKED") || !strings.Contains(table, entry.Status.NotChecked) {
		t.Errorf("the table does not show what was not checked:\n%s", table)
	}
	story, err := cluster.Revet(t.Context(), "explain", "-n", w.namespace, w.namespace+"/off:1")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.ToLower(story), "not checked") {
		t.Errorf("explain does not tell what was not checked:\n%s", story)
	}
}

// notAnImage is the reason of samples that have nothing to run.
const notAnImage = "NotAnImage"

func checkSample(t *testing.T, s images.Sample, entry *v1alpha1.ImageVerification) {
	t.Helper()
	got := entry.Status
	want := map[images.Verdict]v1alpha1.Phase{
		images.VerdictPass: v1alpha1.PhasePassed, images.VerdictFail: v1alpha1.PhaseFailed, images.VerdictError: v1alpha1.PhaseError,
	}[s.Verdict]
	if got.Phase != want {
		t.Fatalf("it is %s/%s: %s; want %s", got.Phase, got.Reason, got.Message, want)
	}
	t.Logf("%s: %s/%s %s", s.Name, got.Phase, got.Reason, got.Message)
	if s.Verdict == images.VerdictError {
		if !strings.Contains(got.Message, s.Reason) {
			t.Errorf("the message is %q, want the reason %s in it", got.Message, s.Reason)
		}
		return
	}
	var summary struct {
		Findings []struct{ Rule string }
		Database struct{ Digest, Age string }
		Off      []string
	}
	if err := json.Unmarshal([]byte(got.Runs[0].Summary), &summary); err != nil {
		t.Fatalf("summary %q: %v", got.Runs[0].Summary, err)
	}
	if summary.Database.Digest == "" || summary.Database.Age == "" || slices.Contains(summary.Off, "scan") {
		t.Errorf("the summary does not say by which database it was scanned, and how old that is: %s", got.Runs[0].Summary)
	}
	for _, rule := range s.Rules {
		if !slices.ContainsFunc(summary.Findings, func(f struct{ Rule string }) bool { return f.Rule == rule }) {
			t.Errorf("the summary does not name rule %s: %s", rule, got.Runs[0].Summary)
		}
	}
}

// setDefault sets the default of a parameter of the pipeline, which is what runs get,
// and returns the one that it had.
func (w *env) setDefault(t *testing.T, param, value string) string {
	t.Helper()
	var pipeline pipelinev1.Pipeline
	if err := w.client.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "scan-and-validate"}, &pipeline); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(pipeline.Spec.Params, func(p pipelinev1.ParamSpec) bool { return p.Name == param })
	if at < 0 {
		t.Fatalf("the pipeline has no parameter %s", param)
	}
	before := pipeline.Spec.Params[at].Default.StringVal
	pipeline.Spec.Params[at].Default = pipelinev1.NewStructuredValues(value)
	if err := w.client.Update(t.Context(), &pipeline); err != nil {
		t.Fatal(err)
	}
	return before
}

// stall starts the registry that stalls, and a run over what it has. It returns the run's name.
func (w *env) stall(t *testing.T) string {
	t.Helper()
	if err := cluster.KoApply(t.Context(), "test", "-f", "e2e/testdata/stall.yaml"); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Kubectl(t.Context(), "rollout", "status", "-n", "e2e-stall", "deployment/stall", "--timeout=120s"); err != nil {
		t.Fatal(err)
	}
	var pods corev1.PodList
	if err := w.client.List(t.Context(), &pods, client.InNamespace("e2e-stall")); err != nil || len(pods.Items) == 0 {
		t.Fatalf("the registry that stalls has %d Pods: %v", len(pods.Items), err)
	}
	manifest := pods.Items[0].Spec.Containers[0].Env[0].Value
	const host = "stall.e2e-stall.svc.cluster.local:5000"
	var registries corev1.ConfigMap
	if err := w.client.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "revet-registries"}, &registries); err != nil {
		t.Fatal(err)
	}
	registries.Data["insecure"] += "\n" + host + "\n"
	if err := w.client.Update(t.Context(), &registries); err != nil {
		t.Fatal(err)
	}
	kata := "kata"
	run := &pipelinev1.PipelineRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "stalled"},
		Spec: pipelinev1.PipelineRunSpec{
			PipelineRef: &pipelinev1.PipelineRef{Name: "scan-and-validate"},
			Params: pipelinev1.Params{{Name: "reference", Value: *pipelinev1.NewStructuredValues(
				fmt.Sprintf("%s/demo/app@sha256:%x", host, sha256.Sum256([]byte(manifest))))}},
			TaskRunTemplate: pipelinev1.PipelineTaskRunTemplate{ServiceAccountName: "scan-and-validate", PodTemplate: &pod.PodTemplate{RuntimeClassName: &kata}},
		},
	}
	if err := w.client.Create(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	return run.Name
}

// checkStalled waits for the end of a run that pulls from the registry that stalls.
func (w *env) checkStalled(t *testing.T, name string) {
	t.Helper()
	var run pipelinev1.PipelineRun
	await(t, verdictTimeout, func() string { return fmt.Sprintf("the end of run %s; %+v", name, run.Status.Conditions) }, func(ctx context.Context) (bool, error) {
		err := w.client.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: name}, &run)
		return err == nil && run.Status.CompletionTime != nil, err
	})
	c := run.Status.GetCondition(apis.ConditionSucceeded)
	if !c.IsFalse() {
		t.Errorf("a run that cannot pull is %s: %s", c.Status, c.Message)
	}
	var said []string
	for _, p := range w.podsOf(t, name) {
		for i := range p.Status.ContainerStatuses {
			if end := p.Status.ContainerStatuses[i].State.Terminated; end != nil && end.ExitCode != 0 {
				said = append(said, end.Message)
			}
		}
	}
	if !strings.Contains(strings.Join(said, "\n"), "TimedOut") {
		t.Errorf("its steps said %q, want the reason TimedOut", said)
	}
	t.Logf("it ended %s after its start: %s", run.Status.CompletionTime.Sub(run.Status.StartTime.Time), c.Message)
}

// checkNode looks whether the node is as before: ready, under no pressure, and no
// Pod was evicted or killed for its memory.
func (w *env) checkNode(t *testing.T) {
	t.Helper()
	var nodes corev1.NodeList
	if err := w.client.List(t.Context(), &nodes); err != nil || len(nodes.Items) == 0 {
		t.Fatalf("%d nodes: %v", len(nodes.Items), err)
	}
	for _, c := range nodes.Items[0].Status.Conditions {
		if good := (c.Type == corev1.NodeReady) == (c.Status == corev1.ConditionTrue); !good {
			t.Errorf("the node's condition %s is %s: %s", c.Type, c.Status, c.Message)
		}
	}
	var pods corev1.PodList
	if err := w.client.List(t.Context(), &pods); err != nil {
		t.Fatal(err)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.Status.Reason == "Evicted" {
			t.Errorf("Pod %s/%s was evicted: %s", p.Namespace, p.Name, p.Status.Message)
		}
		for _, c := range p.Status.ContainerStatuses {
			for _, end := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
				if end != nil && end.Reason == "OOMKilled" {
					t.Errorf("container %s of Pod %s/%s ran out of memory", c.Name, p.Namespace, p.Name)
				}
			}
		}
	}
	checkImages(t, pods.Items)
}

// checkImages holds that nothing came from outside: every container's image is from
// the cluster's own registry.
func checkImages(t *testing.T, pods []corev1.Pod) {
	t.Helper()
	seen := 0
	for i := range pods {
		for _, statuses := range [][]corev1.ContainerStatus{pods[i].Status.InitContainerStatuses, pods[i].Status.ContainerStatuses} {
			for _, c := range statuses {
				if c.ImageID == "" {
					continue
				}
				seen++
				// The node reaches the registry under the name that pushers use.
				if !strings.HasPrefix(c.ImageID, cluster.Info.RegistryHost+"/") {
					t.Errorf("container %s of Pod %s/%s has image %s, which is not from %s", c.Name, pods[i].Namespace, pods[i].Name, c.ImageID, cluster.Info.RegistryHost)
				}
			}
		}
	}
	t.Logf("%d containers of %d Pods have images of the cluster's registry", seen, len(pods))
}
