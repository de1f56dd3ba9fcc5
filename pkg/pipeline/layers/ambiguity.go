package layers

import (
	"fmt"

	"github.com/revet-dev/revet/pkg/image"
)

// Kind is in what way runtimes differ over a layer.
type Kind string

// The kinds.
const (
	// OpaqueRoot: an opaque marker at the root of a layer.
	OpaqueRoot Kind = "opaque-root"
	// OpaqueOrder: an opaque marker after entries whose directories have none of their own.
	OpaqueOrder Kind = "opaque-order"
	// WhiteoutAndEntry: a layer removes what it has itself.
	WhiteoutAndEntry Kind = "whiteout-and-entry"
	// WhiteoutName: a whiteout of nothing, or a name that is kept for whiteouts.
	WhiteoutName Kind = "whiteout-name"
	// WhiteoutType: a whiteout that is no regular file.
	WhiteoutType Kind = "whiteout-type"
	// WhiteoutDevice: a device that overlay file systems take for a whiteout.
	WhiteoutDevice Kind = "whiteout-device"
	// Replaced: a path is a directory and something else in one layer.
	Replaced Kind = "replaced"
	// BelowLink: an entry below a symbolic link.
	BelowLink Kind = "below-link"
	// BelowFile: an entry below what is no directory.
	BelowFile Kind = "below-file"
	// HardLink: a hard link whose target is not in its layer, or cannot be linked.
	HardLink Kind = "hard-link"
	// Device: a device in the place of something else.
	Device Kind = "device"
	// Attribute: an extended attribute that overlay file systems obey.
	Attribute Kind = "attribute"
	// EntryType: an entry of a type that runtimes refuse.
	EntryType Kind = "entry-type"
	// EntryName: a name that some runtimes refuse.
	EntryName Kind = "entry-name"
	// GlobalHeader: a global header that does more than to comment.
	GlobalHeader Kind = "global-header"
	// AfterEnd: data after the end of the archive or of the compressed stream.
	AfterEnd Kind = "after-end"
	// Compression: a media type that does not say how the layer is packed, or a packing that only some runtimes read.
	Compression Kind = "compression"
	// Unreadable: a layer that nobody can look into.
	Unreadable Kind = "unreadable"
	// TableOfContents: a table of contents that does not say what the archive says.
	TableOfContents Kind = "table-of-contents"
)

// Ambiguity is a place at which runtimes read a layer differently.
type Ambiguity struct {
	Kind Kind
	// Layer is the digest of the layer, as it is stored.
	Layer image.Digest
	// Path is the entry's, as far as it is about one. It need not be UTF-8.
	Path string
	// Message says who shows what.
	Message string
	// More is how many further ones of this kind the image has that are not listed.
	More int
}

// String returns kind, path, message and layer in one line, the digest last: it says
// least to a person, where space is short.
func (a Ambiguity) String() string {
	s := string(a.Kind) + ": "
	if a.Path != "" {
		s += fmt.Sprintf("%q: ", a.Path)
	}
	s += a.Message
	if a.More > 0 {
		s += fmt.Sprintf(" (and %d more of this kind)", a.More)
	}
	return fmt.Sprintf("%s (layer %s)", s, a.Layer)
}

const (
	maxEach = 4   // examples of a kind
	maxShow = 256 // bytes of a path
)

// found collects what is told.
type found struct {
	all   []Ambiguity
	count map[Kind]int
	last  map[Kind]int // the last of all that is of the kind
}

func (f *found) add(a Ambiguity) {
	if f.count == nil {
		f.count, f.last = map[Kind]int{}, map[Kind]int{}
	}
	if f.count[a.Kind]++; f.count[a.Kind] > maxEach {
		f.all[f.last[a.Kind]].More++
		return
	}
	if len(a.Path) > maxShow {
		a.Path = a.Path[:maxShow] + "..."
	}
	f.last[a.Kind] = len(f.all)
	f.all = append(f.all, a)
}
