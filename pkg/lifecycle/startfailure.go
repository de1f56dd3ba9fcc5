package lifecycle

import (
	"fmt"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// FailedToStart reports whether an entry ended because its run could not start in the
// requested RuntimeClass.
func FailedToStart(s *v1alpha1.ImageVerificationStatus) bool {
	last := s.LatestRun()
	return last != nil && s.Phase == v1alpha1.PhaseError && Reason(last.Reason) == SandboxUnavailable
}

// restartable returns the cause of a new run for an entry whose run could not start: the
// RuntimeClass was created after that run had failed. The entry is in Error, or waits for
// that new run.
func restartable(s *v1alpha1.ImageVerificationStatus, t Trigger) (v1alpha1.Cause, bool) {
	last := s.LatestRun()
	if t.Gone || last == nil || !ended(last, SandboxUnavailable) || s.Phase == v1alpha1.PhaseSkipped {
		return v1alpha1.Cause{}, false
	}
	// Both times are whole seconds.
	if last.FinishedAt == nil || t.ClassSince.Before(last.FinishedAt.Time) {
		return v1alpha1.Cause{}, false
	}
	return v1alpha1.Cause{Type: v1alpha1.CauseRetry, Key: last.Name}, true
}

// watchStart decides for a run that goes on: whether its Pods have started in the
// requested RuntimeClass, which may be unable to start them.
func watchStart(run *v1alpha1.RunStatus, f Facts, now time.Time) Decision {
	wait := Decision{Action: Wait, Reason: Running, Run: run.Number}
	switch {
	case Reason(run.Reason) == SandboxUnavailable:
		return Decision{Action: Stop, Reason: SandboxUnavailable, Message: run.Message, After: stopRetry, Run: run.Number}
	case run.Sandbox.Requested == "" || f.Run.Pods == PodsStarted || run.StartedAt == nil || f.Trigger.StartTimeout <= 0:
		return wait
	}
	if wait.After = run.StartedAt.Add(f.Trigger.StartTimeout).Sub(now); wait.After > 0 {
		return wait
	}
	if f.Run.Pods == PodsNotStarted {
		return Decision{Action: FailStart, Reason: SandboxUnavailable, Message: f.Run.StartFailure, Run: run.Number}
	}
	return Decision{Action: Inspect, Run: run.Number}
}

// StartFailure returns why no Pod of a run has started in the class, or "" if one has.
func StartFailure(class string, limit time.Duration, pods []Pod) string {
	why := "it has no Pod yet; see the conditions of its TaskRuns"
	for _, p := range pods {
		if p.Started {
			return ""
		}
		why = note("Pod "+p.Name, p.Waiting)
	}
	return image.Cut(fmt.Sprintf("no Pod of the run started in RuntimeClass %q within %s: %s. %s", class, limit, why, sandboxCure(class, why)), maxMessage)
}

// sandboxCures maps the words by which Kubernetes and containerd say why a Pod does not
// start in a class to the cure.
var sandboxCures = []struct{ words, cure string }{
	{"is configured", "Configure the RuntimeClass's handler in the node's container runtime, or let the RuntimeClass's scheduling select the nodes that have it"},
	{"not found", "Create the RuntimeClass"},
	{"binary not installed", "Install the runtime's shim on the node, or let the RuntimeClass's scheduling select the nodes that have it"},
	{"OCI runtime create failed", "Repair the runtime on the node; its log says more"},
	{"nodes are available", "Give a node the labels that the RuntimeClass and spec.sandbox.nodeSelector select, or room for the Pod"},
}

func sandboxCure(class, why string) string {
	for _, c := range sandboxCures {
		if strings.Contains(why, c.words) {
			return c.cure
		}
	}
	return fmt.Sprintf("See kubectl describe pod, and kubectl describe runtimeclass %s for the nodes that it selects", class)
}

// MissingClass reports whether a TaskRun says that its Pod was refused because the
// RuntimeClass does not exist.
func MissingClass(class, said string) bool {
	return class != "" && strings.Contains(said, fmt.Sprintf("RuntimeClass %q not found", class))
}
