package layers

import (
	"archive/tar"
	"time"
)

// inode holds what hard links to one file share.
type inode struct {
	offset, size int64
	modified     int64 // in seconds
	mode         uint32
	uid, gid     int32
	link         uint32 // where the target of a symbolic link starts
	linked       uint16 // and its length
	layer        uint16
	major, minor uint32
}

// inodes are numbered from 1. Check keeps only those of symbolic links.
type inodes struct {
	all [][]inode
	n   int
}

func (t *inodes) at(i uint32) *inode { return &t.all[i>>blockBits][i&(blockSize-1)] }

func (t *inodes) add(i inode) uint32 {
	if t.n == 0 {
		t.n = 1
	}
	if t.n>>blockBits == len(t.all) {
		t.all = append(t.all, make([]inode, blockSize))
	}
	t.n++
	*t.at(uint32(t.n - 1)) = i //nolint:gosec // the limit on entries is far below
	return uint32(t.n - 1)     //nolint:gosec // as above
}

// inodeOf returns the inode that an entry's header describes.
func inodeOf(h *tar.Header, layer int) inode {
	i := inode{size: h.Size, mode: uint32(h.Mode & 0o7777), uid: int32(h.Uid), gid: int32(h.Gid), layer: uint16(layer), //nolint:gosec // shown, not trusted
		major: uint32(h.Devmajor), minor: uint32(h.Devminor)} //nolint:gosec // as above
	if h.ModTime != (time.Time{}) {
		i.modified = h.ModTime.Unix()
	}
	return i
}
