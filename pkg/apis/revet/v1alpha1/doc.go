// Package v1alpha1 holds Revet's API: ImageTrigger, what a user declares, and
// ImageVerification, the ledger that Revet keeps.
//
// The CustomResourceDefinitions in config/ are generated from these types by
// controller-gen (make generate). Conditions are written through the Mark
// functions of this package only, so that reasons and messages stay stable.
//
// +kubebuilder:object:generate=true
// +groupName=revet.dev
package v1alpha1
