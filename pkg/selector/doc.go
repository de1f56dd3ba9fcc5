// Package selector decides which pushes an ImageTrigger's spec.images admits.
//
// Contract: Compile checks and compiles everything once; its error is a
// FieldError that names the field and the cause. A Selector is immutable and
// safe for concurrent use. Patterns are globs and matched whole: * and ? stand
// for any characters, and any one character, of one path segment; ** as a whole
// segment stands for any number of segments. Matching takes time proportional
// to pattern times name, whatever the pattern is.
//
// An entry of spec.images pairs repositories with tags: a tag is admitted by an
// entry that admits the repository, never by the tags of another entry.
package selector
