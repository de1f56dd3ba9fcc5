// Package content says what an image is: it reads manifests, indexes and
// configurations, and walks from a digest to all that it names.
//
// Contract: what a document is follows from its bytes alone. A Content-Type
// header is never asked, and bytes that could be read both as an index and as
// an image are refused, so that two readers cannot see two different images.
// The package does no I/O: Walk reads through a function that its caller
// gives, and that function answers for the digest of what it returns.
//
// Every error is an *Error with a typed Reason. None of them means that the
// image fails a check; they mean that it could not be judged.
package content
