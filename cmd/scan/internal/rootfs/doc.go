// Package rootfs shows the layers of an image as the one file system that a
// container of it would see, as far as somebody wants to look at it.
//
// Contract: layers are read from the layout, their digests recomputed, from the top
// down, so that what a lower layer has and a higher one replaced or removed
// (whiteouts, opaque directories) is never kept. Only files that are wanted are
// kept, in one file on disk; directories are those that lead to them. Symbolic
// links are shown where that is asked, as the file that they name if it was kept;
// a hard link shows the content of what it names, kept or not. Devices, sockets and the like are not shown.
//
// What an image may cost is bounded: entries, the bytes of a file, the bytes that
// are kept, the bytes that are unpacked, directories. Exceeding a limit is an error
// that names its flag, never a file that is left out.
package rootfs
