// Package image holds the values that name image content: Digest, Repository
// and Reference.
//
// Contract: each is a struct made by one parser that checks everything; the
// zero value is invalid and says so through IsZero. Strings stand only on the
// wire. The package imports the standard library only and does no I/O.
package image
