package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ImageTrigger declares which pushed images are verified, by which pipeline and
// in which sandbox. Creating one means using its service account: whoever may
// create ImageTriggers in a namespace sees what that account may see.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=itr,categories=revet
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Sink",type=string,JSONPath=`.spec.sink.ref.name`
// +kubebuilder:printcolumn:name="Sandbox",type=string,JSONPath=`.spec.sandbox.runtimeClassName`
// +kubebuilder:printcolumn:name="Coverage",type=string,JSONPath=`.status.lastSweep.coverage`
// +kubebuilder:printcolumn:name="Swept",type=date,JSONPath=`.status.lastSweep.finishedAt`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must be at most 63 characters, as it becomes a label value"
type ImageTrigger struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec ImageTriggerSpec `json:"spec"`
	// +optional
	Status ImageTriggerStatus `json:"status,omitempty"`
}

// ImageTriggerList is a list of ImageTriggers.
//
// +kubebuilder:object:root=true
type ImageTriggerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ImageTrigger `json:"items"`
}

// ExistingPolicy says what happens to images that were there before the trigger.
//
// +kubebuilder:validation:Enum=Ignore;Verify
type ExistingPolicy string

// The policies for images older than the trigger.
const (
	ExistingIgnore ExistingPolicy = "Ignore"
	ExistingVerify ExistingPolicy = "Verify"
)

// SupersededPolicy says what happens to a push that still waits for its run when
// a newer push of the same tag is recorded.
//
// +kubebuilder:validation:Enum=Verify;Skip
type SupersededPolicy string

// The policies for superseded pushes.
const (
	// SupersededVerify runs it all the same: the digest may be in use already.
	SupersededVerify SupersededPolicy = "Verify"
	// SupersededSkip ends it as Skipped, unless another tag shows its digest.
	SupersededSkip SupersededPolicy = "Skip"
)

// ImageTriggerSpec is the user's declaration.
type ImageTriggerSpec struct {
	// Images selects repositories and tags; a push is admitted if any entry matches.
	// All entries together have at most 256 patterns of 16384 bytes, with at most 16
	// wildcards each, and at most 64 labels and expressions with 256 values. Of the
	// triggers of one namespace the oldest 100 count.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	Images []ImageSelector `json:"images"`

	// Filter is a CEL expression over the enriched push, for example
	// "image.labels['tier'] == 'prod'". A push for which it is false ends as
	// Skipped. Variables: image {repository, digest, tags, mediaType, labels,
	// platforms, created, size}.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Filter string `json:"filter,omitempty"`

	// Sink is the EventListener, or other Addressable, that starts the run.
	Sink Sink `json:"sink"`

	// Sandbox says where the run's Pods execute.
	// +optional
	Sandbox Sandbox `json:"sandbox,omitempty"`

	// Freshness is how long a verdict covers further pushes of the same digest.
	// 0s means that every push runs.
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="freshness must not be negative; 0s means that every push runs"
	// +optional
	Freshness *metav1.Duration `json:"freshness,omitempty"`

	// Existing says what happens to images that were there before the trigger.
	// +kubebuilder:default=Ignore
	// +optional
	Existing ExistingPolicy `json:"existing,omitempty"`

	// MaxConcurrent bounds the runs of this trigger that are under way at once.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +kubebuilder:default=10
	// +optional
	MaxConcurrent int32 `json:"maxConcurrent,omitempty"`

	// Superseded says what happens to a push that waits for its run when a newer
	// push of the same tag is recorded.
	// +kubebuilder:default=Verify
	// +optional
	Superseded SupersededPolicy `json:"superseded,omitempty"`

	// Retries is how often a run whose infrastructure failed is repeated before its
	// entry ends as Error. A run whose checks failed is never repeated.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	// +kubebuilder:default=2
	// +optional
	Retries *int32 `json:"retries,omitempty"`

	// Attest asks the attestor to sign each verdict "pass", and to attach it to the image in
	// its registry. It does so only if the operator lists the trigger in the ConfigMap
	// config-attestation. Absent, nothing is signed, and what was is removed.
	// +optional
	Attest *Attest `json:"attest,omitempty"`

	// ServiceAccountName is the account in the trigger's namespace whose rights
	// bound what the trigger sees: only ImageStreams that it may get, and
	// registries that its pull secrets open.
	// +kubebuilder:default=default
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
}

// Attest says how long signed verdicts stand.
type Attest struct {
	// MaxAge is how old a verdict may get before its attestation is removed. Consumers bound
	// its age by themselves: a registry may refuse the removal.
	// +kubebuilder:default="720h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('8760h')",message="maxAge must be between 1m and 8760h"
	// +optional
	MaxAge metav1.Duration `json:"maxAge,omitempty"`
}

// ImageSelector admits pushes to some repositories and tags. Exactly one of
// imageStreams and repository is set.
//
// +kubebuilder:validation:XValidation:rule="has(self.imageStreams) != has(self.repository)",message="set exactly one of imageStreams and repository"
type ImageSelector struct {
	// ImageStreams selects OpenShift ImageStreams.
	// +optional
	ImageStreams *ImageStreamSelector `json:"imageStreams,omitempty"`

	// Repository is a pattern for repositories of registries without
	// ImageStreams: host/path, where * matches within a path segment and **
	// matches any number of segments, for example registry.example.com/team/**.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9.-]+(:[0-9]+)?(/[a-z0-9._*?-]+)+$`
	// +optional
	Repository string `json:"repository,omitempty"`

	// Tags admits and excludes tags by name.
	// +optional
	Tags TagSelector `json:"tags,omitempty"`
}

// ImageStreamSelector selects ImageStreams. What is empty does not restrict;
// without namespaceSelector only the trigger's own namespace is selected.
type ImageStreamSelector struct {
	// NamespaceSelector selects namespaces by label. Absent: the trigger's own
	// namespace. Empty ({}): every namespace.
	// +kubebuilder:validation:XValidation:rule="(has(self.matchLabels) ? size(self.matchLabels) : 0) + (has(self.matchExpressions) ? size(self.matchExpressions) : 0) <= 16",message="a label selector has at most 16 labels and expressions"
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// Names are patterns for stream names, where * matches any characters.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9*?][a-z0-9.*?-]*$`
	// +listType=atomic
	// +optional
	Names []string `json:"names,omitempty"`

	// Selector selects streams by label.
	// +kubebuilder:validation:XValidation:rule="(has(self.matchLabels) ? size(self.matchLabels) : 0) + (has(self.matchExpressions) ? size(self.matchExpressions) : 0) <= 16",message="a label selector has at most 16 labels and expressions"
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// TagSelector admits tags by patterns, where * matches any characters.
type TagSelector struct {
	// Include admits tags; empty admits all.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9_.*?-]+$`
	// +listType=atomic
	// +optional
	Include []string `json:"include,omitempty"`

	// Exclude refuses tags that include admits.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9_.*?-]+$`
	// +listType=atomic
	// +optional
	Exclude []string `json:"exclude,omitempty"`
}

// Sink names what a run request is sent to. Exactly one of ref and uri is set.
//
// +kubebuilder:validation:XValidation:rule="has(self.ref) != has(self.uri)",message="set exactly one of ref and uri"
type Sink struct {
	// Ref is an Addressable in the trigger's own namespace.
	// +optional
	Ref *SinkRef `json:"ref,omitempty"`

	// URI is an absolute http or https URL. It is used only if the operator's
	// config-sinks ConfigMap lists its host for the trigger's namespace.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^/?#@]+([/?#].*)?$`
	// +optional
	URI string `json:"uri,omitempty"`
}

// SinkRef names an object in the trigger's namespace.
type SinkRef struct {
	// +kubebuilder:default="triggers.tekton.dev/v1beta1"
	// +kubebuilder:validation:MinLength=1
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`
	// +kubebuilder:default=EventListener
	// +kubebuilder:validation:MinLength=1
	// +optional
	Kind string `json:"kind,omitempty"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// Sandbox says where the Pods of a run execute.
//
// +kubebuilder:validation:XValidation:rule="has(self.runtimeClassName) && size(self.runtimeClassName) > 0 || !(has(self.weight) && self.weight < 100 || has(self.exclude) || has(self.fallback) && self.fallback == 'Default')",message="weight, exclude and fallback speak of a class: set runtimeClassName"
type Sandbox struct {
	// RuntimeClassName is the RuntimeClass of the run's Pods, for example kata.
	// A pass from a Pod that did not have it is an Error, never a pass. Empty
	// requests none.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`
	// +optional
	RuntimeClassName string `json:"runtimeClassName,omitempty"`

	// Weight is the percentage of digests whose runs get the class; the others run
	// in the cluster's default runtime, and their entries say so. It is chosen by a
	// keyed hash of the digest: the same digest is always on the same side, and
	// nobody who does not have the key can choose a digest that is on the other.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +kubebuilder:default=100
	// +optional
	Weight *int32 `json:"weight,omitempty"`

	// Exclude names images whose runs do not get the class, as they cannot be
	// checked in it, each with the reason, which their entries tell.
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	Exclude []SandboxExclusion `json:"exclude,omitempty"`

	// Fallback says what happens while the cluster has no such RuntimeClass, or where
	// its Pods cannot start.
	// +kubebuilder:default=Refuse
	// +optional
	Fallback FallbackPolicy `json:"fallback,omitempty"`

	// NodeSelector is a label of the nodes that the Pods run on, beside those that
	// the RuntimeClass selects. More of them belong into the RuntimeClass's
	// scheduling, which Kubernetes adds to every Pod of the class.
	// +kubebuilder:validation:MaxProperties=1
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^([a-z0-9.-]{1,253}/)?[A-Za-z0-9_.-]{1,63}$'))",message="nodeSelector takes the key of a label, as example.com/pool"
	// +optional
	NodeSelector map[string]LabelValue `json:"nodeSelector,omitempty"`

	// Tolerations is one of the Pods, beside the RuntimeClass's own.
	// +kubebuilder:validation:MaxItems=1
	// +listType=atomic
	// +optional
	Tolerations []Toleration `json:"tolerations,omitempty"`

	// StartTimeout is how long the Pods of a run in the class may take to start, from
	// the start of the run, before it is stopped and the class taken for unable to
	// run it.
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s')",message="startTimeout must be at least 10s"
	// +optional
	StartTimeout *metav1.Duration `json:"startTimeout,omitempty"`

	// RunTimeout is how long a run may take. Empty leaves it to the template.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m')",message="runTimeout must be at least 1m"
	// +optional
	RunTimeout *metav1.Duration `json:"runTimeout,omitempty"`
}

// SandboxExclusion names images that are not checked in the class.
type SandboxExclusion struct {
	// Images is a pattern for what an entry names, namespace/name of an ImageStream or
	// host/path, with the tag after a colon, if wanted: team-a/** or team-a/legacy:v1*.
	// * matches within a path segment and ** matches any number of segments. With a
	// tag it holds if all tags that the entry has match.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9._*?-]+(:[0-9]+)?(/[A-Za-z0-9._*?-]+)*(:[A-Za-z0-9_.*?-]+)?$`
	Images string `json:"images"`
	// Reason is why, in words.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason"`
}

// LabelValue is the value of a label or a taint.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$`
type LabelValue string

// Toleration is a Pod's toleration, without a time.
//
// +kubebuilder:validation:XValidation:rule="!has(self.operator) || self.operator != 'Exists' || !has(self.value) || size(self.value) == 0",message="a toleration with operator Exists has no value"
// +kubebuilder:validation:XValidation:rule="has(self.key) && size(self.key) > 0 || has(self.operator) && self.operator == 'Exists'",message="a toleration without a key has operator Exists"
type Toleration struct {
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:Pattern=`^(([a-z0-9.-]{1,253}/)?[A-Za-z0-9_.-]{1,63})?$`
	// +optional
	Key string `json:"key,omitempty"`
	// +kubebuilder:validation:Enum=Exists;Equal
	// +kubebuilder:default=Equal
	// +optional
	Operator string `json:"operator,omitempty"`
	// +optional
	Value LabelValue `json:"value,omitempty"`
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	Effect string `json:"effect"`
}

// FallbackPolicy says what happens where the RuntimeClass cannot be had.
//
// +kubebuilder:validation:Enum=Refuse;Default
type FallbackPolicy string

// The fallback policies.
const (
	// FallbackRefuse runs nothing until it can be had.
	FallbackRefuse FallbackPolicy = "Refuse"
	// FallbackDefault runs in the cluster's default runtime, and the entry says so.
	FallbackDefault FallbackPolicy = "Default"
)

// ImageTriggerStatus is what Revet observed of a trigger.
type ImageTriggerStatus struct {
	// ObservedGeneration is the generation that the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions are Ready, FilterValid, SinkResolved, TemplateAccepted, Authorized,
	// Swept, Confirmed, SandboxAvailable and PullAllowed.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// SinkURI is the address that requests are sent to.
	// +optional
	SinkURI string `json:"sinkURI,omitempty"`

	// Confirmable is true if the sink's template was found to use the run's
	// name, so that an unconfirmed request may be sent again.
	// +optional
	Confirmable bool `json:"confirmable,omitempty"`

	// RuntimeClassSince is when the RuntimeClass that the trigger names was made.
	// Runs that failed for want of it before are repeated.
	// +optional
	RuntimeClassSince *metav1.Time `json:"runtimeClassSince,omitempty"`

	// LastSweep tells of the latest comparison of the streams with the ledger.
	// +optional
	LastSweep *SweepStatus `json:"lastSweep,omitempty"`

	// Baselines are the entries of spec.images for registries, with their tags,
	// whose first sweep is complete: what a later one finds uncovered was pushed
	// since, though the registry shows no times.
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	// +optional
	Baselines []string `json:"baselines,omitempty"`

	// HistoryHorizon is the time before which sweeps ignore the history of a
	// tag (never its head), as entries that covered it were removed.
	// +optional
	HistoryHorizon *metav1.Time `json:"historyHorizon,omitempty"`
}

// SweepStatus tells of one sweep.
type SweepStatus struct {
	StartedAt  metav1.Time `json:"startedAt"`
	FinishedAt metav1.Time `json:"finishedAt"`
	// Repositories is how many repositories the selectors admitted.
	Repositories int32 `json:"repositories"`
	// Recovered is how many pushes the sweep recorded that no event had brought.
	Recovered int32 `json:"recovered"`
	// Pushes is how many pushes the repositories show that the trigger answers for.
	// +optional
	Pushes int32 `json:"pushes,omitempty"`
	// Gap is how many of these the ledger did not cover when the sweep ended.
	// +optional
	Gap int32 `json:"gap,omitempty"`
	// Artefacts is how many more pushes are shown that are exempt, as their content
	// proves that they cannot run: signatures, SBOMs and the like.
	// +optional
	Artefacts int32 `json:"artefacts,omitempty"`
	// Coverage says whether the ledger covered every push when the sweep ended. It is
	// empty after a sweep of a Revet that did not tell yet, which proves nothing.
	// +optional
	Coverage CoverageState `json:"coverage,omitempty"`
	// Unknown lists what the sweep could not see, by reason. While it is not empty,
	// pushes and gap count only what the sweep saw.
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	// +optional
	Unknown []Unknown `json:"unknown,omitempty"`
}

// CoverageState says whether the ledger covers every push that a trigger answers for.
//
// +kubebuilder:validation:Enum=Covered;Gap;NotKnown
type CoverageState string

// The states of coverage. The zero value means that nobody has looked.
const (
	// CoverageCovered: Revet saw everything, and the ledger covers all of it.
	CoverageCovered CoverageState = "Covered"
	// CoverageGap: a push is shown that the ledger does not cover.
	CoverageGap CoverageState = "Gap"
	// CoverageNotKnown: Revet could not see everything. Nothing is missing from what it
	// saw.
	CoverageNotKnown CoverageState = "NotKnown"
)

// Unknown is what a sweep could not see, for one reason.
type Unknown struct {
	// Reason is a word in CamelCase, such as StreamsNotVisible.
	Reason string `json:"reason"`
	// Count is how often the sweep met the reason.
	Count int32 `json:"count"`
	// Message says what the sweep met first.
	// +optional
	Message string `json:"message,omitempty"`
	// Cure is what to do about it.
	// +optional
	Cure string `json:"cure,omitempty"`
}
