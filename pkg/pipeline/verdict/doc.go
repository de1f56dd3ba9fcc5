// Package verdict joins what Tasks came to into the results of a run.
//
// Contract: Combine is pure. The verdict is pass only if every expected check
// reported, if all of them looked at the same digest and at the same images, and
// if nothing of severity error was found. A check that did not report, or that
// looked at something else, is an error and no verdict; so is a check that nobody
// expected, as it would be ignored otherwise. Checks that were switched off are
// named in the summary, and something must have been checked. Join does the same
// for the reports of one layout.
//
// The results, each a file of the name below, are what Revet reads from the
// PipelineRun:
//
//	verdict  pass or fail
//	digest   what was fetched, recomputed from its bytes
//	summary  a Summary as JSON, at most MaxSummary bytes
//	report   an OCI reference of the full report, or empty
//	error    of a step that fails: why, in one line. Never beside a verdict.
//
// A Task that others are joined with has the result "outcome" instead; see
// package taskresult.
package verdict
