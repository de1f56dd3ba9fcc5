// Package image holds the values that describe image content. Digest, Repository and Reference name
// it. Manifest, Descriptor and Platform are read from it. Content is the one decision on what an
// image is.
//
// Contract: each name is a struct that only one parser makes, and the parser checks everything. The
// zero value is invalid, and IsZero reports it. Plain strings appear only on the wire.
//
// Content works the other way round. Its zero value means "nothing known", and counts as runnable,
// so that nothing goes unverified by mistake. Content is decided as runtimes decide, from bytes
// whose digest was recomputed: a document with manifests is an index, and one with a config is the
// manifest of an image or an artefact. Tags, annotations, Content-Type and API objects play no
// part. Only these are exempt:
//   - a manifest that declares that its config is not an image's, so that runtimes
//     which check this refuse it, and that names no layers for the other runtimes;
//   - a manifest whose layers were all read, each under 1 MiB, and none of which is an
//     archive that a runtime unpacks, whatever its media type;
//   - an index whose children were all read and are exempt, or that has no manifests.
//
// Choice is the set of children of an index that the runtimes on a host could take. In doubt it
// contains more.
//
// The package imports only the standard library and does no I/O. Its decisions read through a
// function that the caller provides, and that function vouches for the digest of what it returns.
package image
