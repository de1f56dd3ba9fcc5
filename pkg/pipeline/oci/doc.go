// Package oci reads what a digest names: it walks manifests and configurations,
// tells images from what cannot run, and keeps what was fetched in a directory.
//
// Walk reads through a function that its caller provides, and does no I/O itself.
// That function answers for the digest of what it returns. Package image decides
// what a document is, from its bytes alone. Bytes that two readers could take for
// two things, an index and an image, are ReasonUnreadable. ReasonNotAnImage is
// only what is proven. Walk visits every child of an index that a runtime could
// choose on a host of a selected platform.
//
// Layout is an OCI image layout, which the steps of a Pod share. A blob gets its
// name only after its bytes are hashed, so nobody finds half a blob. index.json
// comes last and marks the layout as complete. Tree hashes everything again: a
// step trusts the directory no more than it trusts a registry. Besides the
// layout proper, reports/ holds the reports of checks, sbom/ the SBOM of each
// image, and scan/ the scanner's files. CreateLayout removes all three. An
// annotation in index.json records which platforms of an index were selected.
//
// Every error of Walk is an *Error with a typed Reason. It means that nothing can
// be said about the image, never that the image fails a check.
package oci
