package v1alpha1

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The conditions of an ImageVerification.
const (
	// ConditionRecorded: the push is in the ledger.
	ConditionRecorded = "Recorded"
	// ConditionFired: a request for the latest run was accepted by the sink.
	ConditionFired = "Fired"
	// ConditionStarted: the latest run's PipelineRun exists and is this entry's.
	ConditionStarted = "Started"
	// ConditionVerified: the latest run's verdict is pass.
	ConditionVerified = "Verified"
	// ConditionTagsKnown is False while the digest was pushed to more tags than the entry tells
	// of, and absent otherwise.
	ConditionTagsKnown = "TagsKnown"
)

// ReasonTooManyTags is of ConditionTagsKnown: a digest was pushed to more tags than its entry tells of.
const ReasonTooManyTags = "TooManyTags"

// Reasons of an ImageVerification's conditions that are as they should be.
const (
	ReasonRecorded = "Recorded"
	ReasonFired    = "Fired"
	ReasonStarted  = "Started"
	ReasonPassed   = "Passed"
)

// defaultServiceAccount is the account of a trigger that names none.
const defaultServiceAccount = "default"

// ServiceAccountName returns the name of the service account, in the trigger's
// namespace, whose rights bound what the trigger sees.
func (t *ImageTrigger) ServiceAccountName() string {
	if t.Spec.ServiceAccountName == "" {
		return defaultServiceAccount
	}
	return t.Spec.ServiceAccountName
}

// Phase returns the entry's phase. An entry without a status is Pending: its
// creation already records a push.
func (e *ImageVerification) Phase() Phase {
	if e.Status.Phase == "" {
		return PhasePending
	}
	return e.Status.Phase
}

// ReasonNotAnImage is the reason of an entry that ended as Skipped because its digest is proven to
// be nothing that a runtime runs.
const ReasonNotAnImage = "NotAnImage"

// IsNoImage reports whether the entry's digest is proven to be nothing that a runtime runs.
func (e *ImageVerification) IsNoImage() bool {
	return e.Status.Phase == PhaseSkipped && e.Status.Reason == ReasonNotAnImage
}

// IsManual reports whether a person created the entry, for a digest that nobody had pushed.
func (e *ImageVerification) IsManual() bool { return e.Spec.FirstPush.Source == SourceManual }

// Tags returns a copy of the newest push of each tag that the entry names. The
// first push counts as one until a status names its tag, or if a status was lost. What a
// person asked to verify is no push, whatever tag it goes by.
func (e *ImageVerification) Tags() []TagStatus {
	if e.IsManual() {
		return slices.Clone(e.Status.Tags)
	}
	for i := range e.Status.Tags {
		if e.Status.Tags[i].Tag == e.Spec.FirstPush.Tag {
			return slices.Clone(e.Status.Tags)
		}
	}
	return append([]TagStatus{{PushRecord: e.Spec.FirstPush}}, e.Status.Tags...)
}

// TagOf returns the newest push of a tag to the entry's digest. Of one that status.moreTags
// tells of, it is without the time of its record.
func (e *ImageVerification) TagOf(tag string) (TagStatus, bool) {
	for _, t := range e.Tags() {
		if t.Tag == tag {
			return t, true
		}
	}
	packed, ok := e.Status.MoreTags.Find(tag)
	if !ok {
		return TagStatus{}, false
	}
	t := packed.Status()
	t.Tag = tag
	return t, true
}

// TagNames returns the tags of the entry's pushes, in the order of Tags.
func (e *ImageVerification) TagNames() []string {
	tags := e.Tags()
	names := make([]string, len(tags))
	for i := range tags {
		names[i] = tags[i].Tag
	}
	return names
}

// RunTag returns the newest tag that a run covers, or the first push's tag if the
// run covers none.
func (e *ImageVerification) RunTag(run *RunStatus) string {
	tag, newest := e.Spec.FirstPush.Tag, time.Time{}
	for i := range e.Status.Tags {
		t := &e.Status.Tags[i]
		if t.Run == run.Number && t.PushedAt.After(newest) {
			tag, newest = t.Tag, t.PushedAt.Time
		}
	}
	return tag
}

// ImageFacts returns what is known of the digest, or nil: what was found out since the entry
// was recorded, or else what it was recorded with.
func (e *ImageVerification) ImageFacts() *ImageFacts {
	if e.Status.Image != nil {
		return e.Status.Image
	}
	return e.Spec.Image
}

// LatestRun returns the latest run, or nil if there was none.
func (s *ImageVerificationStatus) LatestRun() *RunStatus {
	if len(s.Runs) == 0 {
		return nil
	}
	return &s.Runs[len(s.Runs)-1]
}

// CurrentRun returns the run that is under way, or nil.
func (s *ImageVerificationStatus) CurrentRun() *RunStatus {
	if last := s.LatestRun(); last != nil && last.Outcome == "" {
		return last
	}
	return nil
}

// JudgedWithoutVerdict reports whether a run gave a verdict before verdicts were kept: what
// it said counts as not known.
func (e *ImageVerification) JudgedWithoutVerdict() bool {
	if e.Status.Verdict != nil {
		return false
	}
	for i := range e.Status.Runs {
		if o := e.Status.Runs[i].Outcome; o == OutcomePass || o == OutcomeFail {
			return true
		}
	}
	return e.Status.Phase == PhasePassed || e.Status.Phase == PhaseFailed
}

// MarkRecorded records that the push is in the ledger.
func (s *ImageVerificationStatus) MarkRecorded(now time.Time) {
	setCondition(&s.Conditions, ConditionRecorded, metav1.ConditionTrue, ReasonRecorded, "", 0, now)
}

// MarkTags records which tags the entry cannot tell of; an empty message is that it tells of all.
func (s *ImageVerificationStatus) MarkTags(message string, now time.Time) {
	if message == "" {
		meta.RemoveStatusCondition(&s.Conditions, ConditionTagsKnown)
		return
	}
	setCondition(&s.Conditions, ConditionTagsKnown, metav1.ConditionFalse, ReasonTooManyTags, message, 0, now)
}

// MarkWaiting records what an entry that needs a run waits for.
func (s *ImageVerificationStatus) MarkWaiting(reason, message string, now time.Time) {
	setCondition(&s.Conditions, ConditionFired, metav1.ConditionFalse, reason, message, 0, now)
}

// MarkFired records that the sink accepted a request for the run, and that
// nothing is known of the run yet.
func (s *ImageVerificationStatus) MarkFired(run string, now time.Time) {
	setCondition(&s.Conditions, ConditionFired, metav1.ConditionTrue, ReasonFired, "run "+run, 0, now)
	setCondition(&s.Conditions, ConditionStarted, metav1.ConditionUnknown, ReasonFired, "run "+run, 0, now)
	setCondition(&s.Conditions, ConditionVerified, metav1.ConditionUnknown, ReasonFired, "run "+run, 0, now)
}

// MarkNotFired records why a request for the run did not reach the sink.
func (s *ImageVerificationStatus) MarkNotFired(reason, message string, now time.Time) {
	setCondition(&s.Conditions, ConditionFired, metav1.ConditionFalse, reason, message, 0, now)
}

// MarkStarted records that the run exists.
func (s *ImageVerificationStatus) MarkStarted(run string, now time.Time) {
	setCondition(&s.Conditions, ConditionFired, metav1.ConditionTrue, ReasonFired, "run "+run, 0, now)
	setCondition(&s.Conditions, ConditionStarted, metav1.ConditionTrue, ReasonStarted, "run "+run, 0, now)
	setCondition(&s.Conditions, ConditionVerified, metav1.ConditionUnknown, ReasonStarted, "run "+run, 0, now)
}

// MarkNotStarted records why there is no run.
func (s *ImageVerificationStatus) MarkNotStarted(reason, message string, now time.Time) {
	setCondition(&s.Conditions, ConditionStarted, metav1.ConditionFalse, reason, message, 0, now)
}

// MarkVerified records that the verdict is pass.
func (s *ImageVerificationStatus) MarkVerified(message string, now time.Time) {
	setCondition(&s.Conditions, ConditionVerified, metav1.ConditionTrue, ReasonPassed, message, 0, now)
}

// MarkNotVerified records a verdict other than pass, or why there is none.
func (s *ImageVerificationStatus) MarkNotVerified(reason, message string, now time.Time) {
	setCondition(&s.Conditions, ConditionVerified, metav1.ConditionFalse, reason, message, 0, now)
}

// MarkUndecided records why the entry has no verdict yet, after a run that ended without one.
func (s *ImageVerificationStatus) MarkUndecided(reason, message string, now time.Time) {
	setCondition(&s.Conditions, ConditionVerified, metav1.ConditionUnknown, reason, message, 0, now)
}
