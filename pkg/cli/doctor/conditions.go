package doctor

import (
	"cmp"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// required are the conditions that every ImageTrigger has, and what each means when it
// is True without a message. Any other condition is a finding unless it is True.
var required = []struct{ kind, fine string }{
	{v1alpha1.ConditionFilterValid, "the filter and the selectors compile"},
	{v1alpha1.ConditionSinkResolved, "the sink has an address"},
	{v1alpha1.ConditionTemplateAccepted, "Revet finds what the sink starts"},
	{v1alpha1.ConditionAuthorized, "the service accounts have their rights"},
}

// elsewhere are the conditions that a check of its own reports.
var elsewhere = map[string]bool{
	v1alpha1.ConditionFilterValid: true, v1alpha1.ConditionSinkResolved: true, v1alpha1.ConditionTemplateAccepted: true,
	v1alpha1.ConditionAuthorized: true, v1alpha1.ConditionReady: true, v1alpha1.ConditionSwept: true,
}

// conditions judges the ImageTrigger as the controller does.
func (d *doctor) conditions(ctx context.Context, t *v1alpha1.ImageTrigger) []Finding {
	var findings []Finding
	judged, warnings, err := d.inspect(ctx, t)
	if err != nil {
		cure := serverCure
		if apierrors.IsForbidden(err) {
			cure = accessCure
		}
		findings = append(findings, unknown("inspection", cure, "cannot repeat the controller's checks: %v; the conditions below are what the controller found", err))
		judged = t
	}
	for _, c := range required {
		findings = append(findings, conditionFinding(judged, c.kind, c.fine))
	}
	if warnings != "" {
		findings = append(findings, warn("sink", "", "%s", warnings))
	}
	findings = append(findings, d.account(ctx, t)...)
	findings = append(findings, otherConditions(t, judged)...)
	return append(findings, noticed(t, judged))
}

// account reports a service account that the user may not read. The controller takes such
// an account to exist, since it asks for its rights anyway.
func (d *doctor) account(ctx context.Context, t *v1alpha1.ImageTrigger) []Finding {
	a := source.AccountOf(t)
	var object metav1.PartialObjectMetadata
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceAccount"))
	err := d.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: a.Name}, &object)
	if client.IgnoreNotFound(err) == nil {
		return nil // the condition Authorized says whether it exists
	}
	return []Finding{notRead("ServiceAccount", fmt.Sprintf("service account %q in namespace %q", a.Name, a.Namespace), err)}
}

func conditionFinding(t *v1alpha1.ImageTrigger, kind, fine string) Finding {
	c := meta.FindStatusCondition(t.Status.Conditions, kind)
	switch {
	case c == nil || c.ObservedGeneration != t.Generation:
		return unknown(kind, "check that a controller leads", "the controller has not checked this spec yet")
	case c.Status == metav1.ConditionTrue:
		return ok(kind, "%s", cmp.Or(c.Message, fine))
	default:
		return notTrue(t, c)
	}
}

// byDesign are reasons of conditions that stay Unknown without anything being wrong.
var byDesign = map[string]bool{
	string(tekton.NotCheckable): true, // a sink that is no EventListener
	string(tekton.SinkNotReady): true, // the sink has an address, and a request shows the rest
}

// notTrue is the finding for a condition that is False or Unknown. Its message names the
// cure, unless the table of cures does.
func notTrue(t *v1alpha1.ImageTrigger, c *metav1.Condition) Finding {
	f := Finding{Level: LevelUnknown, Check: c.Type, Message: c.Reason + ": " + c.Message, Cure: command.Cure(c.Reason)}
	switch {
	case c.Status == metav1.ConditionFalse && c.Type == v1alpha1.ConditionSandboxAvailable && t.Spec.Sandbox.Fallback == v1alpha1.FallbackDefault:
		f.Level = LevelWarning // the spec allows runs outside the sandbox
	case c.Status == metav1.ConditionFalse:
		f.Level = LevelProblem
	case byDesign[c.Reason]:
		f.Level = LevelWarning
	}
	return f
}

// otherConditions reports the conditions that are not True and have no check of their own.
// What only the controller can see, such as runs that do not appear, an inspection takes
// to be fine: the controller's word counts against it.
func otherConditions(t, judged *v1alpha1.ImageTrigger) []Finding {
	var findings []Finding
	reported := map[string]bool{}
	for _, of := range []*v1alpha1.ImageTrigger{judged, t} {
		for i := range of.Status.Conditions {
			c := &of.Status.Conditions[i]
			if elsewhere[c.Type] || reported[c.Type] || c.Status == metav1.ConditionTrue {
				continue
			}
			if is := meta.FindStatusCondition(judged.Status.Conditions, c.Type); of == t && is != nil && !controllersWord(c) {
				continue // the inspection is newer
			}
			reported[c.Type] = true
			findings = append(findings, notTrue(t, c))
		}
	}
	return findings
}

// controllersWord reports whether an inspection cannot know better.
func controllersWord(c *metav1.Condition) bool {
	return c.Type == v1alpha1.ConditionConfirmed || c.Reason == string(lifecycle.SandboxUnavailable)
}

// noticed compares how things are with what the controller acts on.
func noticed(t, judged *v1alpha1.ImageTrigger) Finding {
	const check = "Ready"
	switch {
	case t.IsReady() && judged.IsReady():
		return ok(check, "its pushes are verified")
	case t.IsReady():
		return warn(check, "fix the problems above", "the controller has not noticed the problems yet; it checks every two minutes")
	case judged.IsReady():
		return warn(check, "wait; if it stays so, check that a controller leads", "the controller has not noticed yet that everything is fine; it checks every 30 seconds")
	default:
		return problem(check, "fix the problems above; until then pushes are recorded and wait", "its pushes are not verified")
	}
}

// inspect calls the controller's own check with the rights of whoever runs the command.
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
	checker := tekton.NewChecker(d.Writer, sinks.Allows, d.system)
	return imagetrigger.Inspect(ctx, imagetrigger.Options{
		Cached: d.Writer, Sinks: checker, Streams: openshift.NewReader(d.Writer, source.NewRights(d.Writer, 0, time.Now)), Now: func() time.Time { return d.now },
	}, t)
}
