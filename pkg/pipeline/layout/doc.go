// Package layout keeps fetched images in a directory, as an OCI image layout:
// what the steps of a pipeline hand to each other.
//
// Contract: a blob gets its name only after its bytes were hashed, so that a
// half-written blob is never found; index.json is written last and marks the
// layout as complete. What is read is hashed again: a step believes the
// directory no more than it believes a registry.
//
// Beside the layout proper, reports/ holds the reports of the checks, sbom/ the
// SBOM of each image, and scan/ what a scanner found. A layout that is begun anew
// has none of them. Which platforms of an index were chosen is an annotation in
// index.json; of the others there is nothing.
package layout
