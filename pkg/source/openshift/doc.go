// Package openshift decodes the events of a Knative ApiServerSource about
// OpenShift's ImageStreams and Images, and converts those objects to Revet's
// own values.
//
// Contract: everything here is pure. Decode takes a CloudEvent of the types
// dev.knative.apiserver.resource.{add,update,delete} (the whole object) or
// dev.knative.apiserver.ref.{add,update,delete} (only its reference) and returns
// an Observation. An event of another type, or about another kind, is an
// Observation whose Ignored says so; it is not an error. An event of a known
// type that cannot be decoded, or whose attributes and body disagree, is a
// DecodeError, which is permanent: sending it again gives the same.
//
// An Observation is a hint: anybody who reaches the receiver can send one.
// Whoever acts on it reads the object from the API server first and converts
// that with Stream, Content and Facts.
package openshift
