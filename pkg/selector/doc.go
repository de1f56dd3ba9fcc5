// Package selector decides which pushes an ImageTrigger's spec.images admits.
//
// Contract: Compile checks and compiles everything once. Its error is a FieldError that names the
// field and the cause. A Selector is immutable and safe for concurrent use. A pattern is a glob and
// must match the whole name. In one path segment, * matches any characters and ? matches one
// character. ** as a whole segment matches any number of segments. Matching takes time proportional
// to pattern length times name length, for every pattern.
//
// An entry of spec.images pairs repositories with tags. A tag is admitted only by an entry that
// also admits its repository.
package selector
