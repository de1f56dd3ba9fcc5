package lifecycle

import (
	"fmt"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/sandbox"
)

// maxNamesTaken is how many run names in a row may be taken before Revet gives up.
const maxNamesTaken = 5

// start decides for an entry that needs a run, stage by stage: the trigger, newer pushes,
// the queue, the image, the sandbox, the request.
func start(e *v1alpha1.ImageVerification, cause v1alpha1.Cause, f Facts, now time.Time) Decision {
	rule := RuleOf(cause)
	if f.Forged != "" {
		return Decision{Action: Skip, Reason: EntryForged, Message: f.Forged, Cause: cause}
	}
	if f.Run.Lookup == Found {
		// An earlier process fired the run and did not record it. Nothing else matters.
		if d, wait := route(cause, f); wait {
			return d
		}
		return Decision{Action: RecordRun, Cause: cause}
	}
	if d, wait := awaitTrigger(cause, f, now); wait {
		return d
	}
	if rule.Supersedable {
		if d, superseded := supersede(e, cause, f); superseded {
			return d
		}
	}
	if d, wait := queue(e, cause, f, now); wait {
		return d
	}
	if d, ends := examine(e, cause, f, now); ends {
		return d
	}
	if d, wait := route(cause, f); wait {
		return d
	}
	if e.Status.RunCount > 0 || !rule.FireFirst || !f.Trigger.Confirmable {
		return Decision{Action: RecordAndFire, Cause: cause}
	}
	if f.Run.Lookup != Absent && now.Sub(e.CreationTimestamp.Time) > firedBefore {
		return Decision{Action: Look, Cause: cause}
	}
	return Decision{Action: FireFirst, Cause: cause}
}

// awaitTrigger decides for a trigger that takes no request now.
func awaitTrigger(cause v1alpha1.Cause, f Facts, now time.Time) (Decision, bool) {
	t := f.Trigger
	switch {
	case t.Gone && f.Run.Lookup != Absent:
		return Decision{Action: Look, Cause: cause}, true
	case t.Gone:
		return Decision{Action: Skip, Reason: TriggerDeleted, Cause: cause,
			Message: "the ImageTrigger was deleted before the run was requested"}, true
	case !t.Ready:
		return Decision{Action: Wait, Reason: Reason(t.Reason), Message: t.Message, After: triggerRetry, Cause: cause, Hold: true}, true
	case now.Before(t.PausedUntil):
		return paused(t, Decision{Cause: cause}, now), true
	default:
		return Decision{}, false
	}
}

// supersede decides whether newer pushes replace the undecided ones: if the trigger says
// so, and every tag of the entry was pushed to another digest since. A tag that still
// shows the digest keeps all of them, and so do tags that the entry does not name. A run that
// may have been fired is looked for first.
func supersede(e *v1alpha1.ImageVerification, cause v1alpha1.Cause, f Facts) (Decision, bool) {
	if !f.Trigger.SkipSuperseded || Undecided(e) == nil {
		return Decision{}, false
	}
	tags := e.Tags()
	if len(f.Heads) != len(tags) || e.Status.MoreTags.Total() > 0 {
		return Decision{}, false // not known: a run too many is better than one too few
	}
	var by []string
	for i := range tags {
		if !f.Heads[i].after(tags[i].PushRecord) || f.Heads[i].Digest == e.Spec.Digest {
			return Decision{}, false
		}
		if tags[i].Run == 0 {
			by = append(by, fmt.Sprintf("%q, now %s", tags[i].Tag, f.Heads[i].Digest))
		}
	}
	if f.Run.Lookup != Absent {
		return Decision{Action: Look, Cause: cause}, true
	}
	return Decision{Action: Skip, Reason: Superseded, Cause: cause, Message: fmt.Sprintf(
		"pushed again before its run: tag %s; set superseded: Verify to run such pushes too", strings.Join(by, ", tag "))}, true
}

// queue decides for an entry that has no slot.
func queue(e *v1alpha1.ImageVerification, cause v1alpha1.Cause, f Facts, now time.Time) (Decision, bool) {
	switch f.Slot.State {
	case SlotGranted:
		return Decision{}, false
	case SlotQueued:
	default:
		return Decision{Action: AskSlot, Cause: cause}, true
	}
	d := Decision{Action: Wait, Reason: Queued, After: queuedRetry, Cause: cause}
	newest := e.Spec.FirstPush.ObservedAt.Time
	for _, t := range e.Status.Tags {
		if t.ObservedAt.After(newest) {
			newest = t.ObservedAt.Time
		}
	}
	if now.Sub(newest) < queuedNote {
		return d, true
	}
	d.Hold = true
	d.Message = fmt.Sprintf("all %d runs that the trigger's maxConcurrent allows are under way", f.Trigger.MaxConcurrent)
	switch {
	case f.Slot.Share > 0:
		d.Message = fmt.Sprintf("all %d runs that one namespace may have are under way: the controller's --max-concurrent, "+
			"less its --reserve for other namespaces", f.Slot.Share)
	case f.Slot.Bound > 0:
		d.Message = fmt.Sprintf("all %d runs that the controller's --max-concurrent allows are under way", f.Slot.Bound)
	}
	return d, true
}

// examine decides by the image: whether it is one, and whether the filter admits it.
// Only content that was recomputed ends a push without a run.
func examine(e *v1alpha1.ImageVerification, cause v1alpha1.Cause, f Facts, now time.Time) (Decision, bool) {
	rule, img := RuleOf(cause), f.Image
	if !needsImage(e, rule, f.Trigger) {
		return Decision{}, false
	}
	if img.Filter.State == FilterDoesNotCompile {
		return Decision{Action: Wait, Reason: FilterInvalid, Message: img.Filter.Message, Cause: cause, Hold: true}, true
	}
	switch img.State {
	case ImageRead, ImageMissing:
	case ImageUnreadable:
		if img.NotAllowed && e.IsManual() {
			// Whoever asked for it must not make a run read what the namespace may not.
			return Decision{Action: Wait, Reason: RegistryNotAllowed, Message: img.Error, Cause: cause, Hold: true,
				After: slowestImageRetry}, true
		}
		if since := now.Sub(img.UnreadableSince); since < imagePatience {
			return Decision{Action: Wait, Reason: FactsUnreadable, Message: img.Error, Cause: cause, Hold: true,
				After: min(max(since/2, firstImageRetry), slowestImageRetry)}, true
		}
		// A run pulls by digest, and fails if there is nothing to pull.
	default:
		return Decision{Action: Enrich, Cause: cause}, true
	}
	if !rule.Filtered || Undecided(e) == nil || img.State != ImageRead || !img.Recomputed {
		return Decision{}, false
	}
	skip := Decision{Action: Skip, Cause: cause}
	switch {
	case !img.Content.Runnable() && !img.Content.Claimed():
		skip.Reason, skip.Message = NotAnImage, img.Content.Why()
	case img.Filter.State == FilterFails:
		skip.Reason = FilterFailed
		skip.Message = img.Filter.Message + "; correct the trigger's filter, then replay the entry"
	case img.Filter.State == FilterRefuses:
		skip.Reason, skip.Message = FilteredOut, img.Filter.Message
	default:
		return Decision{}, false
	}
	return skip, true
}

// needsImage reports whether the image has to be read before the run. Whoever recorded
// facts with the entry was shown an image that runs; without a filter that is enough.
func needsImage(e *v1alpha1.ImageVerification, rule CauseRule, t Trigger) bool {
	if e.Spec.Image != nil && !t.HasFilter {
		return false
	}
	return rule.ReadsImage || e.Status.Image == nil || childrenNotRead(e.Status.Image)
}

// fromRegistry is the source of facts that were read from recomputed bytes.
const fromRegistry = "Registry"

// childrenNotRead reports whether facts are of an index and list no child, as those that an
// earlier version read: a verdict would speak of children that nobody can name.
func childrenNotRead(f *v1alpha1.ImageFacts) bool {
	isIndex := f.MediaType == image.OCIIndex || f.MediaType == image.DockerList
	return isIndex && f.Source == fromRegistry && len(f.Children) == 0 && f.ChildrenOmitted == 0
}

// route decides while it is not known where the run executes.
func route(cause v1alpha1.Cause, f Facts) (Decision, bool) {
	switch f.Routing.State {
	case RoutingDecided:
		return Decision{}, false
	case RoutingFailed:
		return Decision{Action: Wait, Reason: SandboxUndecided, Message: f.Routing.Error, After: routeRetry, Cause: cause, Hold: true}, true
	default:
		return Decision{Action: Route, Cause: cause}, true
	}
}

// RouteOf decides where the next run of an entry executes. The key is needed only if the
// trigger's sandbox is weighted. A trigger that is nil was deleted, and asks for nothing.
func RouteOf(e *v1alpha1.ImageVerification, t *v1alpha1.ImageTrigger, key []byte) (sandbox.Route, error) {
	if t == nil {
		return sandbox.Route{}, nil
	}
	digest, err := image.ParseDigest(e.Spec.Digest)
	if err != nil {
		return sandbox.Route{}, fmt.Errorf("entry %q: %w", e.Name, err)
	}
	img := sandbox.Image{Digest: digest, Repository: e.Spec.Repository.Name, Tags: e.TagNames()}
	missing, unable := t.IsSandboxMissing(), ""
	if last := e.Status.LatestRun(); last != nil && !missing && Reason(last.Reason) == SandboxUnavailable {
		unable = last.Message
	}
	return sandbox.Decide(t.Spec.Sandbox, key, img, missing, unable)
}

// nameTaken returns the cause of the latest run, if another PipelineRun has its name: the
// next run has another name. Many such runs in a row are no accident, and end it.
func nameTaken(s *v1alpha1.ImageVerificationStatus) (v1alpha1.Cause, bool) {
	if s.Phase == v1alpha1.PhaseSkipped {
		return v1alpha1.Cause{}, false
	}
	n := 0
	for i := len(s.Runs) - 1; i >= 0 && ended(&s.Runs[i], RunNameTaken); i-- {
		n++
	}
	if n == 0 || n >= maxNamesTaken {
		return v1alpha1.Cause{}, false
	}
	return s.LatestRun().Cause, true
}

// ended reports whether a run ended without a verdict for a reason.
func ended(run *v1alpha1.RunStatus, reason Reason) bool {
	return run.Outcome == v1alpha1.OutcomeError && Reason(run.Reason) == reason
}

// NewRun returns the run that starts for a cause, to be recorded by RecordBegin.
func NewRun(name string, cause v1alpha1.Cause, generation int64, routing Routing) v1alpha1.RunStatus {
	return v1alpha1.RunStatus{
		Name: name, Cause: cause, TriggerGeneration: generation,
		Sandbox: v1alpha1.SandboxStatus{
			Requested:    routing.Route.RuntimeClassName,
			Route:        routing.Route.Around,
			RouteMessage: image.Cut(routing.Route.Message, maxRouteMessage),
		},
	}
}
