package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// VerifiedImages is what a gate's admission policies look up. Only Revet's controller
// writes it. A gate has one, or sixteen by the first hexadecimal digit of the digests,
// and one more for tags.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=verifiedimages,singular=verifiedimages,shortName=vi
// +kubebuilder:printcolumn:name="Gate",type=string,JSONPath=`.metadata.labels.revet\.dev/gate`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type VerifiedImages struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Digests maps each digest that is admitted, as 64 hexadecimal digits without
	// "sha256:", to the time of its verdict in RFC 3339. It is one value to the API server,
	// whose record of who owns which key would otherwise be larger than the map.
	// +mapType=atomic
	// +optional
	Digests map[string]string `json:"digests,omitempty"`
	// Ran maps each digest that passed and ran in the gate's namespaces to the time when it
	// was last seen running. It decides for expired digests where onExpired is Warn.
	// +mapType=atomic
	// +optional
	Ran map[string]string `json:"ran,omitempty"`
	// Tags maps each known tag, as normalised host/path:tag, to the 64 hexadecimal digits
	// of the digest that it is pinned to, or to a reason in CamelCase why it is not.
	// +mapType=atomic
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
	// UntrustedOwners maps the UIDs of workloads whose break-glass label does not count to
	// kind/namespace/name. The key "*" stands for all workloads, and "namespace/NAME" for
	// those of a namespace.
	// +mapType=atomic
	// +optional
	UntrustedOwners map[string]string `json:"untrustedOwners,omitempty"`
}

// VerifiedImagesList is a list of VerifiedImages.
//
// +kubebuilder:object:root=true
type VerifiedImagesList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []VerifiedImages `json:"items"`
}
