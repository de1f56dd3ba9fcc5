// Package oci reads everything a digest names. It walks manifests and configurations, tells images
// from content that cannot run, and stores what fetch pulled in a directory.
//
// Walk does no I/O itself. It reads through a function that its caller provides, and that function
// vouches for the digest of what it returns. Package image decides from the bytes alone what a
// document is. Bytes that one reader could take for an index and another for an image are
// ReasonUnreadable. ReasonNotAnImage needs a proof. Walk visits every child of an index that a
// runtime on a host of a selected platform could choose.
//
// Layout is an OCI image layout that the steps of a Pod share. A blob gets its name only after its
// bytes are hashed, so no reader finds half a blob. index.json is written last and marks the layout
// as complete. Tree hashes everything again, because a step trusts the directory no more than it
// trusts a registry. Besides the standard files, reports/ holds the reports of checks, sbom/ the
// SBOM of each image, and scan/ the scanner's files. CreateLayout removes all three. An annotation
// in index.json records which platforms of an index were selected.
//
// Every error of Walk is an *Error with a typed Reason. It means that Revet can say nothing about
// the image, never that the image fails a check.
package oci
