//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

// Each pushed image gets the verdict it deserves, from exactly one run, in a
// Pod of class kata with a gVisor kernel; through the ApiServerSource directly,
// and through Broker and Trigger.
func TestPushedImagesAreVerified(t *testing.T) {
	for _, way := range []struct {
		namespace string
		source    stack.Source
	}{
		{"e2e-direct", stack.Direct},
		{"e2e-broker", stack.Brokers},
	} {
		t.Run(way.namespace, func(t *testing.T) {
			w := newEnv(t, way.namespace, way.source)
			w.ready(t, way.source)
			for _, test := range []struct {
				name, repository string
				sample           images.Sample
				phase            v1alpha1.Phase
				message          string
			}{
				{"a good image passes", "good:1", images.Good(), v1alpha1.PhasePassed, ""},
				{"a bad image fails", "bad:1", images.Bad(), v1alpha1.PhaseFailed, "non-root"},
				{"a multi-arch image passes as a whole", "multi:1", images.MultiArch(), v1alpha1.PhasePassed, ""},
			} {
				t.Run(test.name, func(t *testing.T) {
					digest := w.push(t, test.repository, test.sample)
					entry := w.verdict(t, digest)
					if entry.Status.Phase != test.phase {
						t.Errorf("phase = %s (%s: %s), want %s", entry.Status.Phase, entry.Status.Reason, entry.Status.Message, test.phase)
					}
					if entry.Spec.FirstPush.Source != v1alpha1.SourceEvent {
						t.Errorf("seen by %q, want %q", entry.Spec.FirstPush.Source, v1alpha1.SourceEvent)
					}
					checkRun(t, w, entry)
				})
			}
		})
	}
}

func checkRun(t *testing.T, w *env, entry *v1alpha1.ImageVerification) {
	t.Helper()
	runs := w.runsOf(t, entry.Spec.Digest)
	if len(runs) != 1 || len(entry.Status.Runs) != 1 || runs[0].Name != entry.Status.Runs[0].Name {
		t.Fatalf("%d PipelineRuns and %d recorded runs, want the same one", len(runs), len(entry.Status.Runs))
	}
	run := entry.Status.Runs[0]
	if run.Digest != entry.Spec.Digest {
		t.Errorf("the run scanned %q, want %q", run.Digest, entry.Spec.Digest)
	}
	if len(run.Sandbox.Observed) == 0 {
		t.Error("the entry does not say where the run's Pods executed")
	}
	for _, class := range run.Sandbox.Observed {
		if class != "kata" {
			t.Errorf("observed class %q, want kata", class)
		}
	}
	pods := w.podsOf(t, run.Name)
	if len(pods) == 0 {
		t.Fatal("the run has no Pod")
	}
	for _, pod := range pods {
		logTimes(t, &pod)
		if pod.Labels["revet.dev/network"] == "" {
			t.Errorf("no network policy is for Pod %s, by its labels %v", pod.Name, pod.Labels)
		}
		if pod.Spec.RuntimeClassName == nil || *pod.Spec.RuntimeClassName != "kata" {
			t.Errorf("Pod %s has RuntimeClass %v, want kata", pod.Name, pod.Spec.RuntimeClassName)
		}
		first := pod.Spec.Containers[0].Name
		if log := w.logOf(t, pod.Name, first); !strings.Contains(log, "gVisor") && !strings.Contains(log, "gvisor") {
			t.Errorf("container %s of Pod %s does not tell of a gVisor kernel; it printed:\n%s", first, pod.Name, log)
		}
	}
}

// logTimes prints how long a Pod and its steps took. Tekton starts each step's
// program when the one before has ended, and notes the time in its message.
func logTimes(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	var parts []string
	var last time.Time
	for _, c := range pod.Status.ContainerStatuses {
		end := c.State.Terminated
		if end == nil {
			continue
		}
		last = end.FinishedAt.Time
		var results []struct{ Key, Value string }
		if err := json.Unmarshal([]byte(end.Message), &results); err != nil {
			t.Errorf("the message of %s of Pod %s is cut: %v", c.Name, pod.Name, err)
		}
		for _, r := range results {
			if r.Key == "StartedAt" {
				parts = append(parts, fmt.Sprintf("%s at %s, message of %d bytes", c.Name, r.Value, len(end.Message)))
			}
		}
	}
	t.Logf("%s: %s from its creation to its end; %s", pod.Labels["tekton.dev/pipelineTask"], last.Sub(pod.CreationTimestamp.Time), strings.Join(parts, "; "))
}
