// Package command is what the commands of kubectl-revet share: the environment
// they run in, access to the cluster, arguments that name an image, tables, and
// the cure of each reason.
//
// Contract: a command writes its result to standard output and everything else to
// standard error. Execute turns its error into the exit status: 1, 2 for a wrong use of the
// command line, or the status of a StatusError.
package command
