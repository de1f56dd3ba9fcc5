// Package layers reads the layers of an image as the runtimes that unpack them do,
// and says where those do not read the same.
//
// Contract: [Open] shows the layers as one tree: what overlay file systems show of
// them, which is how containerd and CRI-O run nearly everything. There is an entry for every
// directory, also for one that only a file below it implies; names are the bytes of
// the archive. [Check] reads the same, keeps no content, and reports every form
// that containerd (overlay and native snapshotters), containers/storage (overlay
// and vfs), or a runtime that pulls lazily by a table of contents would read
// differently from another, or refuse. Where one of them could show a file that another does not, and
// where a file cannot be read at all, there is an [Ambiguity]; a Tree carries the same
// ones as Check finds.
//
// What an image may cost is bounded: entries, the steps of their paths, bytes unpacked and kept.
// Exceeding a limit is a oci.Error that names the flag, never a file that is
// left out.
package layers
