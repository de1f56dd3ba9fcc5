package layers

import (
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Limits bound what an image may cost. Zero means the default.
type Limits struct {
	// Entries bounds the files, directories and links of all layers together. It includes
	// directories that only their files imply.
	Entries int
	// File bounds the size of a kept file.
	File int64
	// Kept bounds the total size of files kept on disk. Files that an upper layer replaces count
	// too.
	Kept int64
	// Unpacked bounds the unpacked bytes of all layers together.
	Unpacked int64
}

// DefaultLimits returns limits for images with up to 300,000 files and a few GiB.
func DefaultLimits() Limits {
	return Limits{Entries: 2_000_000, File: 4 << 30, Kept: 4 << 30, Unpacked: 32 << 30}
}

// filled returns l with defaults instead of zeros.
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

// Further limits, which nobody needs to change.
const (
	maxName       = 255       // of a file name, as in Linux
	maxPath       = 4096 - 96 // what Linux can open, minus the directory of a runtime
	maxHops       = 255       // links that lead to one another
	maxNameBytes  = 128 << 20 // of all names and all targets of symbolic links
	maxPathBytes  = 512 << 20 // of the paths of all entries
	stepsEach     = 32        // directories on the way to an entry, on average
	maxHoles      = 64 << 20  // of zeros that sparse files leave out
	maxTOCEntries = 500_000   // of all tables of contents in a layer; a real one has 100 bytes for each
	maxTOC        = 48 << 20  // of a table of contents
	maxWindow     = 128 << 20 // memory that a zstd stream may demand from its reader
)

func tooLarge(what string, limit int64, flag string) error {
	return oci.Errorf(oci.ReasonTooLarge, "", "%s, more than %d; if the image is meant to be like this, raise %s", what, limit, flag)
}

func tooMany(what string, limit int) error {
	return oci.Errorf(oci.ReasonTooLarge, "", "it has more than %d %s; no image that is meant to run has", limit, what)
}
