// Package runresult names the results of a PipelineRun: what the pipeline writes, and
// what Revet reads. A pipeline of your own writes the same results.
package runresult

// The names of the results.
const (
	// Verdict is Pass or Fail. Without it the run has no verdict.
	Verdict = "verdict"
	// Digest is the digest that the pipeline fetched, recomputed from its bytes.
	Digest = "digest"
	// Summary describes the checks as JSON, in at most MaxSummary bytes.
	Summary = "summary"
	// BasisResult says as JSON what the verdict rests on, in at most MaxBasis bytes: see [Basis].
	// A pipeline of your own may leave it out.
	BasisResult = "basis"
	// Report is the OCI reference of the full report, or empty.
	Report = "report"
	// Error says in one line why a step failed. It never comes with a verdict.
	Error = "error"
	// Outcome is the result of a Task whose checks another Task joins with others.
	Outcome = "outcome"
	// Published is the result of a Task that publishes the documents of another.
	Published = "published"
)

// The values of Verdict.
const (
	Pass = "pass"
	Fail = "fail"
)

// The bounds of the JSON results, in bytes.
const (
	MaxSummary = 2048
	MaxBasis   = 1024
)
