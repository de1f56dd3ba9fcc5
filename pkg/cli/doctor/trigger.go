package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/controller/imagetrigger"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
	"github.com/revet-dev/revet/pkg/tekton"
)

const (
	// stuckAfter is how long an entry may wait, or its run be looked for, before
	// that needs an explanation.
	stuckAfter = 10 * time.Minute
	// sweepLate is several of the controller's intervals between two sweeps.
	sweepLate = 30 * time.Minute
	// firstSweep is how long a new trigger may be without one.
	firstSweep = 2 * time.Minute
)

// trigger examines one trigger with its entries, newest push first.
func (d *doctor) trigger(ctx context.Context, t *v1alpha1.ImageTrigger, entries []v1alpha1.ImageVerification) []Diagnosis {
	findings := d.conditions(ctx, t)
	findings = append(findings, d.sandbox(ctx, t, entries)...)
	findings = append(findings, d.sources(ctx, t, entries)...)
	findings = append(findings, d.swept(t), d.stuck(entries))
	return append(findings, d.errors(t, entries)...)
}

// conditions judges the trigger as the controller does.
func (d *doctor) conditions(ctx context.Context, t *v1alpha1.ImageTrigger) []Diagnosis {
	var findings []Diagnosis
	judged, warnings, err := d.inspect(ctx, t)
	switch {
	case apierrors.IsForbidden(err):
		findings = append(findings, warn("inspection", readMoreCure, "you may not read all that it depends on (%v); what follows is what the controller found", err))
		judged = t
	case err != nil:
		findings = append(findings, problem("inspection", "see whether the API server answers", "%v; what follows is what the controller found", err))
		judged = t
	}
	for _, c := range []struct{ kind, fine string }{
		{v1alpha1.ConditionFilterValid, "the filter and the selectors compile"},
		{v1alpha1.ConditionSinkResolved, "the sink has an address"},
		{v1alpha1.ConditionTemplateAccepted, "what the sink starts is found again"},
		{v1alpha1.ConditionAuthorized, "the accounts may do what they have to"},
	} {
		findings = append(findings, conditionFinding(judged, c.kind, c.fine))
	}
	if warnings != "" {
		findings = append(findings, warn("sink", "", "%s", warnings))
	}
	return append(findings, d.noticed(t, judged))
}

func conditionFinding(t *v1alpha1.ImageTrigger, kind, fine string) Diagnosis {
	c := meta.FindStatusCondition(t.Status.Conditions, kind)
	switch {
	case c == nil || c.ObservedGeneration != t.Generation:
		return warn(kind, "see whether a controller leads", "the controller has not looked at it yet")
	case c.Status == metav1.ConditionTrue:
		return ok(kind, "%s", cmp.Or(c.Message, fine))
	case c.Status == metav1.ConditionFalse:
		return problem(kind, "", "%s: %s", c.Reason, c.Message)
	default:
		return warn(kind, "", "%s: %s", c.Reason, c.Message)
	}
}

// noticed compares what is so with what the controller acts on.
func (d *doctor) noticed(t, judged *v1alpha1.ImageTrigger) Diagnosis {
	const check = "Ready"
	switch {
	case t.IsReady() && judged.IsReady():
		return ok(check, "its pushes are verified")
	case t.IsReady():
		return warn(check, "mend what is named above", "the controller has not noticed yet what is wrong; it looks every two minutes")
	case judged.IsReady():
		return warn(check, "wait; if it stays so, see whether a controller leads", "the controller has not noticed yet that all is well; it looks every 30 seconds")
	default:
		return problem(check, "mend what is named above: pushes are recorded, and wait", "its pushes are not verified")
	}
}

// inspect calls the controller's own check, with the rights of who asks.
func (d *doctor) inspect(ctx context.Context, t *v1alpha1.ImageTrigger) (*v1alpha1.ImageTrigger, string, error) {
	var sinks config.Sinks
	if t.Spec.Sink.URI != "" {
		m, err := d.configMap(ctx, config.SinksConfigMap)
		if client.IgnoreNotFound(err) != nil {
			return nil, "", err
		}
		if m != nil {
			if sinks, err = config.ParseSinks(m.Data[config.SinksKey]); err != nil {
				return nil, "", fmt.Errorf("ConfigMap %q: %w", config.SinksConfigMap, err)
			}
		}
	}
	checker := tekton.NewChecker(d.Writer, sinks.Allows)
	return imagetrigger.Inspect(ctx, imagetrigger.Options{
		Sinks: checker, Streams: openshift.NewReader(d.Writer, source.NewRights(d.Writer, 0, time.Now)), Now: func() time.Time { return d.now },
	}, t)
}

// sandbox looks whether the requested class was really used.
func (d *doctor) sandbox(ctx context.Context, t *v1alpha1.ImageTrigger, entries []v1alpha1.ImageVerification) []Diagnosis {
	const check = "sandbox"
	class := t.Spec.Sandbox.RuntimeClassName
	if class == "" {
		return []Diagnosis{warn(check, "set spec.sandbox.runtimeClassName, for example to kata", "no RuntimeClass is requested: runs are not sandboxed")}
	}
	var findings []Diagnosis
	served := class
	var rc nodev1.RuntimeClass
	if err := d.Get(ctx, client.ObjectKey{Name: class}, &rc); err == nil {
		served = command.ClassName(class, map[string]string{class: rc.Handler})
		findings = append(findings, d.nodes(ctx, &rc)...)
	}
	for i := range entries {
		if runs := entries[i].Status.Runs; len(runs) > 0 && lifecycle.Reason(runs[len(runs)-1].Reason) == lifecycle.SandboxUnavailable {
			run := runs[len(runs)-1]
			return append(findings, problem(check, command.Cure(lifecycle.SandboxUnavailable), "run %s: %s", run.Name, run.Message))
		}
	}
	for i := range entries {
		for j := len(entries[i].Status.Runs) - 1; j >= 0; j-- {
			run := &entries[i].Status.Runs[j]
			if run.Sandbox.Requested != class || len(run.Sandbox.Observed) == 0 {
				continue
			}
			if slices.ContainsFunc(run.Sandbox.Observed, func(c string) bool { return c != class }) {
				return append(findings, problem(check, command.Cure(lifecycle.NotSandboxed), "run %s asked for %s and had %s", run.Name, served, command.ClassNames(run.Sandbox.Observed)))
			}
			return append(findings, ok(check, "run %s had %s on node %s", run.Name, served, cmp.Or(run.Sandbox.Node, "unknown")))
		}
	}
	return append(findings, warn(check, "push an image, or ask for a run with kubectl revet replay", "no run has shown yet that Pods get %s", served))
}

// nodes looks whether a class has a node to run on, where it says which.
func (d *doctor) nodes(ctx context.Context, rc *nodev1.RuntimeClass) []Diagnosis {
	if rc.Scheduling == nil || len(rc.Scheduling.NodeSelector) == 0 {
		return nil
	}
	var nodes corev1.NodeList
	if err := d.List(ctx, &nodes, client.MatchingLabels(rc.Scheduling.NodeSelector)); err != nil || len(nodes.Items) > 0 {
		return nil
	}
	return []Diagnosis{problem("nodes", "label a node that has the handler, or correct the RuntimeClass",
		"no node has the labels that RuntimeClass %q wants: %s", rc.Name, labels.FormatLabels(rc.Scheduling.NodeSelector))}
}

// swept looks at the latest sweep.
func (d *doctor) swept(t *v1alpha1.ImageTrigger) Diagnosis {
	const check = "sweep"
	logs := fmt.Sprintf("kubectl logs -n %s deployment/controller", d.system)
	last := t.Status.LastSweep
	if last == nil {
		if d.now.Sub(t.CreationTimestamp.Time) < firstSweep {
			return warn(check, "wait", "not swept yet")
		}
		return problem(check, logs, "never swept: what no event brought is not found")
	}
	age := command.Ago(last.FinishedAt.Time, d.now)
	result := fmt.Sprintf("%s ago: %d repositories, %d pushes recovered, gap %d", age, last.Repositories, last.Recovered, last.Gap)
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionSwept)
	switch {
	case d.now.Sub(last.FinishedAt.Time) > sweepLate:
		return problem(check, logs, "the latest was %s", result)
	case c != nil && c.Status == metav1.ConditionFalse:
		return problem(check, "", "%s: %s (%s)", c.Reason, c.Message, result)
	case last.Gap > 0:
		return problem(check, "kubectl revet coverage tells which", "%s", result)
	default:
		return ok(check, "%s", result)
	}
}

// stuck looks for entries that wait for too long.
func (d *doctor) stuck(entries []v1alpha1.ImageVerification) Diagnosis {
	const check = "waiting"
	var oldest *v1alpha1.ImageVerification
	var since time.Time
	waiting, stuck := 0, 0
	for i := range entries {
		e := &entries[i]
		at, waits := waitsSince(e)
		if !waits {
			continue
		}
		waiting++
		if d.now.Sub(at) < stuckAfter {
			continue
		}
		stuck++
		if oldest == nil || at.Before(since) {
			oldest, since = e, at
		}
	}
	if stuck == 0 {
		return ok(check, "%d of %d entries wait or are requested, none for %s", waiting, len(entries), command.Ago(d.now.Add(-stuckAfter), d.now))
	}
	reason := cmp.Or(oldest.Status.Reason, "no reason told")
	return problem(check, cmp.Or(command.Cure(lifecycle.Reason(oldest.Status.Reason)), "kubectl revet explain "+oldest.Name+" -n "+oldest.Namespace),
		"%d entries wait for more than %s; the oldest, %s, for %s: %s: %s",
		stuck, command.Ago(d.now.Add(-stuckAfter), d.now), oldest.Name, command.Ago(since, d.now), reason, oldest.Status.Message)
}

// waitsSince returns since when an entry waits for its run.
func waitsSince(e *v1alpha1.ImageVerification) (time.Time, bool) {
	switch e.Phase() {
	case v1alpha1.PhasePending:
		if push := lifecycle.Undecided(e); push != nil {
			return push.ObservedAt.Time, true
		}
		return e.CreationTimestamp.Time, true
	case v1alpha1.PhaseRequested:
		if run := e.Status.CurrentRun(); run != nil {
			return run.RequestedAt.Time, true
		}
		return e.CreationTimestamp.Time, true
	default:
		return time.Time{}, false
	}
}

// errors tells of entries without a verdict.
func (d *doctor) errors(t *v1alpha1.ImageTrigger, entries []v1alpha1.ImageVerification) []Diagnosis {
	var newest *v1alpha1.ImageVerification
	n := 0
	for i := range entries {
		if entries[i].Phase() != v1alpha1.PhaseError {
			continue
		}
		n++
		if newest == nil {
			newest = &entries[i]
		}
	}
	if n == 0 {
		return nil
	}
	return []Diagnosis{warn("errors", fmt.Sprintf("when the cause is mended: kubectl revet replay --error --trigger %s -n %s", t.Name, t.Namespace),
		"%d entries ended without a verdict; the newest, %s: %s: %s", n, newest.Name, newest.Status.Reason, newest.Status.Message)}
}
