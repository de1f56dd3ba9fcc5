// Package sarif writes the findings of checks as SARIF 2.1.0, the format that code hosts, editors
// and dashboards read.
//
// Make is pure and leaves nothing out. Each check that reported becomes a run. Each finding becomes
// a result, with the level that the policy gave it. Vulnerabilities that fail nothing become notes.
// Ignored vulnerabilities become suppressed results with the reason. Make replaces unprintable text
// from images.
package sarif
