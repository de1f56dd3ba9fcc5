// Package rootfs holds what the scanner says of real file systems, made by the tools of
// distributions and languages, against expectations that were written by hand, and of what
// tools build in layers.
//
// It needs root, the registries of Debian, npm and Go, npm, rustc, and Debian's packages
// debootstrap, binutils, buildah, skopeo, umoci, ostree and libcap2-bin, so that it runs
// only when asked to: make rootfs. With -keep DIR it keeps file systems, images and records.
package rootfs
