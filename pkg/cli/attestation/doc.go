// Package attestation is the command "attestation verify", which does what a consumer of signed
// verdicts should do.
//
// Contract: it asks the image's registry and no cluster. It reads every bundle beside the image,
// or fails: a verdict by a trusted key that is not PASSED outweighs the others, so that one that
// was not read could change the answer. It says what it did not check.
package attestation
