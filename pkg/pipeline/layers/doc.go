// Package layers reads the layers of an image in the way of the runtimes that unpack them, and
// reports where these runtimes differ.
//
// Contract: [Open] shows the layers as one tree, in the way of overlay file systems, with which
// containerd and CRI-O run nearly everything. The tree has an entry for every directory, including
// directories that only a file below them implies. Names are the bytes in the archive. [Check]
// reads the same layers but keeps no content. It knows containerd (overlay and native
// snapshotters), containers/storage (overlay and vfs), and runtimes that pull lazily by a table of
// contents. It reports every construct that one of them refuses, or reads differently from another.
// There is an [Ambiguity] wherever one of them could show a file that another does not, and
// wherever a file cannot be read at all. A Tree has the same ambiguities that Check finds.
//
// Limits bound the cost of an image: entries, the steps of their paths, and the bytes unpacked and
// kept. Exceeding one is an oci.Error that names the flag; no file is ever left out silently.
package layers
