// Package verdict joins the results of Tasks into the results of a run.
//
// The verdict is pass only if every expected check reported, if all of them looked at the
// same digest and the same images, and if no finding has the severity error. A check that
// did not report, or that looked at something else, is an error, and the run has no
// verdict. So is a check that nobody expected: its findings would be ignored otherwise.
// The summary names the checks that were switched off, and at least one check must have
// been applied. Combine is pure. Join does the same for the reports of one layout.
//
// Package runresult names the results. Write writes one file for each of them. A Task
// whose checks another Task joins has the result "outcome" instead: see package taskresult.
package verdict
