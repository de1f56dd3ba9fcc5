package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ImageGate keeps images that were not verified from starting in the namespaces that it
// selects. It is cluster-scoped, so that only operators make one. The API server itself
// decides, by admission policies that the gate owns; no process of Revet is asked.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=ig,categories=revet
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.status.mode`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Digests",type=integer,JSONPath=`.status.digests`
// +kubebuilder:printcolumn:name="Running",type=integer,JSONPath=`.status.running.pods`
// +kubebuilder:printcolumn:name="Unverified",type=integer,JSONPath=`.status.running.unverified`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 40 && !self.metadata.name.contains('.')",message="metadata.name must be at most 40 characters without dots, as the names of the gate's policies begin with it"
type ImageGate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec ImageGateSpec `json:"spec"`
	// +optional
	Status ImageGateStatus `json:"status,omitempty"`
}

// ImageGateList is a list of ImageGates.
//
// +kubebuilder:object:root=true
type ImageGateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ImageGate `json:"items"`
}

// GateMode says what becomes of a Pod with an image that does not pass the gate.
//
// +kubebuilder:validation:Enum=Audit;Warn;Deny
type GateMode string

// The modes of a gate.
const (
	// GateAudit writes an audit annotation, and lets the Pod start.
	GateAudit GateMode = "Audit"
	// GateWarn also warns whoever makes the Pod.
	GateWarn GateMode = "Warn"
	// GateDeny refuses the Pod.
	GateDeny GateMode = "Deny"
)

// ExpiredPolicy says what becomes of a digest whose verdict is older than maxAge.
//
// +kubebuilder:validation:Enum=Warn;Deny
type ExpiredPolicy string

// The policies for expired verdicts.
const (
	// ExpiredWarn admits a digest that ran in the gate's namespaces within 30 days, with a
	// warning. Others are treated as unknown ones are.
	ExpiredWarn ExpiredPolicy = "Warn"
	// ExpiredDeny treats every expired digest as an unknown one.
	ExpiredDeny ExpiredPolicy = "Deny"
)

// PinPolicy says which digest a tag stands for.
//
// +kubebuilder:validation:Enum=Newest;LastPassed;Off
type PinPolicy string

// The policies for tags.
const (
	// PinNewest pins a tag to its newest recorded push if that passed; otherwise the tag
	// is refused.
	PinNewest PinPolicy = "Newest"
	// PinLastPassed pins a tag to the newest of its pushes that passed.
	PinLastPassed PinPolicy = "LastPassed"
	// PinOff refuses references without a digest.
	PinOff PinPolicy = "Off"
)

// ImageGateSpec says which namespaces are gated, and what an image needs to start there.
//
// +kubebuilder:validation:XValidation:rule="!has(self.force) || !self.force || self.mode == 'Deny'",message="force only makes sense with mode: Deny"
type ImageGateSpec struct {
	// NamespaceSelector selects the gated namespaces by label; an empty one selects all.
	// Namespaces that the operator excludes in ConfigMap config-gate, and those in which
	// trusted triggers run, are never gated.
	// +required
	NamespaceSelector metav1.LabelSelector `json:"namespaceSelector"`
	// Trust names the triggers whose verdicts count.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=trigger
	Trust []TrustedTrigger `json:"trust"`
	// Require says what a verdict must have looked at to count.
	// +optional
	Require GateRequirements `json:"require,omitempty"`
	// MaxAge is how old a verdict may be.
	// +kubebuilder:default="168h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('8760h')",message="maxAge must be between 1m and 8760h"
	// +optional
	MaxAge metav1.Duration `json:"maxAge,omitempty,omitzero"`
	// +kubebuilder:default=Warn
	// +optional
	OnExpired ExpiredPolicy `json:"onExpired,omitempty"`
	// Mode is Audit until it says otherwise. A gate goes to Deny only once everything that
	// runs is verified (condition AllRunningVerified), or with force.
	// +kubebuilder:default=Audit
	// +optional
	Mode GateMode `json:"mode,omitempty"`
	// Force lets the gate go to Deny although unverified images run. They keep running,
	// and cannot be started again.
	// +optional
	Force bool `json:"force,omitempty"`
	// +kubebuilder:default=Newest
	// +optional
	PinTags PinPolicy `json:"pinTags,omitempty"`
	// Exempt lists images that need no verdict.
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	Exempt []GateExemption `json:"exempt,omitempty"`
}

// TrustedTrigger names a trigger whose verdicts count. Entries of an earlier trigger of
// that name count until they expire.
type TrustedTrigger struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Trigger string `json:"trigger"`
}

// GateRequirements say what a verdict must have looked at to count.
type GateRequirements struct {
	// Checks must all have looked at the image.
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=32
	// +listType=set
	// +optional
	Checks []string `json:"checks,omitempty"`
	// Sandboxed is true if the run must have executed in a RuntimeClass.
	// +optional
	Sandboxed bool `json:"sandboxed,omitempty"`
	// Platforms must all have been looked at, as os/architecture[/variant]. An image for a
	// single platform needs only its own to be among them.
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=64
	// +listType=set
	// +optional
	Platforms []string `json:"platforms,omitempty"`
	// DatabaseMaxAge is how old the vulnerability database's data may have been when the
	// verdict was given.
	// +optional
	DatabaseMaxAge *metav1.Duration `json:"databaseMaxAge,omitempty"`
}

// GateExemption lets images start without a verdict.
type GateExemption struct {
	// Images is a pattern for the whole normalised name, with or without :tag, such as
	// registry.k8s.io/**. A star stands for anything but a slash, and ** for any segments.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Images string `json:"images"`
	// Reason says why, for people.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason"`
	// Expires is the last day of the exemption, in UTC, as YYYY-MM-DD.
	// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`
	// +optional
	Expires string `json:"expires,omitempty"`
}

// ImageGateStatus is what the gate does and what runs behind it.
type ImageGateStatus struct {
	// ObservedGeneration is the generation that the policies in force follow.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Mode is the mode that the policies are written for. API servers take a change of it up
	// within seconds; the condition Ready says "is in force" once they had the time.
	// +optional
	Mode GateMode `json:"mode,omitempty"`
	// Shards is the number of policies by digest: 1, or 16.
	// +optional
	Shards int32 `json:"shards,omitempty"`
	// Digests is the number of digests that the gate admits.
	// +optional
	Digests int64 `json:"digests,omitempty"`
	// Omitted is the number of digests that should be admitted and found no room.
	// +optional
	Omitted int64 `json:"omitted,omitempty"`
	// Pending is the number of digests that are verified and not yet written, and
	// PendingSince the time of the oldest of those verdicts.
	// +optional
	Pending int64 `json:"pending,omitempty"`
	// +optional
	PendingSince *metav1.Time `json:"pendingSince,omitempty"`
	// Running says what runs in the gated namespaces.
	// +optional
	Running RunningStatus `json:"running,omitempty"`
	// BreakGlass counts the uses of break-glass that were seen, and tells of the latest.
	// +optional
	BreakGlass BreakGlassStatus `json:"breakGlass,omitempty"`
	// UntrustedTemplates are workloads that carried the break-glass label before the gate
	// guarded it. The label does not count for their Pods.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	UntrustedTemplates []WorkloadReference `json:"untrustedTemplates,omitempty"`
	// TemplatesListed says for which selection, and up to which version of the namespaces,
	// workloads with the break-glass label were listed. It is for the controller that leads
	// next: namespaces that came to be gated since are listed then.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	TemplatesListed string `json:"templatesListed,omitempty"`
	// Conditions are Ready, TrustResolved, AllRunningVerified, UpToDate and Complete.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// RunningStatus counts the Pods in the gated namespaces by the worst of their images.
type RunningStatus struct {
	// ObservedAt is when the last complete list of Pods was read.
	// +optional
	ObservedAt *metav1.Time `json:"observedAt,omitempty"`
	// ToldAt is up to when all turns of verdicts of what runs were told. A controller that
	// takes over tells what turned since.
	// +optional
	ToldAt *metav1.Time `json:"toldAt,omitempty"`
	// Pods is the sum of the counts below but unverified.
	// +optional
	Pods int64 `json:"pods,omitempty"`
	// +optional
	Verified int64 `json:"verified,omitempty"`
	// +optional
	Expired int64 `json:"expired,omitempty"`
	// +optional
	Failed int64 `json:"failed,omitempty"`
	// +optional
	Unknown int64 `json:"unknown,omitempty"`
	// +optional
	Exempt int64 `json:"exempt,omitempty"`
	// +optional
	BreakGlass int64 `json:"breakGlass,omitempty"`
	// Unverified is the sum of expired, failed, unknown and breakGlass.
	// +optional
	Unverified int64 `json:"unverified"`
	// Worst are the first 20 Pods that are not verified: failed ones first.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Worst []RunningImage `json:"worst,omitempty"`
}

// RunningImage is one image that runs, and why it is not verified.
type RunningImage struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Container string `json:"container,omitempty"`
	// Image is the reference in the Pod, and Digest what the node runs, if it is known.
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image"`
	// +optional
	Digest string `json:"digest,omitempty"`
	// Standing is Expired, Failed, Unknown or BreakGlass.
	Standing string `json:"standing"`
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`
}

// BreakGlassStatus tells of the uses of break-glass.
type BreakGlassStatus struct {
	// Uses counts the Pods that were seen.
	// +optional
	Uses int64 `json:"uses,omitempty"`
	// LastAt, LastPod (namespace/name) tell of the latest.
	// +optional
	LastAt *metav1.Time `json:"lastAt,omitempty"`
	// +optional
	LastPod string `json:"lastPod,omitempty"`
}

// WorkloadReference names a workload.
type WorkloadReference struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
}
