// Package stepcmd holds the steps of the pipeline. Each step is a struct of options, a method Run
// that does the work, and a command that fills the struct from flags. The step programs call Run,
// and so does the command that checks an image without a cluster.
//
// All step programs exit and talk to registries in the same way. Exit status 0 means that the step
// did its work, whatever it found. Exit status 1 means that it did not. The step then prints the
// reason as one line on standard error and, with --results, writes it to the result "error".
//
// Contract: Run returns nil if the step did its work, whatever it found out about the image. It
// returns an error if there can be no verdict. A step writes its files into the layout that fetch
// created, and its Tekton results into the results directory, if one is named.
package stepcmd
