// Package cli is the command line "kubectl revet".
//
// Contract: Run parses arguments, runs one command and returns the exit status:
// 0, 1 for an error, 2 for a wrong use of the command line. Results go to
// standard output, everything else to standard error. root.go lists the commands; each
// is a package below this one and imports no other command.
package cli
