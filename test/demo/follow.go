package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
)

// follower watches what a push sets in motion and tells each image's story.
type follower struct {
	client    client.WithWatch
	namespace string
	out       *printer

	mu      sync.Mutex
	stories map[string]*story // by digest
	entries map[string]*v1alpha1.ImageVerification
	runs    map[string]string // PipelineRun name to digest
	changed chan struct{}     // closed and replaced whenever an entry changes
}

func (f *follower) add(digest string, s *story) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stories[digest] = s
}

func (f *follower) tell(digest string, h hop, at time.Time, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s, ok := f.stories[digest]; ok {
		s.tell(h, at, format, args...)
	}
}

// watch starts one watch for each kind that shows a hop.
func (f *follower) watch(ctx context.Context) error {
	f.entries = map[string]*v1alpha1.ImageVerification{}
	f.runs = map[string]string{}
	f.changed = make(chan struct{})
	for _, list := range []client.ObjectList{
		&imagev1.ImageStreamList{}, &v1alpha1.ImageVerificationList{}, &pipelinev1.PipelineRunList{}, &corev1.PodList{},
	} {
		w, err := f.client.Watch(ctx, list, client.InNamespace(f.namespace))
		if err != nil {
			return fmt.Errorf("watching %T: %w", list, err)
		}
		go func() {
			defer w.Stop()
			for event := range w.ResultChan() {
				f.observe(event)
			}
		}()
	}
	return nil
}

func (f *follower) observe(event watch.Event) {
	now := time.Now()
	switch o := event.Object.(type) {
	case *imagev1.ImageStream:
		for _, tag := range o.Status.Tags {
			if len(tag.Items) > 0 {
				f.tell(tag.Items[0].Image, hopEvent, now, "ImageStream %s/%s: tag %s moved (resourceVersion %s)", o.Namespace, o.Name, tag.Tag, o.ResourceVersion)
			}
		}
	case *v1alpha1.ImageVerification:
		f.observeEntry(o)
	case *pipelinev1.PipelineRun:
		f.observeRun(o, now)
	case *corev1.Pod:
		f.observePod(o, now)
	}
}

func (f *follower) observeEntry(e *v1alpha1.ImageVerification) {
	first := e.Spec.FirstPush
	f.tell(e.Spec.Digest, hopRecorded, first.ObservedAt.Time, "ImageVerification %s (seen by %s)", e.Name, first.Source)
	for _, run := range e.Status.Runs {
		if run.FiredAt != nil {
			f.tell(e.Spec.Digest, hopFired, run.FiredAt.Time, "run %s requested from the EventListener", run.Name)
		}
	}
	if final(e) {
		f.tell(e.Spec.Digest, hopVerdict, time.Now(), "%s", outcome(e))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries[e.Spec.Digest] = e
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *follower) observeRun(r *pipelinev1.PipelineRun, now time.Time) {
	digest := r.Annotations[v1alpha1.DigestAnnotation]
	f.mu.Lock()
	f.runs[r.Name] = digest
	f.mu.Unlock()
	f.tell(digest, hopRun, now, "PipelineRun %s exists", r.Name)
}

func (f *follower) observePod(p *corev1.Pod, now time.Time) {
	if !executed(p) {
		return
	}
	f.mu.Lock()
	digest, ok := f.runs[p.Labels["tekton.dev/pipelineRun"]]
	f.mu.Unlock()
	if !ok {
		return
	}
	class := "none"
	if p.Spec.RuntimeClassName != nil {
		class = *p.Spec.RuntimeClassName
	}
	f.tell(digest, hopPod, now, "%s executes under RuntimeClass %s (served by gVisor here)", p.Name, class)
}

// executed reports whether a container of the Pod has begun. The Pod's phase
// need not show it: short steps end before it becomes Running.
func executed(p *corev1.Pod) bool {
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Running != nil || c.State.Terminated != nil {
			return true
		}
	}
	return false
}

// follow waits until the digest's entry has its verdict.
func (f *follower) follow(ctx context.Context, digest string) (*v1alpha1.ImageVerification, error) {
	for {
		f.mu.Lock()
		entry, changed := f.entries[digest], f.changed
		f.mu.Unlock()
		if entry != nil && final(entry) {
			return entry, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if entry == nil {
				return nil, fmt.Errorf("%w: no ImageVerification was recorded for %s", errNoVerdict, short(digest))
			}
			return nil, fmt.Errorf("%w: ImageVerification %s is %s: %s: %s", errNoVerdict, entry.Name, entry.Status.Phase, entry.Status.Reason, entry.Status.Message)
		}
	}
}

// final reports whether the entry has ended, one way or the other.
func final(e *v1alpha1.ImageVerification) bool {
	switch e.Status.Phase {
	case v1alpha1.PhasePassed, v1alpha1.PhaseFailed, v1alpha1.PhaseError, v1alpha1.PhaseSkipped:
		return true
	default:
		return false
	}
}

// outcome tells how the entry ended, and what was looked at for that, in a line.
func outcome(e *v1alpha1.ImageVerification) string {
	if len(e.Status.Runs) == 0 {
		return fmt.Sprintf("%s: %s", e.Status.Phase, e.Status.Message)
	}
	var summary verdict.Summary
	if err := json.Unmarshal([]byte(e.Status.Runs[len(e.Status.Runs)-1].Summary), &summary); err != nil {
		return fmt.Sprintf("%s: %s", e.Status.Phase, e.Status.Message) // an error has none
	}
	return fmt.Sprintf("%s: %s; looked at %s", e.Status.Phase, why(e, summary), lookedAt(summary))
}

// why is what the verdict was given for.
func why(e *v1alpha1.ImageVerification, summary verdict.Summary) string {
	switch {
	case e.Status.Message != "":
		return e.Status.Message
	case len(summary.Findings) == 0:
		return fmt.Sprintf("all %d rules hold", summary.Counts.Rules)
	}
	rules := make([]string, 0, len(summary.Findings))
	for _, finding := range summary.Findings {
		rules = append(rules, finding.Rule)
	}
	return strings.Join(rules, ", ")
}

// lookedAt tells which packages were compared with what, and what nobody looked at.
func lookedAt(summary verdict.Summary) string {
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(summary.Packages)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, summary.Packages[kind]))
	}
	if len(kinds) == 0 {
		kinds = []string{"none"}
	}
	text := "packages: " + strings.Join(kinds, ", ")
	if d := summary.Database; d != nil {
		text += "; database of " + d.AsOf.UTC().Format(time.DateOnly)
	}
	if len(summary.Off) > 0 {
		text += "; not checked: " + strings.Join(summary.Off, ", ")
	}
	return text
}
