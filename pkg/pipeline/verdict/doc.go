// Package verdict joins the reports of checks into the results of a run.
//
// Contract: Join is pure. The verdict is pass only if every expected check
// reported, on the digest that was fetched, on every image that it names, and
// found nothing of severity error. A check that did not report, or that looked
// at something else, is an error and no verdict. A report that nobody expected
// is an error too: it would be ignored otherwise.
//
// The results, each a file of the name below, are what Revet reads from the
// PipelineRun:
//
//	verdict  pass or fail
//	digest   what was fetched, recomputed from its bytes
//	summary  a Summary as JSON, at most MaxSummary bytes
//	report   an OCI reference of the full report; empty for now
//	error    of a step that fails: why, in one line. Never beside a verdict.
package verdict
