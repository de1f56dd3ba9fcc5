package layers

import (
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Limits bound what an image may cost. A zero value stands for the default.
type Limits struct {
	// Entries bounds the files, directories and links of all layers together,
	// directories that only their files imply included.
	Entries int
	// File bounds a file that is kept.
	File int64
	// Kept bounds the files that are kept on disk, together; what an upper layer
	// replaces counts too.
	Kept int64
	// Unpacked bounds what all layers unpack to.
	Unpacked int64
}

// DefaultLimits fit images of 300,000 files and of some GiB.
func DefaultLimits() Limits {
	return Limits{Entries: 2_000_000, File: 4 << 30, Kept: 4 << 30, Unpacked: 32 << 30}
}

// filled returns l with its defaults.
func (l Limits) filled() Limits {
	d := DefaultLimits()
	if l.Entries <= 0 {
		l.Entries = d.Entries
	}
	if l.File <= 0 {
		l.File = d.File
	}
	if l.Kept <= 0 {
		l.Kept = d.Kept
	}
	if l.Unpacked <= 0 {
		l.Unpacked = d.Unpacked
	}
	return l
}

// What else is bounded; nobody needs more.
const (
	maxName       = 255       // of a file, as Linux has it
	maxPath       = 4096 - 96 // that Linux opens, below the directory of a runtime
	maxHops       = 255       // links that lead to one another
	maxNameBytes  = 128 << 20 // of all names and of what symbolic links name
	maxPathBytes  = 512 << 20 // of the paths of all entries
	stepsEach     = 32        // directories on the way to an entry, on average
	maxHoles      = 64 << 20  // of zeros that sparse files leave out
	maxTOCEntries = 500_000   // of all tables of contents of a layer; a real one has 100 bytes for each
	maxTOC        = 48 << 20  // of a table of contents
	maxWindow     = 128 << 20 // that a zstd stream may make the reader hold
)

func tooLarge(what string, limit int64, flag string) error {
	return oci.Errorf(oci.ReasonTooLarge, "", "%s, more than %d; raise %s if the image is meant to be so", what, limit, flag)
}

func tooMany(what string, limit int) error {
	return oci.Errorf(oci.ReasonTooLarge, "", "it has more than %d %s; no image that is meant to run has", limit, what)
}
