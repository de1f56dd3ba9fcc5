// Package command is what the programs of the pipeline's steps have in common: how
// they end, and how they are told to speak to registries.
//
// Contract: exit status 0 means that the step did its work, whatever it found; 1
// that it did not. Then the reason is one line on standard error and, where
// --results names a directory, the result "error" in it.
package command
