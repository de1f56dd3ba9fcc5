package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AttestationState is where an attestation stands.
//
// +kubebuilder:validation:Enum=Pending;Published;NotPublished;NotRemoved
type AttestationState string

// The states of an attestation. One that was removed is no longer listed.
const (
	// AttestationPending: it is being published, and may be in the registry already.
	AttestationPending AttestationState = "Pending"
	// AttestationPublished: the registry lists it beside every image that it is about.
	AttestationPublished AttestationState = "Published"
	// AttestationNotPublished: the registry refuses it. It may be there in part.
	AttestationNotPublished AttestationState = "NotPublished"
	// AttestationNotRemoved: it no longer holds, and the registry refuses to remove it.
	AttestationNotRemoved AttestationState = "NotRemoved"
)

// AttestationStatus is a signed verdict that is, or may be, in the registry.
type AttestationStatus struct {
	// Bundle is the digest of the Sigstore bundle's bytes. It is recorded before the bundle
	// is sent.
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	Bundle string `json:"bundle"`
	// Key is the id of the key that signed.
	// +kubebuilder:validation:MaxLength=128
	Key string `json:"key"`
	// Run is the name of the PipelineRun whose verdict it states.
	// +kubebuilder:validation:MinLength=1
	Run string `json:"run"`
	// VerifiedAt is the time of that verdict.
	VerifiedAt metav1.Time `json:"verifiedAt"`
	// Subjects are the images that it is attached to.
	// +kubebuilder:validation:MaxItems=65
	// +listType=atomic
	// +optional
	Subjects []AttestationSubject `json:"subjects,omitempty"`
	State    AttestationState     `json:"state"`
	// Reason says in CamelCase why the registry refuses it.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Reason string `json:"reason,omitempty"`
	// Message says the reason in words.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`
	// At is when the state was last found out.
	At metav1.Time `json:"at"`
	// Since is when it was found out first. Absent, an earlier version recorded the state.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
}

// StateSince returns since when the attestation is known to be in its state.
func (a *AttestationStatus) StateSince() metav1.Time {
	if a.Since != nil && !a.Since.IsZero() {
		return *a.Since
	}
	return a.At
}

// AttestationSubject is an image with an attestation.
type AttestationSubject struct {
	// Digest is that of the image or index.
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	Digest string `json:"digest"`
	// Manifests are the digests of the artefacts that attach the bundle to it: until it is
	// published, of every one that may have been sent. There are none if nothing was sent.
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:Pattern=`^sha256:[0-9a-f]{64}$`
	// +listType=atomic
	// +optional
	Manifests []string `json:"manifests,omitempty"`
}
