package tekton

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhatAPodThatFailedSays(t *testing.T) {
	ended := func(name string, status int32, reason, message string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: status, Reason: reason, Message: message}}}
	}
	at := func(second int64, c corev1.ContainerStatus) corev1.ContainerStatus {
		c.State.Terminated.FinishedAt = metav1.Unix(second, 0)
		return c
	}
	for _, test := range []struct {
		name   string
		status corev1.PodStatus
		want   string
		itself string
	}{
		{"the result error of the first step that failed", corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{
			ended("step-fetch", 0, "Completed", `[{"key":"error","value":"not this","type":1}]`),
			ended("step-validate", 1, "Error", `[{"key":"StartedAt","value":"x","type":3},{"key":"error","value":"rules.yaml: no such file","type":1}]`),
			ended("step-verdict", 1, "Error", `[{"key":"error","value":"skipped","type":1}]`),
		}}, "validate: rules.yaml: no such file", "rules.yaml: no such file"},
		{"a step that could say nothing", corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{ended("step-fetch", 137, "OOMKilled", "")}},
			"fetch: OOMKilled, exit status 137", ""},
		{"a step that failed among those that Tekton ended after it, by their names", corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{
			at(1, ended("step-fetch", 0, "Completed", "")), at(4, ended("step-publish", 1, "Error", `[{"key":"Reason","value":"Skipped","type":3}]`)),
			at(2, ended("step-scan", 1, "Error", `[{"key":"error","value":"DatabaseMissing: no","type":1}]`))}}, "scan: DatabaseMissing: no", "DatabaseMissing: no"},
		{"the same where it could say nothing", corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{
			at(4, ended("step-publish", 1, "Error", "")), at(2, ended("step-scan", 137, "OOMKilled", "")), at(3, ended("step-validate", 1, "Error", ""))}}, "scan: OOMKilled, exit status 137", ""},
		{"a message that is no list of results", corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{ended("step-fetch", 2, "Error", "panic: oh")}},
			"fetch: Error, exit status 2", ""},
		{"a step that failed in a Pod whose phase does not say so yet", corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{
			ended("step-fetch", 1, "Error", `[{"key":"error","value":"ContentMissing: no","type":1}]`)}}, "fetch: ContentMissing: no", "ContentMissing: no"},
		{"a Pod that was evicted", corev1.PodStatus{Phase: corev1.PodFailed, Message: "The node was low on resource: memory."}, "The node was low on resource: memory.", ""},
		{"a Pod that did its work", corev1.PodStatus{Phase: corev1.PodSucceeded, Message: "x"}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := PodFrom(&corev1.Pod{Status: test.status})
			if got.Failure != test.want {
				t.Errorf("it says %q, want %q", got.Failure, test.want)
			}
			if got.Error != test.itself {
				t.Errorf("the step itself says %q, want %q", got.Error, test.itself)
			}
		})
	}
}
