package layers

import (
	"fmt"

	"github.com/revet-dev/revet/pkg/image"
)

// Kind says in which way runtimes differ over a layer.
type Kind string

// The kinds.
const (
	// OpaqueRoot: an opaque marker at the root of a layer.
	OpaqueRoot Kind = "opaque-root"
	// OpaqueOrder: an opaque marker comes after entries in directories that have no entry of their
	// own.
	OpaqueOrder Kind = "opaque-order"
	// WhiteoutAndEntry: a layer removes something that it contains itself.
	WhiteoutAndEntry Kind = "whiteout-and-entry"
	// WhiteoutName: a whiteout that names nothing, or a name reserved for whiteouts.
	WhiteoutName Kind = "whiteout-name"
	// WhiteoutType: a whiteout that is not a regular file.
	WhiteoutType Kind = "whiteout-type"
	// WhiteoutDevice: a device that overlay file systems treat as a whiteout.
	WhiteoutDevice Kind = "whiteout-device"
	// Replaced: a path is both a directory and something else in one layer.
	Replaced Kind = "replaced"
	// BelowLink: an entry below a symbolic link.
	BelowLink Kind = "below-link"
	// BelowFile: an entry below something that is not a directory.
	BelowFile Kind = "below-file"
	// HardLink: a hard link whose target is not in its layer, or cannot be linked to.
	HardLink Kind = "hard-link"
	// Device: a device that replaces something else.
	Device Kind = "device"
	// Attribute: an extended attribute that overlay file systems obey.
	Attribute Kind = "attribute"
	// EntryType: an entry of a type that runtimes refuse.
	EntryType Kind = "entry-type"
	// EntryName: a name that some runtimes refuse.
	EntryName Kind = "entry-name"
	// GlobalHeader: a global header that is more than a comment.
	GlobalHeader Kind = "global-header"
	// AfterEnd: data after the end of the archive or of the compressed stream.
	AfterEnd Kind = "after-end"
	// Compression: a media type that does not tell the compression, or a compression that only some
	// runtimes support.
	Compression Kind = "compression"
	// Unreadable: a layer whose content cannot be read.
	Unreadable Kind = "unreadable"
	// TableOfContents: a table of contents that differs from the archive.
	TableOfContents Kind = "table-of-contents"
)

// Ambiguity is a place at which runtimes read a layer differently.
type Ambiguity struct {
	Kind Kind
	// Layer is the digest of the stored layer.
	Layer image.Digest
	// Path is the path of the entry, if the ambiguity is about one. It need not be UTF-8.
	Path string
	// Message says which runtime shows what.
	Message string
	// More is the number of further ambiguities of this kind in the image that are not listed.
	More int
}

// String returns kind, path, message and layer in one line. The digest comes last, because it tells
// a person least and space may be short.
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
	maxEach = 4   // examples of each kind
	maxShow = 256 // bytes of a path
)

// found collects ambiguities.
type found struct {
	all   []Ambiguity
	count map[Kind]int
	last  map[Kind]int // index in all of the last one of a kind
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
