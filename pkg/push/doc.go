// Package push decides what counts as a push. It compares what a repository shows with what is
// already known about it.
//
// Contract: Detect is pure. The receiver, the sweeps and "kubectl revet pushes" all call it. A push
// is identified by repository incarnation, tag, digest, and the item's creation time to the second,
// never by an event's id, a generation or a resourceVersion. For every item that is not a push,
// Detect returns a Skip with a typed reason, so that callers can count them. The package imports
// only the standard library and package image.
package push
