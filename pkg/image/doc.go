// Package image holds the values that name image content: Digest, Repository
// and Reference; and Content, which decides whether a digest can run.
//
// Contract: each name is a struct made by one parser that checks everything;
// the zero value is invalid and says so through IsZero. Strings stand only on
// the wire. Content is the opposite: its zero value is "nothing known", and
// what is not known is runnable, so that nothing goes unverified by mistake. A
// name alone never exempts an image. The package imports the standard library
// only and does no I/O.
package image
