package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ImageVerification is one entry of the ledger: one trigger, one repository,
// one digest. Its creation is the intent of run 1; nothing else is needed for
// that run to happen. Only Revet's accounts write it, but that people may ask for runs, and
// record a digest that nobody pushed.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=iv,categories=revet
// +kubebuilder:selectablefield:JSONPath=`.spec.digest`
// +kubebuilder:selectablefield:JSONPath=`.spec.image.claimedRevision`
// +kubebuilder:selectablefield:JSONPath=`.status.image.claimedRevision`
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Repository",type=string,JSONPath=`.spec.repository.name`
// +kubebuilder:printcolumn:name="Tags",type=string,JSONPath=`.status.tagNames`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.reason`
// +kubebuilder:printcolumn:name="Verdict",type=string,JSONPath=`.status.verdict.outcome`
// +kubebuilder:printcolumn:name="Not-Checked",type=string,JSONPath=`.status.notChecked`
// +kubebuilder:printcolumn:name="Runs",type=integer,JSONPath=`.status.runCount`
// +kubebuilder:printcolumn:name="Pushed",type=date,JSONPath=`.status.lastPushedAt`
// +kubebuilder:printcolumn:name="Digest",type=string,priority=1,JSONPath=`.spec.digest`
// +kubebuilder:printcolumn:name="Trigger",type=string,priority=1,JSONPath=`.spec.trigger.name`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ImageVerification struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec ImageVerificationSpec `json:"spec"`
	// +optional
	Status ImageVerificationStatus `json:"status,omitempty"`
}

// ImageVerificationList is a list of ImageVerifications.
//
// +kubebuilder:object:root=true
type ImageVerificationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ImageVerification `json:"items"`
}

// ImageVerificationSpec identifies the entry. All but requests is immutable.
//
// +kubebuilder:validation:XValidation:rule="self.trigger == oldSelf.trigger && self.repository == oldSelf.repository && self.digest == oldSelf.digest && self.firstPush == oldSelf.firstPush && has(self.image) == has(oldSelf.image) && (!has(self.image) || self.image == oldSelf.image)",message="trigger, repository, digest, firstPush and image are immutable"
type ImageVerificationSpec struct {
	Trigger    TriggerReference    `json:"trigger"`
	Repository RepositoryReference `json:"repository"`
	// Digest is the digest that was pushed: of a manifest or of an index.
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	Digest string `json:"digest"`
	// FirstPush is the push that created the entry. With the source manual it is none.
	FirstPush PushRecord `json:"firstPush"`
	// Image is what was known of the digest when its first push was recorded: of
	// a single image, read from its Image object, without labels but the one of its
	// revision. Where it is absent the facts are read before the first run, into
	// status.image.
	// +optional
	Image *ImageFacts `json:"image,omitempty"`
	// Requests are the ids of the latest manual requests for another run.
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=atomic
	// +optional
	Requests []string `json:"requests,omitempty"`
}

// TriggerReference names the trigger that admitted the push.
type TriggerReference struct {
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// +kubebuilder:validation:MinLength=1
	UID string `json:"uid"`
}

// RepositoryKind says what shows a repository's pushes.
//
// +kubebuilder:validation:Enum=ImageStream;Registry
type RepositoryKind string

// The kinds of repository.
const (
	// RepositoryImageStream is an OpenShift ImageStream, read from the API server.
	RepositoryImageStream RepositoryKind = "ImageStream"
	// RepositoryRegistry is a repository read from its registry.
	RepositoryRegistry RepositoryKind = "Registry"
)

// RepositoryReference names one incarnation of a repository.
type RepositoryReference struct {
	Kind RepositoryKind `json:"kind"`
	// Name is namespace/name of an ImageStream, or host/path of a repository.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// UID is the ImageStream's UID. Empty for a repository of a registry.
	// +optional
	UID string `json:"uid,omitempty"`
	// Pull is host/path to pull the digest from.
	// +kubebuilder:validation:MinLength=1
	Pull string `json:"pull"`
	// Names are host/path under which the cluster's registry serves the tags of an
	// ImageStream: by its service, and by its route. Empty for a repository of a registry,
	// whose name is the one, and in entries that are older than this field.
	// +kubebuilder:validation:MaxItems=2
	// +listType=atomic
	// +optional
	Names []string `json:"names,omitempty"`
}

// PushSource says how a push was seen.
//
// +kubebuilder:validation:Enum=event;webhook;sweep;replay;existing;manual
type PushSource string

// The ways a push is seen.
const (
	SourceEvent   PushSource = "event"
	SourceWebhook PushSource = "webhook"
	SourceSweep   PushSource = "sweep"
	// SourceExisting is what a sweep found that was there before the trigger,
	// in a repository that shows no times. It ends as Skipped. It has to stand
	// in spec.firstPush, as the creation of any other entry is the intent of a run.
	SourceExisting PushSource = "existing"
	// SourceManual is a digest that nobody pushed here, and that a person asked to verify.
	SourceManual PushSource = "manual"
)

// PushRecord is one push of the entry's digest to one tag.
type PushRecord struct {
	// Tag is the tag as it stands in the repository.
	// +kubebuilder:validation:MaxLength=128
	Tag string `json:"tag"`
	// PushedAt is the time that the repository shows for the push, to the
	// second. For a registry that shows none it is the time of observation.
	PushedAt metav1.Time `json:"pushedAt"`
	// ObservedAt is when Revet re-read and recorded the push.
	ObservedAt metav1.MicroTime `json:"observedAt"`
	// Source is how the push came to be seen.
	Source PushSource `json:"source"`
	// Sequence orders pushes of a tag where the repository shows no times.
	// +optional
	Sequence int64 `json:"sequence,omitempty"`
}

// TagStatus is the newest push of one tag to the entry's digest.
type TagStatus struct {
	PushRecord `json:",inline"`
	// Run is the number of the run that covers this push; 0 while undecided,
	// -1 if the push was skipped.
	// +optional
	Run int32 `json:"run,omitempty"`
}

// RunSkipped stands in TagStatus.Run for a push that no run covers, by decision.
const RunSkipped int32 = -1

// Phase is where an entry stands.
//
// +kubebuilder:validation:Enum=Pending;Requested;Running;Passed;Failed;Error;Skipped
type Phase string

// The phases of an entry.
const (
	// PhasePending: recorded; no request was sent yet.
	PhasePending Phase = "Pending"
	// PhaseRequested: a request was sent, the run is not confirmed yet.
	PhaseRequested Phase = "Requested"
	// PhaseRunning: the run exists.
	PhaseRunning Phase = "Running"
	// PhasePassed: the latest run's verdict is pass.
	PhasePassed Phase = "Passed"
	// PhaseFailed: the latest run's verdict is fail.
	PhaseFailed Phase = "Failed"
	// PhaseError: verification ended without a verdict; the reason says why.
	PhaseError Phase = "Error"
	// PhaseSkipped: nothing to verify; the reason says why.
	PhaseSkipped Phase = "Skipped"
)

// CauseType says why a run was started.
//
// +kubebuilder:validation:Enum=Push;Manual;Retry;Vanished;Recreated
type CauseType string

// The causes of a run. One cause gives one run.
const (
	CausePush      CauseType = "Push"
	CauseManual    CauseType = "Manual"
	CauseRetry     CauseType = "Retry"
	CauseVanished  CauseType = "Vanished"
	CauseRecreated CauseType = "Recreated"
)

// Cause identifies what a run answers.
type Cause struct {
	Type CauseType `json:"type"`
	// Key tells causes of one type apart: the push's tag and time, the request's
	// id, or the earlier run's name.
	// +optional
	Key string `json:"key,omitempty"`
}

// Outcome is how a run ended.
//
// +kubebuilder:validation:Enum=pass;fail;error
type Outcome string

// The outcomes of a run.
const (
	OutcomePass  Outcome = "pass"
	OutcomeFail  Outcome = "fail"
	OutcomeError Outcome = "error"
)

// RunStatus is one run of the entry.
type RunStatus struct {
	// Number counts the entry's runs from 1.
	Number int32 `json:"number"`
	// Name is the PipelineRun's name.
	Name  string `json:"name"`
	Cause Cause  `json:"cause"`
	// TriggerGeneration is the trigger's generation that the run was decided under.
	// +optional
	TriggerGeneration int64 `json:"triggerGeneration,omitempty"`
	// RequestedAt is when the intent of the run was written.
	RequestedAt metav1.MicroTime `json:"requestedAt"`
	// FiredAt is when the latest request was sent, about to be sent.
	// +optional
	FiredAt *metav1.MicroTime `json:"firedAt,omitempty"`
	// Attempts is how many requests were sent.
	// +optional
	Attempts int32 `json:"attempts,omitempty"`
	// ConfirmedAt is when the PipelineRun was first read.
	// +optional
	ConfirmedAt *metav1.MicroTime `json:"confirmedAt,omitempty"`
	// UID is the PipelineRun's.
	// +optional
	UID string `json:"uid,omitempty"`
	// StartedAt is the PipelineRun's start time.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// FinishedAt is the PipelineRun's completion time.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
	// +optional
	Outcome Outcome `json:"outcome,omitempty"`
	// Reason is why the run ended as it did, or what it waits for.
	// +optional
	Reason string `json:"reason,omitempty"`
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Message string `json:"message,omitempty"`
	// Sandbox is the class that was requested and the one that Pods had.
	// +optional
	Sandbox SandboxStatus `json:"sandbox,omitempty"`
	// Digest is what the pipeline says it scanned.
	// +optional
	Digest string `json:"digest,omitempty"`
	// Summary is the pipeline's summary, JSON of at most 2 KB.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	Summary string `json:"summary,omitempty"`
	// Report is an OCI reference of the full report.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Report string `json:"report,omitempty"`
	// Off are the checks that were switched off, as the summary says: nothing is
	// known of what they ask.
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=32
	// +listType=atomic
	// +optional
	Off []string `json:"off,omitempty"`
}

// SandboxRoute says why a run was not asked to execute in the trigger's class.
//
// +kubebuilder:validation:Enum=Excluded;OutsideWeight;FellBack
type SandboxRoute string

// The ways around the class.
const (
	// RouteExcluded: an exclusion of the trigger names the image.
	RouteExcluded SandboxRoute = "Excluded"
	// RouteOutsideWeight: the digest is outside the percentage that gets the class.
	RouteOutsideWeight SandboxRoute = "OutsideWeight"
	// RouteFellBack: the class could not be had, and the trigger allows that.
	RouteFellBack SandboxRoute = "FellBack"
)

// SandboxStatus tells where a run's Pods really executed.
type SandboxStatus struct {
	// Requested is the RuntimeClass that was asked for, for this run.
	// +optional
	Requested string `json:"requested,omitempty"`
	// Route says why none was, though the trigger names one; empty if one was, or
	// the trigger names none.
	// +optional
	Route SandboxRoute `json:"route,omitempty"`
	// RouteMessage says that in words.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	RouteMessage string `json:"routeMessage,omitempty"`
	// Observed are the RuntimeClasses of the run's Pods; "" stands for none.
	// +kubebuilder:validation:MaxItems=8
	// +listType=atomic
	// +optional
	Observed []string `json:"observed,omitempty"`
	// Overhead is what the RuntimeClass adds to the resources of each Pod, as the
	// API server wrote it into them: cpu and memory.
	// +kubebuilder:validation:MaxProperties=8
	// +optional
	Overhead map[string]string `json:"overhead,omitempty"`
	// Pods are the names of the Pods that were looked at.
	// +kubebuilder:validation:MaxItems=8
	// +listType=atomic
	// +optional
	Pods []string `json:"pods,omitempty"`
	// Node is where the first Pod ran.
	// +optional
	Node string `json:"node,omitempty"`
}

// RevisionIgnored says why a claimed revision was left out.
//
// +kubebuilder:validation:Enum=Malformed;Differs
type RevisionIgnored string

// The reasons to leave a claimed revision out.
const (
	// RevisionMalformed: it is longer than 128 characters, or has others than letters, digits
	// and ._+- in it.
	RevisionMalformed RevisionIgnored = "Malformed"
	// RevisionDiffers: label and annotation, or the children of an index, do not claim the same.
	RevisionDiffers RevisionIgnored = "Differs"
)

// ImageFacts is what is known of the digest.
type ImageFacts struct {
	// +optional
	MediaType string `json:"mediaType,omitempty"`
	// Platforms are os/architecture[/variant].
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	// +optional
	Platforms []string `json:"platforms,omitempty"`
	// Labels are those that the trigger's filter names, 1 KB each.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// Layers is the number of layers; of an index, of all its children.
	// +optional
	Layers int32 `json:"layers,omitempty"`
	// Size is in bytes, compressed; of an index, of all its children.
	// +optional
	Size int64 `json:"size,omitempty"`
	// Created is the image's own claim of when it was built.
	// +optional
	Created *metav1.Time `json:"created,omitempty"`
	// Base is the image's own claim of its base image.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Base string `json:"base,omitempty"`
	// ClaimedRevision is the image's own claim of the revision of the source that it was built
	// from: its label, or its annotation, org.opencontainers.image.revision. Whoever may push
	// can claim any. Of an index, it is what its children and its annotation agree on.
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`
	// +optional
	ClaimedRevision string `json:"claimedRevision,omitempty"`
	// RevisionIgnored says why a revision that the image claims was left out.
	// +optional
	RevisionIgnored RevisionIgnored `json:"revisionIgnored,omitempty"`
	// Source is where the facts were read: Image or Registry.
	// +optional
	Source string `json:"source,omitempty"`
	// Children are the images of an index, as far as they were read from bytes that have
	// the index's digest: none otherwise.
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	Children []ChildImage `json:"children,omitempty"`
	// ChildrenOmitted counts those for which there was no room.
	// +optional
	ChildrenOmitted int32 `json:"childrenOmitted,omitempty"`
}

// ChildImage is one image of an index.
type ChildImage struct {
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	Digest string `json:"digest"`
	// Platform is os/architecture[/variant], as the index says it; empty if it does not.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Platform string `json:"platform,omitempty"`
}

// ImageVerificationStatus is the entry's state.
type ImageVerificationStatus struct {
	// +optional
	Phase Phase `json:"phase,omitempty"`
	// Reason is the typed reason of the phase, in CamelCase.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Message says the reason in words, with the cure where there is one.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Message string `json:"message,omitempty"`
	// NotChecked names the checks that were switched off for the verdict, for the table.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	NotChecked string `json:"notChecked,omitempty"`
	// Verdict is the newest verdict, and what everybody who relies on one reads. An entry
	// without one was never judged, or was judged before this field existed: what its phase
	// says then counts as not known.
	// +optional
	Verdict *Verdict `json:"verdict,omitempty"`
	// Attestations are the signed verdicts that are, or may be, in the registry. Only the
	// attestor writes them.
	// +kubebuilder:validation:MaxItems=8
	// +listType=atomic
	// +optional
	Attestations []AttestationStatus `json:"attestations,omitempty"`
	// Tags are the newest pushes of each tag to this digest: of 100 tags at most. Those that
	// no run covers yet stay, those that still show the digest, and the latest.
	// +listType=map
	// +listMapKey=tag
	// +optional
	Tags []TagStatus `json:"tags,omitempty"`
	// MoreTags tells of the tags that found no room in tags.
	// +optional
	MoreTags *MoreTags `json:"moreTags,omitempty"`
	// TagNames are the names in tags, for the table, and how many more there are.
	// +optional
	TagNames string `json:"tagNames,omitempty"`
	// LastPushedAt is the newest of the pushes in tags and moreTags.
	// +optional
	LastPushedAt *metav1.Time `json:"lastPushedAt,omitempty"`
	// Runs are the latest runs, oldest first.
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	// +optional
	Runs []RunStatus `json:"runs,omitempty"`
	// RunCount is the number of the latest run; it never goes back.
	// +optional
	RunCount int32 `json:"runCount,omitempty"`
	// HandledRequests are the requests of spec.requests that have their run.
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	// +optional
	HandledRequests []string `json:"handledRequests,omitempty"`
	// Image is what is known of the digest, where spec.image does not tell it or
	// the trigger's filter names labels.
	// +optional
	Image *ImageFacts `json:"image,omitempty"`
	// Emitted are the keys of the latest events sent for this entry: an event's
	// id is the entry's UID and its key.
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	Emitted []string `json:"emitted,omitempty"`
	// Conditions are Recorded, Fired, Started and Verified; and TagsKnown while more tags than
	// can be told have shown the digest.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
