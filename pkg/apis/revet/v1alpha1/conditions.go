package v1alpha1

import (
	"fmt"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The conditions of an ImageTrigger.
const (
	// ConditionReady sums up the others but Swept, Confirmed, SandboxAvailable and
	// PullAllowed: pushes are fired only while it is True.
	ConditionReady = "Ready"
	// ConditionSinkResolved: the sink has an address that may be used.
	ConditionSinkResolved = "SinkResolved"
	// ConditionTemplateAccepted: what the sink starts uses the run's name. It is
	// Unknown for a sink that cannot be looked into, which does not keep the
	// trigger from being ready.
	ConditionTemplateAccepted = "TemplateAccepted"
	// ConditionAuthorized: the trigger's service account exists and may be used.
	ConditionAuthorized = "Authorized"
	// ConditionFilterValid: the filter compiles.
	ConditionFilterValid = "FilterValid"
	// ConditionSwept: what the selectors admit was compared with the ledger.
	ConditionSwept = "Swept"
	// ConditionConfirmed: the runs that were requested appeared. It is not part of
	// Ready, as a request that is sent again is what cures it.
	ConditionConfirmed = "Confirmed"
	// ConditionSandboxAvailable: the cluster has the RuntimeClass that the trigger
	// names, if it names one. It is not part of Ready: where it is False and the
	// trigger does not allow to run without, TemplateAccepted is False too.
	ConditionSandboxAvailable = "SandboxAvailable"
	// ConditionPullAllowed: the service account of the runs may pull from the
	// namespaces that the trigger selects besides its own. It is not part of Ready,
	// and absent if the trigger selects no other namespace.
	ConditionPullAllowed = "PullAllowed"
)

// Reasons of conditions that are as they should be, and of those not known yet.
// The reasons of trouble come from whoever found it.
const (
	ReasonReady            = "Ready"
	ReasonSinkResolved     = "SinkResolved"
	ReasonTemplateAccepted = "TemplateAccepted"
	ReasonAuthorized       = "Authorized"
	ReasonFilterValid      = "FilterValid"
	ReasonSwept            = "Swept"
	ReasonConfirmed        = "Confirmed"
	ReasonSandboxAvailable = "SandboxAvailable"
	ReasonNoSandbox        = "NoSandboxRequested"
	ReasonNotChecked       = "NotChecked"
)

// maxConditionMessage keeps an entry small; the API server takes 32 KB.
const maxConditionMessage = 1024

// readyDepends are the conditions that Ready sums up, in the order in which
// the first trouble is reported. TemplateAccepted may be Unknown.
var readyDepends = []string{
	ConditionFilterValid, ConditionSinkResolved, ConditionTemplateAccepted, ConditionAuthorized,
}

// MarkSinkResolved records that the sink's address is known.
func (t *ImageTrigger) MarkSinkResolved(uri string, now time.Time) {
	t.Status.SinkURI = uri
	t.mark(ConditionSinkResolved, metav1.ConditionTrue, ReasonSinkResolved, "requests are sent to "+uri, now)
}

// MarkSinkDoubted records that the sink's address is known, and that the sink
// says of itself what may keep it from working. It is used all the same: what it
// says may be old.
func (t *ImageTrigger) MarkSinkDoubted(uri, reason, message string, now time.Time) {
	t.Status.SinkURI = uri
	t.mark(ConditionSinkResolved, metav1.ConditionTrue, reason, message, now)
}

// MarkSinkUnresolved records why there is no address to send to.
func (t *ImageTrigger) MarkSinkUnresolved(reason, message string, now time.Time) {
	t.Status.SinkURI = ""
	t.mark(ConditionSinkResolved, metav1.ConditionFalse, reason, message, now)
}

// MarkTemplateAccepted records that what the sink starts uses the run's name,
// so that an unconfirmed request may be sent again.
func (t *ImageTrigger) MarkTemplateAccepted(now time.Time) {
	t.Status.Confirmable = true
	t.mark(ConditionTemplateAccepted, metav1.ConditionTrue, ReasonTemplateAccepted,
		"the template names its PipelineRun after the run", now)
}

// MarkTemplateDoubted records that the template is accepted, and what is a warning about the
// sink all the same.
func (t *ImageTrigger) MarkTemplateDoubted(reason, message string, now time.Time) {
	t.Status.Confirmable = true
	t.mark(ConditionTemplateAccepted, metav1.ConditionTrue, reason, message, now)
}

// MarkTemplateRefused records what is wrong with the sink's template, and the cure.
func (t *ImageTrigger) MarkTemplateRefused(reason, message string, now time.Time) {
	t.Status.Confirmable = false
	t.mark(ConditionTemplateAccepted, metav1.ConditionFalse, reason, message, now)
}

// MarkTemplateUnknown records that the sink cannot be looked into. Each run is
// requested once only, as nothing would keep a second request from starting a
// second run.
func (t *ImageTrigger) MarkTemplateUnknown(reason, message string, now time.Time) {
	t.Status.Confirmable = false
	t.mark(ConditionTemplateAccepted, metav1.ConditionUnknown, reason, message, now)
}

// MarkAuthorized records that the trigger's service account may be used.
func (t *ImageTrigger) MarkAuthorized(message string, now time.Time) {
	t.mark(ConditionAuthorized, metav1.ConditionTrue, ReasonAuthorized, message, now)
}

// MarkNotAuthorized records what the trigger's service account lacks.
func (t *ImageTrigger) MarkNotAuthorized(reason, message string, now time.Time) {
	t.mark(ConditionAuthorized, metav1.ConditionFalse, reason, message, now)
}

// MarkFilterValid records that the filter compiles, or that there is none.
func (t *ImageTrigger) MarkFilterValid(now time.Time) {
	t.mark(ConditionFilterValid, metav1.ConditionTrue, ReasonFilterValid, "", now)
}

// MarkFilterInvalid records why the filter, or a selector, does not compile.
func (t *ImageTrigger) MarkFilterInvalid(reason, message string, now time.Time) {
	t.mark(ConditionFilterValid, metav1.ConditionFalse, reason, message, now)
}

// MarkSwept records that the latest sweep saw everything that the selectors admit.
func (t *ImageTrigger) MarkSwept(message string, now time.Time) {
	t.mark(ConditionSwept, metav1.ConditionTrue, ReasonSwept, message, now)
}

// MarkNotSwept records what the latest sweep could not see.
func (t *ImageTrigger) MarkNotSwept(reason, message string, now time.Time) {
	t.mark(ConditionSwept, metav1.ConditionFalse, reason, message, now)
}

// ReasonRuntimeClassNotFound says that the cluster has no such RuntimeClass.
const ReasonRuntimeClassNotFound = "RuntimeClassNotFound"

// MarkSandboxAvailable records that the RuntimeClass exists, or that none is named.
func (t *ImageTrigger) MarkSandboxAvailable(now time.Time) {
	reason, message := ReasonSandboxAvailable, fmt.Sprintf("RuntimeClass %q exists", t.Spec.Sandbox.RuntimeClassName)
	if t.Spec.Sandbox.RuntimeClassName == "" {
		reason, message = ReasonNoSandbox, "the trigger names no RuntimeClass: the template decides where runs execute"
	}
	t.mark(ConditionSandboxAvailable, metav1.ConditionTrue, reason, message, now)
}

// MarkSandboxMissing records why runs cannot execute in the RuntimeClass.
func (t *ImageTrigger) MarkSandboxMissing(reason, message string, now time.Time) {
	t.mark(ConditionSandboxAvailable, metav1.ConditionFalse, reason, message, now)
}

// IsSandboxMissing reports whether the cluster was found to have no such RuntimeClass.
func (t *ImageTrigger) IsSandboxMissing() bool {
	c := meta.FindStatusCondition(t.Status.Conditions, ConditionSandboxAvailable)
	return c != nil && c.Status == metav1.ConditionFalse && c.Reason == ReasonRuntimeClassNotFound && c.ObservedGeneration == t.Generation
}

// The reasons of PullAllowed.
const (
	// ReasonPullAllowed: the runs may pull from all namespaces that are selected.
	ReasonPullAllowed = "PullAllowed"
	// ReasonPullNotAllowed: they may not pull from those that the message names.
	ReasonPullNotAllowed = "PullNotAllowed"
	// ReasonPullNotKnown: the API server did not answer for some namespaces, or Revet
	// has not asked about all of them yet.
	ReasonPullNotKnown = "PullNotKnown"
	// ReasonRunAccountNotKnown: Revet does not know the service account of the runs.
	ReasonRunAccountNotKnown = "RunAccountNotKnown"
)

// MarkPull records whether the runs may pull from other namespaces.
func (t *ImageTrigger) MarkPull(status metav1.ConditionStatus, reason, message string, now time.Time) {
	t.mark(ConditionPullAllowed, status, reason, message, now)
}

// UnmarkPull records that the trigger selects no other namespace.
func (t *ImageTrigger) UnmarkPull() {
	meta.RemoveStatusCondition(&t.Status.Conditions, ConditionPullAllowed)
}

// MarkConfirmed records that no request waits for its run for long.
func (t *ImageTrigger) MarkConfirmed(now time.Time) {
	t.mark(ConditionConfirmed, metav1.ConditionTrue, ReasonConfirmed, "", now)
}

// MarkUnconfirmed records why requests are not followed by their runs.
func (t *ImageTrigger) MarkUnconfirmed(reason, message string, now time.Time) {
	t.mark(ConditionConfirmed, metav1.ConditionFalse, reason, message, now)
}

// IsReady reports whether the status speaks of the current spec and pushes may be fired.
func (t *ImageTrigger) IsReady() bool {
	return t.Status.ObservedGeneration == t.Generation &&
		meta.IsStatusConditionTrue(t.Status.Conditions, ConditionReady)
}

func (t *ImageTrigger) mark(kind string, status metav1.ConditionStatus, reason, message string, now time.Time) {
	setCondition(&t.Status.Conditions, kind, status, reason, message, t.Generation, now)
	t.sumUp(now)
}

// sumUp derives Ready. What was not checked yet is Unknown, never ready.
func (t *ImageTrigger) sumUp(now time.Time) {
	status, reason, message := metav1.ConditionTrue, ReasonReady, ""
	for _, kind := range readyDepends {
		c := meta.FindStatusCondition(t.Status.Conditions, kind)
		switch {
		case c == nil || c.ObservedGeneration != t.Generation:
			if status == metav1.ConditionTrue {
				status, reason, message = metav1.ConditionUnknown, ReasonNotChecked, kind+" was not checked yet"
			}
		case c.Status == metav1.ConditionTrue:
		case c.Status == metav1.ConditionUnknown && kind == ConditionTemplateAccepted:
		default:
			setCondition(&t.Status.Conditions, ConditionReady, c.Status, c.Reason, c.Message, t.Generation, now)
			return
		}
	}
	setCondition(&t.Status.Conditions, ConditionReady, status, reason, message, t.Generation, now)
}

func setCondition(all *[]metav1.Condition, kind string, status metav1.ConditionStatus, reason, message string, generation int64, now time.Time) {
	meta.SetStatusCondition(all, metav1.Condition{
		Type:               kind,
		Status:             status,
		Reason:             reason,
		Message:            cut(message, maxConditionMessage),
		ObservedGeneration: generation,
		LastTransitionTime: metav1.NewTime(now),
	})
}

// cut returns at most the first n bytes of s, without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
