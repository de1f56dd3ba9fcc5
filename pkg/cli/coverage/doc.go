// Package coverage is the command "coverage", which prints for each ImageTrigger
// whether every push is covered, as pkg/coverage decides.
//
// Contract: the exit status is 0 only for a proof, 1 for a gap, for a doubled run and for
// anything that could not be read, and 2 for an error.
package coverage
