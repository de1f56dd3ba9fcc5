// Package filter evaluates an ImageTrigger's filter: a CEL expression over the enriched push.
//
// An expression can read these variables only:
//
//	image.repository  string                namespace/name of an ImageStream, or host/path
//	image.digest      string                sha256:...
//	image.tags        list(string)          the tags that point, or pointed, to the digest
//	image.mediaType   string
//	image.labels      map(string, string)   by constant name only
//	image.platforms   list(string)          os/architecture[/variant]
//	image.created     timestamp             the image's own claim; 1970 if it makes none
//	image.size        int                   bytes, compressed
//
// Contract: Compile checks types. The result must be a bool, and labels must have constant names,
// so that Labels can list every label the filter reads, and Revet need not carry any other. If an
// expression reads a label that the image does not have, the push does not match, and the message
// of the Result says so. To handle missing labels, write has(image.labels.tier) or 'tier' in
// image.labels. Every other problem during evaluation, including the cost limit, is an error. On an
// error the push neither matches nor is silently skipped.
package filter
