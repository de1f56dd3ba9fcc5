// Package stepcmd holds the steps of the pipeline. Each step is a struct with its options,
// a method Run that does the work, and a command that fills the struct from flags. The
// programs of the steps, and the command that checks an image without a cluster, call the
// same Run.
//
// The programs that hold them share how they end, and how they speak to registries. Exit
// status 0 means that a step did its work, whatever it found, and 1 that it did not. Then
// the reason is one line on standard error and, where --results names a directory, the
// result "error" in it.
//
// Contract: Run returns nil if the step did its work, whatever it found out about the
// image, and an error if there can be no verdict. Files go into the layout that fetch
// began; results, where a directory is named, are Tekton's.
package stepcmd
