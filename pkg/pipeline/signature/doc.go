// Package signature decides whether a trusted key signed an image's digest, as cosign signs.
//
// A signature counts only if a trusted key made it over a document that names the digest
// itself. The package reads both of cosign's forms:
//
//	the tag sha256-HEX.sig       a manifest whose layers are payloads in the
//	                             simple signing format, each with its signature
//	                             in an annotation
//	a referrer of the digest     a Sigstore bundle with a DSSE envelope, over an
//	                             in-toto statement with cosign's own predicate;
//	                             found by the referrers API or its fallback tag
//
// It passes over bundles of anything else, such as attestations, in every version of the
// format. A signature counts in the versions that cosign writes and accepts. The bytes of a
// bundle decide what it is: lists of referrers, their types and annotations only decide what
// is read first. At most 64 signatures of each form are read, and only signatures count.
//
// Only keys are trusted. The package trusts no certificates, asks no transparency logs, and
// ignores what a signature claims besides the digest, such as a reference or annotations.
//
// A signature on an index covers everything that the index names, because it names it by
// digest. A signature on one image of the index does not cover the index.
//
// The policy Required fails an image that no trusted key signed. Optional fails an image that
// has signatures, none of them by a trusted key: its owner wants them checked, and a signature
// that does not hold is a stronger sign than none. Whoever can write to the repository can
// also delete signatures, which Optional cannot see. A signature that cannot be read is an
// error and never "unsigned", because only a complete answer proves that nobody signed. One
// signature that holds is enough, whatever else cannot be read.
package signature
