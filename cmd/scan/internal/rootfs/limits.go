package rootfs

import (
	"github.com/revet-dev/revet/pkg/pipeline/content"
)

// Limits bound what an image may cost.
type Limits struct {
	// Entries bounds the files, directories and links of all layers together.
	Entries int
	// File bounds a file that is wanted.
	File int64
	// Kept bounds the files that are kept on disk, together.
	Kept int64
	// Unpacked bounds what all layers unpack to; only wanted files are kept of it.
	Unpacked int64
}

// DefaultLimits fit images of 300,000 files and programs of several hundred MiB.
func DefaultLimits() Limits {
	return Limits{Entries: 2_000_000, File: 512 << 20, Kept: 1 << 30, Unpacked: 32 << 30}
}

// What else is bounded; nobody needs more, and a path costs an image nothing.
const (
	maxPath        = 4096 // that Linux opens
	maxFiles       = 500_000
	maxPathBytes   = 128 << 20
	maxDirectories = 1_000_000
	maxLinks       = 200_000
)

func tooLarge(what string, limit int64, flag string) error {
	return content.Errorf(content.ReasonTooLarge, "", "%s, more than %d; raise %s of the scan steps if the image is meant to be so", what, limit, flag)
}

func tooMany(what string, limit int) error {
	return content.Errorf(content.ReasonTooLarge, "", "it has more than %d %s; no image that is meant to run has", limit, what)
}
