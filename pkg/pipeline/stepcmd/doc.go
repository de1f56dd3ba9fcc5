// Package stepcmd holds the steps of the pipeline: each is a struct of what it is
// told, a method Run that does the work, and a command that fills the struct from
// flags. The programs of the steps and the command that checks an image without a
// cluster call the same Run.
//
// Contract: Run returns nil if the step did its work, whatever it found out about the
// image, and an error if there can be no verdict. Files go into the layout that fetch
// began; results, where a directory is named, are Tekton's.
package stepcmd
