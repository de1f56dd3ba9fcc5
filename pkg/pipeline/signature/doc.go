// Package signature decides whether a trusted key signed an image's digest, as cosign signs.
//
// A signature counts only if a trusted key made it over a document that names the digest itself.
// The package reads both of cosign's forms:
//
//	the tag sha256-HEX.sig       a manifest whose layers are payloads in the
//	                             simple signing format, each with its signature
//	                             in an annotation
//	a referrer of the digest     a Sigstore bundle with a DSSE envelope, over an
//	                             in-toto statement with cosign's own predicate;
//	                             found by the referrers API or its fallback tag
//
// The package ignores bundles that are not signatures, such as attestations, in every version of
// the format. It accepts signatures in the versions that cosign writes and accepts. The bytes of a
// bundle decide what it is. Lists of referrers, their types and their annotations decide only what
// the package reads first. It reads at most 64 signatures of each form; other referrers do not
// count towards this limit.
//
// The package trusts keys only. It trusts no certificates, asks no transparency logs, and ignores
// what a signature claims besides the digest, such as a reference or annotations.
//
// A signature on an index covers everything that the index names, because the index names it by
// digest. A signature on one image of the index does not cover the index.
//
// The policy Required fails an image that no trusted key signed. Optional fails an image that has
// signatures, but none by a trusted key: its owner wants signatures checked, and an invalid
// signature is a stronger warning than none. Optional cannot see deleted signatures, and whoever
// can write to the repository can delete them. If a signature cannot be read, the result is an
// error and never "unsigned", because only a complete answer proves that nobody signed. One valid
// signature is enough, even if others cannot be read.
package signature
