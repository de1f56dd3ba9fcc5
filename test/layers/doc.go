// Package layers holds the reader of layers against the runtimes themselves.
//
// Its test builds stacks of layers, unpacks each with containerd's overlay and
// native snapshotters (layer after layer, and with overlay in parallel, too) and with
// the overlay and vfs drivers of containers/storage, mounts what they made as a
// container would, and walks it. Whatever file one of
// them shows must be in the tree that Revet reads, with the same content, or the
// stack must be told as ambiguous.
//
// It needs Linux and root, as it mounts overlays; it does so in a mount namespace of
// its own, on a tmpfs. Where that is not possible it fails. It is a module of its
// own so that nothing else compiles the runtimes.
package layers
