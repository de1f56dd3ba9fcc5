// Package attestation attaches signed verdicts to images in their registries, and removes those
// that no longer hold.
//
// Contract: attestation.Next decides everything. A Reconciler does the one step that it returns,
// records it in status.attestations of the entry, and asks again. Every step can be repeated: what
// will be sent is recorded before it is sent, the same statement always has the same bytes, and
// what is gone is found gone. A statement that cannot be made again as it was recorded, because
// another version of the program or another key would make other bytes, is withdrawn and made
// anew, so that there is never more than one of a verdict.
//
// Registries are written under the entry's lease only, one image at a time. The entry is read
// live before anything is done about it.
//
//	reconciler.go  options, the loop, one case for each step
//	publish.go     signing and sending
//	remove.go      withdrawing, and what a registry refuses
//	check.go       whether what is published is still listed
//	handlers.go    what makes an entry be looked at
package attestation
