// Package openshift reads OpenShift's ImageStreams and Images: from events, from lists and from
// the API server.
//
// Contract:
//   - Reader is the one way to read them from the API server. It never caches, and it takes
//     no failure for something that does not exist.
//   - Decode takes a CloudEvent of a Knative ApiServerSource: of the types
//     dev.knative.apiserver.resource.{add,update,delete} with the whole object, or
//     dev.knative.apiserver.ref.{add,update,delete} with its reference. It returns an
//     Observation. The Ignored of an Observation says why an event of another type or kind
//     was passed over; that is no error. An event that cannot be decoded, or whose attributes
//     and body disagree, is a DecodeError, which lasts.
//   - An Observation is a hint: anybody who reaches the receiver can send one. Read the object
//     with a Reader before you act on it.
//   - An Image object is a hint as well: anybody may write one before the digest is pushed. It
//     may only make Revet look at more.
//   - Stream, Runs, Facts, DecodeList and DecodeObject are pure.
package openshift
