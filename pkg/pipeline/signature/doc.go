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
// Bundles with other predicates are attestations and no signatures; they are
// passed over. Nothing but keys is trusted: no certificates, and transparency
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
// What cannot be read is an error and not "unsigned".
package signature
