// Package guard tells what of an image Syft and Grype could not look at, or pass over
// in silence.
//
// Contract: a gap is told for each package of which this database has no records of its
// exact release or of its type, or whose version does not compare; and for each file
// that names packages and was not read, whether it is broken, of a form that nothing
// here reads, or at a place where nothing looks. Every gap says how to mend it. Gaps are
// counted, and some examples named: an image cannot make them many.
package guard
