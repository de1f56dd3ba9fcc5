package imagetrigger

import (
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/selector"
	"github.com/revet-dev/revet/pkg/tekton"
)

// The reasons of False conditions, besides those of packages tekton and sweep.
const (
	ReasonSelectorInvalid        = "SelectorInvalid"
	ReasonTooManyTriggers        = "TooManyTriggers"
	ReasonFilterInvalid          = "FilterInvalid"
	ReasonRuntimeClassNotFound   = v1alpha1.ReasonRuntimeClassNotFound
	ReasonServiceAccountNotFound = "ServiceAccountNotFound"
	ReasonRunsNotAllowed         = "RunsNotAllowed"
	ReasonStreamsNotVisible      = "StreamsNotVisible"
	ReasonNoNamespaceSelected    = "NoNamespaceSelected"
	ReasonSandboxInvalid         = "SandboxInvalid"
)

// decide returns the trigger with the status that follows from what was observed. It is
// pure.
func decide(trigger *v1alpha1.ImageTrigger, o observed, now time.Time) *v1alpha1.ImageTrigger {
	next := trigger.DeepCopy()
	next.Status.ObservedGeneration = trigger.Generation
	decideFilter(next, o, now)
	decideSink(next, o, now)
	decideSandbox(next, o, now)
	decideTemplate(next, o, now)
	decideRights(next, o.rights, now)
	decidePull(next, o.pull, now)
	decideSweep(next, o, now)
	if o.trouble != "" && o.trouble != string(lifecycle.SandboxUnavailable) {
		next.MarkUnconfirmed(o.trouble, o.troubleMessage, now)
	} else {
		next.MarkConfirmed(now)
	}
	return next
}

// tooMany returns the trigger with the status of one that does not count in its namespace.
// Nothing else is looked at: however many there are, they cost nobody's requests. What was known
// of it before stays.
func tooMany(trigger *v1alpha1.ImageTrigger, now time.Time) *v1alpha1.ImageTrigger {
	next := trigger.DeepCopy()
	next.Status.ObservedGeneration = trigger.Generation
	next.MarkFilterInvalid(ReasonTooManyTriggers, (&selector.Excess{Namespace: trigger.Namespace}).Error(), now)
	return next
}

func decideSink(next *v1alpha1.ImageTrigger, o observed, now time.Time) {
	if o.sinkErr != nil {
		next.MarkSinkUnresolved(string(o.sinkErr.Reason), o.sinkErr.Message, now)
		return
	}
	for _, f := range o.report.Findings {
		if f.Reason == tekton.ListenerNotReady {
			next.MarkSinkDoubted(o.uri, string(tekton.SinkNotReady), f.Message, now)
			return
		}
	}
	next.MarkSinkResolved(o.uri, now)
}

func decideFilter(next *v1alpha1.ImageTrigger, o observed, now time.Time) {
	var field *selector.FieldError
	switch {
	case errors.As(o.selectorErr, &field):
		next.MarkFilterInvalid(ReasonSelectorInvalid, field.Error(), now)
	case o.selectorErr != nil:
		next.MarkFilterInvalid(ReasonSelectorInvalid, "spec.images: "+o.selectorErr.Error(), now)
	case o.filterErr != nil:
		next.MarkFilterInvalid(ReasonFilterInvalid, "spec.filter: "+o.filterErr.Error(), now)
	case o.sandboxErr != nil:
		next.MarkFilterInvalid(ReasonSandboxInvalid, o.sandboxErr.Error(), now)
	default:
		next.MarkFilterValid(now)
	}
}

// decideSandbox says whether the class exists, and what happens without it.
func decideSandbox(next *v1alpha1.ImageTrigger, o observed, now time.Time) {
	next.Status.RuntimeClassSince = nil
	if !o.classSince.IsZero() {
		since := metav1.NewTime(o.classSince)
		next.Status.RuntimeClassSince = &since
	}
	switch {
	case o.classMissing:
	case o.trouble == string(lifecycle.SandboxUnavailable):
		next.MarkSandboxMissing(o.trouble, o.troubleMessage, now)
		return
	default:
		next.MarkSandboxAvailable(now)
		return
	}
	message := fmt.Sprintf("the cluster has no RuntimeClass %q", next.Spec.Sandbox.RuntimeClassName)
	if next.Spec.Sandbox.Fallback == v1alpha1.FallbackDefault {
		message += "; runs execute in the default runtime, because spec.sandbox.fallback is Default, and their entries say so. Create it, or correct spec.sandbox.runtimeClassName (see: kubectl get runtimeclasses)"
	} else {
		message += "; nothing runs until there is one, because spec.sandbox.fallback is Refuse"
	}
	next.MarkSandboxMissing(ReasonRuntimeClassNotFound, message, now)
}

func decideTemplate(next *v1alpha1.ImageTrigger, o observed, now time.Time) {
	refusal, refused := o.report.Refusal()
	switch {
	case refused:
		next.MarkTemplateRefused(string(refusal.Reason), refusal.Message, now)
	case o.classMissing && next.Spec.Sandbox.Fallback != v1alpha1.FallbackDefault:
		next.MarkTemplateRefused(ReasonRuntimeClassNotFound, fmt.Sprintf(
			"the cluster has no RuntimeClass %q, so the run's Pods could not start; create it, or correct spec.sandbox.runtimeClassName (see: kubectl get runtimeclasses)",
			next.Spec.Sandbox.RuntimeClassName), now)
	case !o.report.Checked:
		reason, message := string(tekton.NotCheckable), "Revet did not inspect the sink"
		if len(o.report.Findings) > 0 {
			message = o.report.Findings[0].Message
		}
		next.MarkTemplateUnknown(reason, message, now)
	default:
		next.MarkTemplateAccepted(now)
		// That the listener is not ready is what SinkResolved tells.
		for _, f := range o.report.Findings {
			if f.Reason != tekton.ListenerNotReady {
				next.MarkTemplateDoubted(string(f.Reason), f.Message, now)
				break
			}
		}
	}
	// Runs that were requested before a class disappeared may still be requested
	// again: that depends on the template alone.
	next.Status.Confirmable = o.report.Confirmable()
}

func decideRights(next *v1alpha1.ImageTrigger, r rights, now time.Time) {
	switch {
	case r.accountMissing:
		next.MarkNotAuthorized(ReasonServiceAccountNotFound, fmt.Sprintf(
			"there is no service account %q in namespace %q; kubectl create serviceaccount %s -n %s, or correct spec.serviceAccountName",
			r.account.Name, r.account.Namespace, r.account.Name, r.account.Namespace), now)
	case len(r.runners) > 0:
		a := r.runners[0]
		next.MarkNotAuthorized(ReasonRunsNotAllowed, fmt.Sprintf(
			"the EventListener's service account %q may not create PipelineRuns in namespace %q; kubectl create rolebinding %s-runs -n %s --clusterrole=tekton-triggers-eventlistener-roles --serviceaccount=%s:%s",
			a.Name, next.Namespace, a.Name, next.Namespace, a.Namespace, a.Name), now)
	case !r.streams:
		next.MarkAuthorized("", now)
	case r.everywhere:
		next.MarkAuthorized("the ImageStreams of all namespaces are visible", now)
	case r.selected == 0:
		next.MarkNotAuthorized(ReasonNoNamespaceSelected,
			"spec.images selects no namespace that exists; correct a namespaceSelector, or label the namespaces", now)
	case r.visible == 0 && r.notAsked > 0:
		next.MarkNotAuthorized(ReasonStreamsNotVisible, fmt.Sprintf(
			"it is not known whether service account %q may get ImageStreams in the %d selected namespaces: spec.images names too many streams to ask about each. Let it get all of a namespace: %s",
			r.account.Name, r.selected, r.account.GrantImageStreams("NAMESPACE")), now)
	case r.notAsked > 0:
		next.MarkAuthorized(fmt.Sprintf(
			"the ImageStreams of %d of %d selected namespaces are visible to service account %q; of %d it is not known, as spec.images names too many streams to ask about each",
			r.visible, r.selected, r.account.Name, r.notAsked), now)
	case r.visible == 0:
		next.MarkNotAuthorized(ReasonStreamsNotVisible, fmt.Sprintf(
			"service account %q may not get ImageStreams in %s, so Revet sees no push there; %s",
			r.account.Name, some(r.hidden), r.account.GrantImageStreams(r.hidden[0])), now)
	case len(r.hidden) > 0:
		next.MarkAuthorized(fmt.Sprintf(
			"the ImageStreams of %d of %d selected namespaces are visible to service account %q; not those of %s. To show one: %s",
			r.visible, r.selected, r.account.Name, some(r.hidden), r.account.GrantImageStreams(r.hidden[0])), now)
	default:
		next.MarkAuthorized(fmt.Sprintf("the ImageStreams of %d selected namespaces are visible", r.visible), now)
	}
}

// some names up to three namespaces.
func some(namespaces []string) string {
	const most = 3
	quoted := make([]string, 0, most)
	for _, n := range namespaces[:min(len(namespaces), most)] {
		quoted = append(quoted, fmt.Sprintf("%q", n))
	}
	list := strings.Join(quoted, ", ")
	if len(namespaces) == 1 {
		return "namespace " + list
	}
	if more := len(namespaces) - most; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return "namespaces " + list
}

func decideSweep(next *v1alpha1.ImageTrigger, o observed, now time.Time) {
	if o.sweep == nil {
		return // keep what an earlier process wrote
	}
	next.Status.Baselines = o.sweep.Baselines
	next.Status.LastSweep = &v1alpha1.SweepStatus{
		StartedAt:    metav1.NewTime(o.sweep.StartedAt.Truncate(time.Second)),
		FinishedAt:   metav1.NewTime(o.sweep.FinishedAt.Truncate(time.Second)),
		Repositories: o.sweep.Repositories,
		Recovered:    o.sweep.Recovered,
		Pushes:       o.sweep.Pushes,
		Gap:          o.sweep.Gap,
		Artefacts:    o.sweep.Artefacts,
		Coverage:     o.sweep.Coverage(),
		Unknown:      o.sweep.Unknown,
	}
	if o.sweep.Reason != "" {
		next.MarkNotSwept(o.sweep.Reason, o.sweep.Message, now)
		return
	}
	next.MarkSwept(fmt.Sprintf("%d pushes of %d repositories compared with the ledger", o.sweep.Pushes, o.sweep.Repositories), now)
}
