package comparesandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/comparesandbox/compare"
	"github.com/revet-dev/revet/pkg/cli/comparesandbox/nodeusage"
)

const (
	// runPoll is how often a run is looked at: what the whole of it took is late by
	// as much.
	runPoll = 100 * time.Millisecond
	// goneTimeout is the most time for Pods to be gone that have ended.
	goneTimeout = 2 * time.Minute
	// removeTimeout is the most time for removing what was made, also after an interrupt.
	removeTimeout = 15 * time.Second
)

// measure makes all runs in turn, so that what changes on the node meanwhile changes
// for all classes.
func (c *comparison) measure(ctx context.Context) (err error) {
	probe, err := c.startProbe(ctx)
	if probe != nil {
		defer func() { err = errors.Join(err, c.remove(ctx, probe.pod)) }()
	}
	if err != nil {
		return err
	}
	c.report.Node.CgroupVersion = probe.version
	rounds := []round{{state: compare.Warm}}
	for range c.runs {
		rounds = append(rounds, round{state: compare.Warm, counts: true})
	}
	if c.cold {
		for range c.runs {
			rounds = append(rounds, round{state: compare.Cold, counts: true})
		}
	}
	number, total := 0, len(rounds)*len(c.classes)
	var images []string
	for _, round := range rounds {
		for i, class := range c.classes {
			number++
			if round.state == compare.Cold {
				if err := c.removeImages(ctx, images); err != nil {
					return err
				}
			}
			run, stepImages, err := c.one(ctx, probe, class, number)
			if err != nil {
				return fmt.Errorf("run %d of %d, class %s, %s: %w", number, total, class.name, round.state, err)
			}
			run.State = round.state
			what := string(round.state)
			if round.counts {
				reported := &c.report.Classes[i]
				run.Number = len(reported.Runs) + 1
				reported.Runs = append(reported.Runs, run)
			} else {
				what = "to warm up, does not count"
				images = append(images, stepImages...)
			}
			fmt.Fprintf(c.env.Streams.ErrOut, "run %d of %d: %s, %s: %s after %.1f s\n", number, total, class.name, what, command.Printable(run.Verdict), run.WholeSeconds)
		}
		slices.Sort(images)
		images = slices.Compact(images)
		if !round.counts && c.cold {
			if err := c.heldImages(ctx, images); err != nil {
				return err
			}
		}
	}
	c.note()
	return nil
}

// round is one run of each class.
type round struct {
	state  compare.State
	counts bool
}

// note adds what a reader has to know.
func (c *comparison) note() {
	verdicts := map[string]bool{}
	for i := range c.report.Classes {
		for _, run := range c.report.Classes[i].Runs {
			verdicts[run.Verdict] = true
		}
	}
	if len(verdicts) > 1 {
		c.report.Notes = append(c.report.Notes, "The verdicts differ between runs, so that they did not do the same work: see the runs with -o json.")
	}
	for i := range c.report.Classes {
		if handler := c.report.Classes[i].Handler; strings.HasPrefix(handler, "kata") {
			// Its own docs/design/host-cgroups.md.
			c.report.Notes = append(c.report.Notes, fmt.Sprintf("Of %s (handler %s) CPU and memory are complete only with sandbox_cgroup_only = true in Kata's configuration: "+
				"otherwise, which was its default for long, its hypervisor is outside of the Pod's control group.", c.report.Classes[i].Name, handler))
		}
	}
	if c.report.Node.CgroupVersion == 1 {
		c.report.Notes = append(c.report.Notes, "The node's control groups are of version 1, which does not tell who wrote to disk.")
	}
}

// one makes one run and removes it. A run that did not end as it should is left for
// who wants to look at it.
func (c *comparison) one(ctx context.Context, probe *probe, class comparedClass, number int) (compare.Run, []string, error) {
	object, err := c.pipelineRun(ctx, class, number)
	if err != nil {
		return compare.Run{}, nil, err
	}
	began := c.env.Now()
	if err := c.cl.Writer.Create(ctx, object); err != nil {
		return compare.Run{}, nil, fmt.Errorf("creating PipelineRun %q: %w", object.Name, err)
	}
	if err := c.awaitEnd(ctx, object); err != nil {
		if ctx.Err() != nil {
			return compare.Run{}, nil, errors.Join(err, c.remove(ctx, object))
		}
		return compare.Run{}, nil, fmt.Errorf("%w; it is left to be looked at: kubectl describe -n %s pipelinerun %s", err, object.Namespace, object.Name)
	}
	run := compare.Run{Name: object.Name, WholeSeconds: c.env.Now().Sub(began).Seconds()}
	for _, r := range object.Status.Results {
		if r.Name == "verdict" {
			run.Verdict = r.Value.StringVal
		}
	}
	pods, err := c.podsOf(ctx, object)
	if err != nil {
		return compare.Run{}, nil, err
	}
	pulls := c.pulls(ctx, object.Namespace)
	timings := make([]podTiming, len(pods))
	var images []string
	for i := range pods {
		if err := class.holds(&pods[i]); err != nil {
			return compare.Run{}, nil, err
		}
		timings[i] = c.timing(ctx, &pods[i])
		timings[i].pulled = pulls(&pods[i])
		for _, container := range pods[i].Spec.Containers {
			images = append(images, container.Image)
		}
	}
	if err := c.remove(ctx, object); err != nil {
		return compare.Run{}, nil, err
	}
	ended, err := probe.await(ctx, pods)
	if err != nil {
		return compare.Run{}, nil, err
	}
	for i := range pods {
		run.Pods = append(run.Pods, newPod(&pods[i], timings[i], ended[string(pods[i].UID)]))
	}
	run.Sum()
	return run, images, c.awaitGone(ctx, pods)
}

// awaitEnd waits until the run has ended, and reads it. One that did not succeed is
// an error: what it took is no measure of anything.
func (c *comparison) awaitEnd(ctx context.Context, run *pipelinev1.PipelineRun) error {
	var condition *apis.Condition
	err := wait.PollUntilContextTimeout(ctx, runPoll, c.timeout, false, func(ctx context.Context) (bool, error) {
		if err := c.cl.Get(ctx, client.ObjectKeyFromObject(run), run); err != nil {
			if apierrors.IsNotFound(err) {
				return false, fmt.Errorf("PipelineRun %q was removed by somebody else", run.Name)
			}
			return false, nil // the API server may be away for a while
		}
		condition = run.Status.GetCondition(apis.ConditionSucceeded)
		return condition != nil && !condition.IsUnknown(), nil
	})
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %w", ctx.Err())
	case wait.Interrupted(err):
		return fmt.Errorf("PipelineRun %q has not ended after %s; %s", run.Name, c.timeout, c.trouble(ctx, run))
	case err != nil:
		return err
	case condition.IsFalse():
		return fmt.Errorf("PipelineRun %q did not succeed (%s: %s)", run.Name, condition.Reason, command.OneLine(condition.Message))
	}
	return nil
}

// trouble says what a run that does not end waits for.
func (c *comparison) trouble(ctx context.Context, run *pipelinev1.PipelineRun) string {
	pods, err := c.podsOf(ctx, run)
	if err != nil {
		return err.Error()
	}
	var events corev1.EventList
	if err := c.cl.List(ctx, &events, client.InNamespace(run.Namespace)); err != nil {
		return fmt.Sprintf("it has %d Pods, and their Events cannot be read: %v", len(pods), err)
	}
	for i := range pods {
		for _, e := range slices.Backward(events.Items) {
			if e.InvolvedObject.UID == pods[i].UID && e.Type == corev1.EventTypeWarning {
				return fmt.Sprintf("of Pod %q: %s: %s", pods[i].Name, e.Reason, command.OneLine(e.Message))
			}
		}
	}
	return fmt.Sprintf("none of its %d Pods tells of any trouble", len(pods))
}

func (c *comparison) podsOf(ctx context.Context, run *pipelinev1.PipelineRun) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := c.cl.List(ctx, &pods, client.InNamespace(run.Namespace), client.MatchingLabels{"tekton.dev/pipelineRun": run.Name}); err != nil {
		return nil, fmt.Errorf("listing the Pods of PipelineRun %q: %w", run.Name, err)
	}
	return pods.Items, nil
}

// holds checks that a Pod was what it is measured as.
func (class comparedClass) holds(pod *corev1.Pod) error {
	want, got := "", ""
	if class.object != nil {
		want = class.object.Name
	}
	if pod.Spec.RuntimeClassName != nil {
		got = *pod.Spec.RuntimeClassName
	}
	if got != want {
		return fmt.Errorf("Pod %q has the RuntimeClass %q instead of %q", pod.Name, got, want) //nolint:staticcheck // Pod is a kind
	}
	return nil
}

// remove removes an object, also after an interrupt.
func (c *comparison) remove(ctx context.Context, object client.Object) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	err := c.cl.Writer.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing %q in namespace %q, please do: %w", object.GetName(), object.GetNamespace(), err)
	}
	return nil
}

// awaitGone waits until the node has removed Pods with all that belongs to them, so
// that they are in no other run's way.
func (c *comparison) awaitGone(ctx context.Context, pods []corev1.Pod) error {
	var left []string
	err := wait.PollUntilContextTimeout(ctx, runPoll, goneTimeout, true, func(ctx context.Context) (bool, error) {
		left = nil
		for i := range pods {
			var pod corev1.Pod
			err := c.cl.Get(ctx, client.ObjectKeyFromObject(&pods[i]), &pod)
			if err == nil && pod.UID == pods[i].UID {
				left = append(left, pod.Name)
			}
		}
		return len(left) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for Pods to be removed, of which %s are left: %w", strings.Join(left, ", "), err)
	}
	return nil
}

// newPod joins what the API server and the node tell of a Pod.
func newPod(pod *corev1.Pod, t podTiming, e nodeusage.Ended) compare.Pod {
	p := compare.Pod{Name: pod.Name, Figures: compare.Figures{
		CPUSeconds: e.CPUSeconds, PeakMemoryBytes: float(e.PeakMemoryBytes),
		DiskReadBytes: float(e.DiskReadBytes), DiskWrittenBytes: float(e.DiskWrittenBytes),
		ReceivedBytes: float(e.ReceivedBytes), SentBytes: float(e.SentBytes),
	}}
	p.PullSeconds = t.pulled
	if !t.started.IsZero() && !e.Since.IsZero() {
		p.SetUpSeconds = positive(t.started.Sub(e.Since))
	}
	if !t.started.IsZero() && !t.ended.IsZero() {
		p.StepsSeconds = positive(t.ended.Sub(t.started))
	}
	return p
}

func float(n *int64) *float64 {
	if n == nil {
		return nil
	}
	f := float64(*n)
	return &f
}

// positive returns nothing for what cannot be.
func positive(d time.Duration) *float64 {
	if d < 0 {
		return nil
	}
	seconds := d.Seconds()
	return &seconds
}
