package imagegate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/controller"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// pendingFor is how long digests may wait to be written before UpToDate is False: changes
// are gathered for a second, and one write takes about as long.
const pendingFor = 10 * time.Second

// conflictRetry gives the watch time to deliver the other writer's version.
const conflictRetry = 200 * time.Millisecond

// report writes the status, if it differs.
func (p *pass) report(ctx context.Context) error {
	g := p.gate.DeepCopy()
	p.fill(&g.Status)
	if equality.Semantic.DeepEqual(p.gate.Status, g.Status) {
		return nil
	}
	p.tellOf(p.gate.Status, g.Status)
	err := p.Live.Status().Update(ctx, g, fieldOwner)
	switch {
	case apierrors.IsConflict(err):
		return controller.NewRequeueAfter(conflictRetry)
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("writing the status of gate %q: %w", p.gate.Name, err)
	}
	return nil
}

// fill says what the pass found.
func (p *pass) fill(s *v1alpha1.ImageGateStatus) {
	if p.inForce && p.failed == nil {
		s.Mode, s.Shards = p.mode, int32(p.shards) //nolint:gosec // 1 or 16
		if p.invalid == nil {
			s.ObservedGeneration = p.gate.Generation
		}
	}
	if p.Running != nil {
		if p.ran.Running.ObservedAt != nil {
			s.Running = p.ran.Running
		}
		s.BreakGlass = p.ran.BreakGlass
		if listed := p.ran.TemplatesListed; listed != "" && p.ownersWritten() {
			s.TemplatesListed = listed
		}
		if p.owners != nil {
			s.UntrustedTemplates = shownTemplates(p.owners)
		}
	}
	var examples []string
	var oldest time.Time
	s.Digests, s.Omitted, s.Pending, s.PendingSince = 0, 0, 0, nil
	if d := p.state.divisions[p.shards]; d != nil && p.state.desired != nil {
		for _, pg := range d.pages {
			due := pg.Due(p.state.desired, p.now, p.find)
			s.Digests += int64(len(pg.Digests))
			s.Omitted += int64(pg.OmittedCount())
			s.Pending += int64(due.Additions)
			if due.Additions > 0 && (oldest.IsZero() || due.AdditionsSince.Before(oldest)) {
				oldest = due.AdditionsSince
			}
			for hex := range pg.Omitted() {
				if len(examples) < 3 {
					examples = append(examples, "sha256:"+hex)
				}
			}
		}
	}
	if s.Pending > 0 {
		s.PendingSince = &metav1.Time{Time: oldest.Truncate(time.Second)}
	}
	set := func(kind string, status metav1.ConditionStatus, reason, message string) {
		meta.SetStatusCondition(&s.Conditions, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: p.gate.Generation,
			LastTransitionTime: metav1.NewTime(p.now),
		})
	}
	p.markReady(set)
	p.markTrust(set)
	p.markRunning(set)
	p.markContent(s, oldest, examples, set)
}

type setter func(kind string, status metav1.ConditionStatus, reason, message string)

func (p *pass) markReady(set setter) {
	no := func(reason, message string) { set(v1alpha1.ConditionReady, metav1.ConditionFalse, reason, message) }
	var taken *nameTakenError
	switch {
	case p.invalid != nil:
		no(v1alpha1.ReasonInvalidSpec, p.invalid.Error()+". "+p.meanwhile()+"; correct the spec")
	case p.failed != nil && asTaken(p.failed, &taken):
		no(v1alpha1.ReasonNameTaken, taken.Error())
	case errors.Is(p.failed, errNowhere):
		no(v1alpha1.ReasonWriteFailed, cut(p.failed.Error()))
	case p.failed != nil:
		no(v1alpha1.ReasonWriteFailed, cut("the API server refused a write, which is tried again: "+p.failed.Error()))
	case p.waiting != "":
		no(v1alpha1.ReasonUnverifiedRunning, p.waiting)
	case p.dividing != "":
		set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonDividing, p.dividing)
	case p.preparing != "":
		no(v1alpha1.ReasonPreparing, p.preparing)
	default:
		set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonEnforced, p.enforced())
	}
}

// enforced says what is in force. That a policy is written does not mean that API servers judge by
// it: each learns of it by itself, and only those of a new division are tried.
func (p *pass) enforced() string {
	if left := p.state.wrote.Add(settle).Sub(p.now); left > 0 {
		p.soon(left)
		return fmt.Sprintf("mode %s is written, and API servers take it up within seconds", p.mode)
	}
	return fmt.Sprintf("mode %s is in force", p.mode)
}

// meanwhile says what is in force while the spec is not valid.
func (p *pass) meanwhile() string {
	if p.state.spec != nil {
		return "What was in force stays, and is kept up to date by the last valid spec"
	}
	return "Policies that are there stay, and nothing is added or removed, for no valid spec is known"
}

func (p *pass) markTrust(set setter) {
	if len(p.missing) == 0 {
		set(v1alpha1.ConditionTrustResolved, metav1.ConditionTrue, v1alpha1.ReasonTrustResolved, "all trusted triggers exist")
		return
	}
	var names []string
	for _, t := range p.missing {
		names = append(names, t.Namespace+"/"+t.Trigger)
	}
	slices.Sort(names)
	set(v1alpha1.ConditionTrustResolved, metav1.ConditionFalse, v1alpha1.ReasonTriggersMissing, cut(fmt.Sprintf(
		"there is no ImageTrigger %s; create it, or take it out of spec.trust. Verdicts of an earlier one count until they expire",
		strings.Join(names, ", "))))
}

func (p *pass) markRunning(set setter) {
	status, reason, message := p.ran.allVerified(p.gate.Generation, p.now)
	set(v1alpha1.ConditionAllRunningVerified, status, reason, message)
	if until, ok := p.ran.until(); ok && status != metav1.ConditionUnknown {
		p.soon(until.Sub(p.now) + time.Second)
	}
}

func (p *pass) markContent(s *v1alpha1.ImageGateStatus, oldest time.Time, examples []string, set setter) {
	tags := p.state.tags.since
	switch {
	case s.Pending > 0 && p.now.Sub(oldest) >= pendingFor:
		set(v1alpha1.ConditionUpToDate, metav1.ConditionFalse, v1alpha1.ReasonWritesPending, fmt.Sprintf(
			"verified digests wait to be written since %s: a write of a whole object costs its size, and the controller's flag "+
				"--gate-write-rate sets how many bytes a second are written. Removals go first",
			oldest.UTC().Format(time.RFC3339)))
	case !tags.IsZero() && p.now.Sub(tags) >= pendingFor:
		set(v1alpha1.ConditionUpToDate, metav1.ConditionFalse, v1alpha1.ReasonWritesPending, fmt.Sprintf(
			"changes of tags wait to be written since %s, and until then tags stand for what they stood for: all tags together take a "+
				"quarter of the bytes that the controller's flag --gate-write-rate allows", tags.UTC().Format(time.RFC3339)))
	default:
		set(v1alpha1.ConditionUpToDate, metav1.ConditionTrue, v1alpha1.ReasonUpToDate, "the API server looks up what the ledger says")
		if s.Pending > 0 {
			p.soon(oldest.Add(pendingFor).Sub(p.now))
		}
		if !tags.IsZero() {
			p.soon(tags.Add(pendingFor).Sub(p.now))
		}
	}
	if s.Omitted > 0 {
		set(v1alpha1.ConditionComplete, metav1.ConditionFalse, v1alpha1.ReasonNoRoom, fmt.Sprintf(
			"%d verified digests found no room and are refused, such as %s. A gate holds %d: those that ran here, then the newest. "+
				"Trust fewer triggers, shorten maxAge, or divide the namespaces among gates",
			s.Omitted, strings.Join(examples, ", "), p.Limits.Total))
		return
	}
	if tags := p.state.pinned; tags.Omitted > 0 {
		set(v1alpha1.ConditionComplete, metav1.ConditionFalse, v1alpha1.ReasonNoRoom, fmt.Sprintf(
			"%d tags found no room and are refused as unknown ones, such as %s. Trust fewer triggers, or delete entries of old tags",
			tags.Omitted, tags.FirstOmitted))
		return
	}
	if unnamed := p.state.pinned.Unnamed; unnamed > 0 {
		set(v1alpha1.ConditionComplete, metav1.ConditionFalse, v1alpha1.ReasonTooManyTags, fmt.Sprintf(
			"%d tags are refused as unknown ones: their digests were pushed to more tags than an entry names, which is %d. "+
				"Refer to such images by digest, or delete tags that nobody needs and then the entry",
			unnamed, v1alpha1.MaxTags))
		return
	}
	set(v1alpha1.ConditionComplete, metav1.ConditionTrue, v1alpha1.ReasonComplete, "every verified digest found room")
}

// tellOf records Events for what changed.
func (p *pass) tellOf(before, after v1alpha1.ImageGateStatus) {
	if before.Mode != after.Mode {
		p.tell(corev1.EventTypeNormal, "ModeChanged", "mode %s is written, and API servers take it up within seconds", after.Mode)
	}
	if before.Shards != after.Shards && before.Shards != 0 {
		p.tell(corev1.EventTypeNormal, "Divided", "digests are looked up in %d objects", after.Shards)
	}
	for _, c := range after.Conditions {
		old := meta.FindStatusCondition(before.Conditions, c.Type)
		if c.Status == metav1.ConditionFalse && (old == nil || old.Status != c.Status || old.Reason != c.Reason) {
			p.tell(corev1.EventTypeWarning, c.Reason, "%s", c.Message)
		}
		if old != nil && old.Status == metav1.ConditionFalse && c.Status == metav1.ConditionTrue {
			p.tell(corev1.EventTypeNormal, c.Reason, "%s", c.Message)
		}
	}
}

func (p *pass) tell(kind, reason, format string, args ...any) {
	p.Recorder.Eventf(p.gate, kind, reason, format, args...)
}

// cut bounds a message: a condition holds 32 KiB, and nobody reads more than a line.
func cut(message string) string {
	const most = 1024
	if len(message) <= most {
		return message
	}
	return strings.ToValidUTF8(message[:most-3], "") + "..."
}
