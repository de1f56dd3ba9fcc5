// Package taskresult holds what one Task passes to the Task that joins the verdict: a JSON
// document in the Task result "outcome". Nothing else travels between Tasks.
//
// Of makes a Result only if every expected check reported on the digest that was fetched
// and on every image of it, and if no report is there that nobody expected. It is pure. A
// Result names the checks that were switched off, so that the verdict cannot claim them.
// It counts every finding, package, gap and waiver, and lists the worst findings with
// their waivers, as many as fit. What fails the image is never waived.
//
// Encode writes at most MaxQuoted bytes, quoted. Results travel in termination messages:
// the kubelet cuts those to 12 KiB a Pod, in equal parts for its containers, and a result
// that is cut fails the TaskRun. Decode refuses fields that this version does not know,
// missing fields, and numbers that do not add up.
package taskresult
