// Package explain is the command "explain", which prints everything that the ledger
// knows of one image: its pushes, its runs, what they found, and what to do about it.
//
// Contract: a pure function builds a Report from an ImageVerification, and all outputs
// print that Report.
package explain
