// Package sarif writes what checks found as SARIF 2.1.0, the form that code
// hosts, editors and dashboards read.
//
// Contract: Make is pure and tells everything: each check that reported is a run,
// each finding a result, at the level that it was judged at. Vulnerabilities that
// fail nothing are notes, and those that were ignored are suppressed with the
// reason. What comes from the image is made printable.
package sarif
