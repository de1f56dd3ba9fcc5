// Package verdict joins the results of Tasks into the results of a run.
//
// The verdict is pass if every expected check reported, all of them checked the same digest and the
// same images, and no finding has the severity error. The run is an error without a verdict if a
// check did not report or checked something else. The same is true if an unexpected check reported,
// because its findings would otherwise be ignored. The summary names the checks that were switched
// off. At least one check must have run. Combine is pure. Join does the same for the reports of one
// layout.
//
// Package runresult names the results. Write writes one file for each. If a later Task joins a
// Task's checks, the Task writes the result "outcome" instead: see package taskresult.
package verdict
