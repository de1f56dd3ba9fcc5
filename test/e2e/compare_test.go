//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/comparesandbox/compare"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

// What isolation costs is read from the node, for real Pods of both classes, with warm
// and with cold images; the ledger knows nothing of it, and nothing is left.
func TestSandboxesAreCompared(t *testing.T) {
	w := newEnv(t, "e2e-compare", stack.Direct)
	w.ready(t, stack.Direct)
	digest := w.push(t, "app:1", images.Good())
	before := w.verdict(t, digest)
	w.deleteEndedPods(t)

	plugin, err := cluster.BuildPlugin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	plot := filepath.Join(t.TempDir(), "sandbox.svg")
	cmd := exec.CommandContext(t.Context(), plugin, "compare-sandbox", w.namespace+"/app:1", "-n", w.namespace,
		"--classes", "kata,default", "--runs", "1", "--cold", "-o", "json", "--plot", plot)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+cluster.Info.Kubeconfig)
	var out, progress bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &progress
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	var report compare.Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	checkComparison(t, &report)
	var table strings.Builder
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table.String())
	figure, err := os.ReadFile(plot)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(figure, new(struct{ XMLName xml.Name })); err != nil {
		t.Errorf("the figure is no SVG: %v", err)
	}

	after := w.verdict(t, digest)
	if after.Status.RunCount != before.Status.RunCount {
		t.Errorf("the ledger counts a run of it: %+v", after.Status)
	}
	var runs pipelinev1.PipelineRunList
	if err := w.client.List(t.Context(), &runs, client.InNamespace(w.namespace)); err != nil {
		t.Fatal(err)
	}
	for i := range runs.Items {
		if runs.Items[i].Annotations[v1alpha1.DigestAnnotation] != digest {
			t.Errorf("PipelineRun %s is left", runs.Items[i].Name)
		}
	}
}

// checkComparison holds that everything was measured that this node tells. It does
// not hold one class against the other: that is what a user measures.
func checkComparison(t *testing.T, report *compare.Report) {
	t.Helper()
	if len(report.Classes) != 2 || report.Classes[0].Handler != "runsc" || report.Classes[1].Handler != "" {
		t.Fatalf("classes: %+v", report.Classes)
	}
	for _, class := range report.Classes {
		if len(class.Runs) != 2 || class.Runs[0].State != compare.Warm || class.Runs[1].State != compare.Cold {
			t.Errorf("class %s has the runs %+v", class.Name, class.Runs)
			continue
		}
		for _, run := range class.Runs {
			if run.Verdict != "pass" || len(run.Pods) != 3 {
				t.Errorf("run %s: verdict %q of %d Pods", run.Name, run.Verdict, len(run.Pods))
			}
			for name, value := range map[string]*float64{
				"whole": &run.WholeSeconds, "set-up": run.SetUpSeconds, "steps": run.StepsSeconds, "CPU": run.CPUSeconds,
				"peak memory": run.PeakMemoryBytes, "received": run.ReceivedBytes, "sent": run.SentBytes,
			} {
				if value == nil || *value <= 0 {
					t.Errorf("run %s, class %s, %s: %s is not known", run.Name, class.Name, run.State, name)
				}
			}
			if run.DiskReadBytes == nil {
				t.Errorf("run %s, class %s: what was read from disk is not known", run.Name, class.Name)
			}
			if run.PullSeconds == nil || (*run.PullSeconds > 0) != (run.State == compare.Cold) {
				t.Errorf("run %s, class %s, %s: pulling took %v", run.Name, class.Name, run.State, run.PullSeconds)
			}
		}
	}
}

// deleteEndedPods deletes those that hold images on the node, as the command asks for.
func (w *env) deleteEndedPods(t *testing.T) {
	t.Helper()
	var pods corev1.PodList
	if err := w.client.List(t.Context(), &pods); err != nil {
		t.Fatal(err)
	}
	checkImages(t, pods.Items) // nobody can look at them later
	for i := range pods.Items {
		if phase := pods.Items[i].Status.Phase; phase == corev1.PodSucceeded || phase == corev1.PodFailed {
			if err := client.IgnoreNotFound(w.client.Delete(t.Context(), &pods.Items[i])); err != nil {
				t.Fatal(err)
			}
		}
	}
}
