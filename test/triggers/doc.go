// Package triggers holds the tests of the manifests in triggers/: they decode
// into Tekton's own types, pass Tekton's own validation, fit each other, and
// render with Tekton's own code to the PipelineRun that Revet expects, whatever
// a request says. The package has no code of its own.
package triggers
