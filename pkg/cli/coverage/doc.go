// Package coverage is the command "coverage", which prints for each ImageTrigger
// whether every push is covered, as pkg/coverage decides.
//
// Contract: the exit status is 0 if every trigger is covered, 1 if one has a gap or a
// doubled run or is not known, and 2 for an error. With --running it is 1 if anything that
// runs is not verified, or that is not known.
package coverage
