// Package signature says whether a trusted key signed an image's digest, as cosign
// signs.
//
// Contract: a signature counts only if a trusted key made it, over a document
// that names the digest itself. Both of cosign's forms are read:
//
//	the tag sha256-HEX.sig       a manifest whose layers are payloads in the
//	                             simple signing format, each with its signature
//	                             in an annotation
//	a referrer of the digest     a Sigstore bundle with a DSSE envelope, over an
//	                             in-toto statement with cosign's own predicate;
//	                             found by the referrers API or its fallback tag
//
// Bundles of anything else, such as attestations, are passed over in every version
// of the format; a signature counts in the version that cosign makes and takes.
// What a bundle is, its bytes say: lists of referrers, their types and annotations
// decide only what is read first. At most 64 signatures of each form are looked at,
// and what is no signature is not counted.
//
// Nothing but keys is trusted: no certificates, and transparency
// logs are not asked. What a signature claims beside the digest, such as a
// reference or annotations, is not looked at.
//
// A signature on an index covers all that the index names, since it names it by
// digest. A signature on an image of the index does not cover the index.
//
// Policy Required fails what no trusted key signed. Optional fails what has
// signatures of which none is by a trusted key: whoever signs wants to be
// checked, and a signature that does not hold is a stronger sign than none. Who can
// write to the repository can also delete signatures, which Optional cannot see.
// What cannot be read is an error and not "unsigned": that nobody signed takes a
// whole answer. A signature that holds does so whatever else cannot be read.
package signature
