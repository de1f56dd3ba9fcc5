// Package sarif writes the findings of checks as SARIF 2.1.0, the format that code hosts,
// editors and dashboards read.
//
// Make is pure and leaves nothing out. Each check that reported is a run, and each finding a
// result with the level that the policy gave it. Vulnerabilities that fail nothing are notes;
// ignored ones are suppressed, with the reason. Make replaces unprintable text from images.
package sarif
