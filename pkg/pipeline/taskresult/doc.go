// Package outcome holds what one Task tells the Task that joins the verdict: the
// only thing that travels between them, a JSON document in a Task result.
//
// Contract: Of is pure and makes an Outcome only if every expected check
// reported, on the digest that was fetched and on every image of it, and if no
// report is there that nobody expected. A check that was switched off is told as
// such, so that the verdict cannot claim it. Everything that was found is
// counted, and so are packages, what nobody could look at, and what somebody waived;
// findings are listed worst first, with their waivers, as many as fit. What fails the
// image is never waived.
//
// Encode gives at most MaxQuoted bytes, quoted: the kubelet cuts the messages
// that results travel in to 12 KiB a Pod, in equal parts for its containers, and
// what is cut fails the TaskRun. Decode refuses what this version does not know,
// what is missing, and numbers that do not add up.
package taskresult
