// Package attestation says what a signed verdict states, signs it, and verifies it. It does no
// I/O.
//
// A signed verdict is a SLSA verification summary (VSA) of version 1 about an image and those
// images of its index that the run looked at, in a DSSE envelope, in a Sigstore bundle.
//
// Contract:
//   - Only a verdict "pass" is ever stated: consumers such as "cosign verify" take any bundle
//     by a trusted key for a signature, whatever it says.
//   - A statement follows from the entry and the Verifier alone, and a signature from the
//     statement and the key: the same input always gives the same bytes. So a digest that was
//     recorded before a crash is enough to make its bytes again.
//   - A Ring signs with the newest of its keys whose day has come. What a key signed counts
//     until the key is taken out of the ring.
//   - Next decides what the attestor does next about an entry, from values alone.
//   - Verify answers for one bundle, and says what nobody checked.
package attestation
