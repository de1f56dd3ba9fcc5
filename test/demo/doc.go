// Package demo pushes images to the local cluster and tells, while it happens,
// what becomes of each: push, event, recorded, fired, run started, Pod, verdict.
//
// Contract: Run returns an Account taken from the ledger and from what was
// pushed, and never counts what it did not see. The times printed are those of
// the machine's one clock, relative to the moment the push began.
package demo
