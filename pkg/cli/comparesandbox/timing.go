package comparesandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// podTiming is when the first step of a Pod started, and the last one ended.
type podTiming struct {
	started, ended time.Time
	// pulled is how many seconds were spent on pulling its images.
	pulled *float64
}

// timing reads it to the millisecond where that is known: the start from what
// Tekton's entrypoint tells, the end from the time of a step's last line in its log.
// The API server tells both in whole seconds only.
func (c *comparison) timing(ctx context.Context, pod *corev1.Pod) podTiming {
	var t podTiming
	lines := int64(1)
	for i := range pod.Status.ContainerStatuses {
		s := &pod.Status.ContainerStatuses[i]
		end := s.State.Terminated
		if end == nil {
			return podTiming{}
		}
		if at := startedAt(end); t.started.IsZero() || at.Before(t.started) {
			t.started = at
		}
		t.ended = latest(t.ended, end.FinishedAt.Time)
		log, err := c.cl.Logs(ctx, pod.Namespace, pod.Name, &corev1.PodLogOptions{Container: s.Name, Timestamps: true, TailLines: &lines})
		if err != nil {
			continue
		}
		stamp, _, _ := strings.Cut(string(log), " ")
		if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
			t.ended = latest(t.ended, at)
		}
	}
	return t
}

// startedAt is when a step's own command started: the containers of all steps start
// at once, and wait for the one before.
func startedAt(end *corev1.ContainerStateTerminated) time.Time {
	var results []struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	if err := json.Unmarshal([]byte(end.Message), &results); err == nil {
		for _, r := range results {
			if at, err := time.Parse(time.RFC3339, r.Value); err == nil && r.Key == "StartedAt" {
				return at
			}
		}
	}
	return end.StartedAt.Time
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// pulledPattern is what the kubelet's Event Pulled says, unless the image was there.
var pulledPattern = regexp.MustCompile(`^Successfully pulled image .* in (\S+) \(`)

// pulls reads what the kubelet says of images, and returns how many seconds a Pod's
// took; nil if that cannot be read.
func (c *comparison) pulls(ctx context.Context, namespace string) func(*corev1.Pod) *float64 {
	var events corev1.EventList
	if err := c.cl.List(ctx, &events, client.InNamespace(namespace)); err != nil {
		return func(*corev1.Pod) *float64 { return nil }
	}
	return func(pod *corev1.Pod) *float64 {
		total := 0.0
		for i := range events.Items {
			e := &events.Items[i]
			m := pulledPattern.FindStringSubmatch(e.Message)
			if e.InvolvedObject.UID != pod.UID || e.Reason != "Pulled" || m == nil {
				continue
			}
			d, err := time.ParseDuration(m[1])
			if err != nil {
				return nil
			}
			total += d.Seconds()
		}
		return &total
	}
}

// heldImages refuses to call runs cold for which the node keeps the images, as it
// does while any Pod has a container of them, be it one that has ended.
func (c *comparison) heldImages(ctx context.Context, images []string) error {
	var pods corev1.PodList
	if err := c.cl.List(ctx, &pods); err != nil {
		return fmt.Errorf("looking for Pods that have the images of the steps: %w", err)
	}
	var holders []string
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.Spec.NodeName == c.node.Name && slices.ContainsFunc(p.Spec.Containers, func(c corev1.Container) bool { return slices.Contains(images, c.Image) }) {
			holders = append(holders, p.Namespace+"/"+p.Name)
		}
	}
	if len(holders) == 0 {
		return nil
	}
	const most = 5
	more := ""
	if len(holders) > most {
		more = fmt.Sprintf(" and %d more", len(holders)-most)
	}
	return fmt.Errorf("node %q keeps the images of the steps while other Pods have them, also such as have ended, so that no run would be cold: %s%s; delete those Pods when their runs have ended, or choose another node with --node",
		c.node.Name, strings.Join(holders[:min(len(holders), most)], ", "), more)
}
