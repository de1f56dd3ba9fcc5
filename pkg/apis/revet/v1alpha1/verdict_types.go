package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Verdict is what the newest run that gave one concluded about the entry's digest. It
// stands while another run is under way or ends without a verdict; only a newer verdict
// replaces it. It has no end of its own: who relies on it decides how old it may be.
type Verdict struct {
	// Outcome is pass or fail.
	// +kubebuilder:validation:Enum=pass;fail
	Outcome Outcome `json:"outcome"`
	// Run is the name of the PipelineRun that gave it.
	// +kubebuilder:validation:MinLength=1
	Run string `json:"run"`
	// Number is the number of that run in the entry.
	// +optional
	Number int32 `json:"number,omitempty"`
	// At is when that run finished.
	At metav1.Time `json:"at"`
	// TriggerGeneration is the generation of the trigger that the run was decided under.
	// +optional
	TriggerGeneration int64 `json:"triggerGeneration,omitempty"`
	// PolicyDigest is over everything that decided: rules, scan policy, exceptions and VEX,
	// keys, parameters, the database and the images of the steps. Empty if the pipeline
	// does not tell it.
	// +kubebuilder:validation:MaxLength=128
	// +optional
	PolicyDigest string `json:"policyDigest,omitempty"`
	// Parts are the first 12 hexadecimal digits of the digest of each part of the policy,
	// by the part's name. A pipeline need not tell them.
	// +kubebuilder:validation:MaxProperties=16
	// +optional
	Parts map[string]string `json:"parts,omitempty"`
	// Database is the vulnerability database that was used.
	// +optional
	Database *VerdictDatabase `json:"database,omitempty"`
	// Checks are the checks that looked at the image.
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=32
	// +listType=atomic
	// +optional
	Checks []string `json:"checks,omitempty"`
	// Off are the checks that were switched off: nothing is known of what they ask.
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=32
	// +listType=atomic
	// +optional
	Off []string `json:"off,omitempty"`
	// Platforms are those that were looked at, as os/architecture[/variant].
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=64
	// +listType=atomic
	// +optional
	Platforms []string `json:"platforms,omitempty"`
	// PlatformsOmitted counts looked-at images whose platform is not listed. Where it is
	// not 0, a platform that is missing above is not known to be unseen.
	// +optional
	PlatformsOmitted int32 `json:"platformsOmitted,omitempty"`
	// Unselected counts the images of an index that nobody looked at.
	// +optional
	Unselected int32 `json:"unselected,omitempty"`
	// Inventory is the list of packages that the verdict is about.
	// +optional
	Inventory *VerdictInventory `json:"inventory,omitempty"`
	// Sandbox is the class that was requested and the one that Pods had.
	// +optional
	Sandbox VerdictSandbox `json:"sandbox,omitempty"`
}

// VerdictDatabase identifies the vulnerability database of a verdict.
type VerdictDatabase struct {
	// Digest is that of the database's artefact.
	// +kubebuilder:validation:MaxLength=128
	Digest string `json:"digest"`
	// AsOf is the time of its data.
	// +optional
	AsOf *metav1.Time `json:"asOf,omitempty"`
}

// VerdictInventory identifies the packages that a verdict is about.
type VerdictInventory struct {
	// Digest is SHA-256 over the inventory's bytes, as sha256:hex.
	// +kubebuilder:validation:MaxLength=128
	Digest string `json:"digest"`
	// Reference is where it is stored, as host/repository@sha256:hex. Empty if it is not.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Reference string `json:"reference,omitempty"`
}

// VerdictSandbox is where the run of a verdict executed.
type VerdictSandbox struct {
	// Requested is the RuntimeClass that was asked for; empty for none.
	// +optional
	Requested string `json:"requested,omitempty"`
	// Observed are the RuntimeClasses of the run's Pods; "" stands for none.
	// +kubebuilder:validation:MaxItems=8
	// +listType=atomic
	// +optional
	Observed []string `json:"observed,omitempty"`
}
