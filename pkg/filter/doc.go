// Package filter evaluates an ImageTrigger's filter: a CEL expression over the
// enriched push.
//
// The variables, and there are no others:
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
// Contract: Compile checks types, that the result is a bool, and that labels are
// named by constants, so that Labels lists every label the filter can see and no
// other needs to be carried. A label that the image does not have makes an
// expression that reads it not match, which the message of the Result says; write
// has(image.labels.tier) or 'tier' in image.labels to decide otherwise. Anything
// else that goes wrong while evaluating, the cost limit included, is an error:
// it neither matches nor silently skips.
package filter
