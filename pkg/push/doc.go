// Package push decides what is a push: it compares what a repository shows with
// what is known of it.
//
// Contract: Detect is pure. It is the one function that the receiver, the
// sweeps and "kubectl revet pushes" call. A push is (repository incarnation,
// tag, digest, the item's creation time to the second); never an event's id,
// a generation or a resourceVersion. What is not a push comes back as a Skip
// with a typed reason, so that it can be counted. The package imports the
// standard library and package image only.
package push
