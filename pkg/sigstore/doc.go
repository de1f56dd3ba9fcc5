// Package sigstore reads and writes what Sigstore's clients exchange: public keys, DSSE
// envelopes, and bundles of version 0.3. It does no I/O.
//
// Contract:
//   - A key is ECDSA on P-256, RSA of at least 2048 bits, or Ed25519, in PEM. Anything else is
//     an error and never one key less.
//   - An envelope's signature counts only over the pre-authentication encoding of its payload
//     and the payload's type. What an envelope says of its key is not asked.
//   - Whoever reads a bundle decides what kinds of payload and which versions count.
package sigstore
