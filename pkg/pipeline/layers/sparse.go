package layers

import (
	"archive/tar"
	"fmt"
	"strings"
)

// holes counts the zeros in sparse files that the archive leaves out. Whoever unpacks them pays as
// for other bytes, but the compression ratio does not show them.
type holes struct {
	limits Limits
	read   *counter
	file   int64  // the size of the last file, if it is sparse
	at     int64  // bytes read before it
	bytes  *int64 // of all layers
}

// next handles the header that follows the content of the last file.
func (s *holes) next(h *tar.Header) error {
	if s.file > 0 {
		*s.bytes += max(0, s.file-(s.read.n-s.at))
	}
	s.file, s.at = 0, s.read.n
	if h != nil && isSparse(h) {
		s.file = h.Size
	}
	switch {
	case *s.bytes > maxHoles:
		return tooMany("bytes of zeros that sparse files leave out", maxHoles)
	case s.file > s.limits.File:
		return tooLarge(fmt.Sprintf("its file %.200q has %d bytes", h.Name, h.Size), s.limits.File, "--max-file-bytes")
	default:
		return nil
	}
}

func isSparse(h *tar.Header) bool {
	for record := range h.PAXRecords {
		if strings.HasPrefix(record, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}
