// Command cluster brings the local cluster up and takes it down.
//
// Contract: `up` returns when the cluster can be used and leaves it running;
// `down` returns when nothing of it is left; `status` prints what runs and ends
// with 0 only if something does. Each works on the checkout that the working
// directory is in. Progress goes to standard error, results to standard output.
// The command's hidden arguments, role and registry, are the cluster's own
// processes: package node starts them.
package main
