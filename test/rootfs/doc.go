// Package rootfs holds what the scanner says of real file systems, made by the tools of
// distributions and languages, against expectations that were written by hand.
//
// It needs debootstrap, dpkg, npm, cargo and objcopy, root, and their registries, so that
// it runs only when asked to: make rootfs.
package rootfs
