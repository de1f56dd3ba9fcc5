// Package running counts what runs behind gates: which Pods have images that were verified,
// and which have not. It reads Pods in pages and keeps no Pod; it writes nothing.
package running
