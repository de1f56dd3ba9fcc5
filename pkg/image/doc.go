// Package image holds the values that name image content: Digest, Repository and
// Reference; what is read of it: Manifest, Descriptor and Platform; and the one
// decision on what an image is: Content.
//
// Contract: each name is a struct made by one parser that checks everything; the
// zero value is invalid and says so through IsZero. Strings stand only on the wire.
//
// Content is the opposite: its zero value is "nothing known", and what is not known
// is runnable, so that nothing goes unverified by mistake. It is decided from bytes
// whose digest was recomputed, as runtimes decide: what has manifests is an index,
// what has a config is the manifest of an image or an artefact. No tag, annotation,
// Content-Type or object of an API takes part. Exempt is only
//   - a manifest whose config is declared to be none of an image, where runtimes
//     look at that, and names no layers to those that do not;
//   - a manifest all of whose layers were read, each under 1 MiB, and none is an
//     archive that a runtime unpacks, whatever its media type;
//   - an index all of whose children were read and are exempt, or no manifests.
//
// Choice is which children of an index the runtimes of a host could take. It errs on
// the side of more.
//
// The package imports the standard library only and does no I/O: what decides reads
// through a function that its caller gives, and that function answers for the digest
// of what it returns.
package image
