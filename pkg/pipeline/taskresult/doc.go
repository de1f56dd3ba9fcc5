// Package taskresult holds what a Task passes to the Task that joins the verdict: a JSON document
// in the Task result "outcome". Tasks pass on nothing else.
//
// Of makes a Result only if every expected check reported, on the digest that fetch pulled and on
// every image of it, and if no unexpected check reported. Of is pure. A Result names the checks
// that were switched off, so that the verdict cannot claim them. It counts every finding, package,
// gap and waiver. It lists the worst findings with their waivers, as many as fit. A finding that
// fails the image is never waived.
//
// A Task that hands its documents on to another Pod names the digest of their list, and nothing of
// what becomes of them. The Pod that publishes them says that, as a Published, and Add joins both.
//
// Encode writes at most MaxQuoted bytes, quoted. Results travel in termination messages. The
// kubelet cuts these to 12 KiB per Pod, in equal parts for its containers, and a cut result fails
// the TaskRun. Decode refuses fields that this version does not know, missing fields, and numbers
// that do not add up.
package taskresult
