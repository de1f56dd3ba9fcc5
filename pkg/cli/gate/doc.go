// Package gate is the command "gate test", which says what each gate would say of images.
//
// Contract: it changes nothing. It judges by gate.Rules.Judge over the ledger's entries,
// read live, and by the gates' own names, exemptions and pins. What it may not read, or
// cannot, is not known: that is never told as admitted, unless it cannot matter. Where the
// caller may make Pods, the API server is asked too, by a dry run, and a disagreement is
// told as such.
package gate
