// Package content walks from a digest to all that it names, and tells images from
// what cannot run.
//
// Contract: pkg/image decides what a document is, from its bytes alone. Bytes that
// could be read both as an index and as an image are ReasonUnreadable, so that two
// readers cannot see two different images; ReasonNotAnImage is only what is proven.
// Of an index, every child is looked at that a runtime could take on a host of a
// chosen platform. The package does no I/O: Walk reads through a function that its
// caller gives, and that function answers for the digest of what it returns.
//
// Every error is an *Error with a typed Reason. None of them means that the image
// fails a check; they mean that it could not be judged.
package content
