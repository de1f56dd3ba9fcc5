package layers

import (
	"path"
	"strings"
)

// walk follows a path in the layer as runtimes do, without leaving the root.
type walk struct {
	b    *builder
	name string  // of the entry, for messages
	at   []place // the directories from the root
	// missing are the names below the last directory in at that the layer does not have.
	missing []string
	below   ref // of the last missing name
	hops    int
	tell    bool // report what is in the way in the layers below
}

// last returns the directory reached so far.
func (w *walk) last() place { return w.at[len(w.at)-1] }

// follow goes along dir.
func (w *walk) follow(dir string) error {
	for part := range strings.SplitSeq(dir, "/") {
		if err := w.b.step(); err != nil {
			return err
		}
		if err := w.into(part); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) into(part string) error {
	switch {
	case part == "" || part == ".":
		return nil
	case part == "..":
		w.up()
		return nil
	case len(w.missing) > 0:
		w.miss(w.below, part)
		return nil
	}
	at := w.last()
	own := w.b.own.find(at.own, part)
	if own == 0 {
		w.miss(at.below, part)
		return nil
	}
	switch w.b.own.at(own).kind {
	case Dir:
		w.at = append(w.at, w.b.inside(at, own, part))
		return nil
	case Symlink:
		return w.link(own)
	default:
		return w.blocked(own, part)
	}
}

// up goes to the parent directory. The parent of the root is the root.
func (w *walk) up() {
	switch {
	case len(w.missing) > 0:
		// What the layers below have there was already reported. No runtime shows it twice.
		w.missing = w.missing[:len(w.missing)-1]
		w.below = 0
		if len(w.missing) == 0 {
			w.below = w.last().below
		}
	case len(w.at) > 1:
		w.at = w.at[:len(w.at)-1]
	}
}

// miss records a directory that the layer does not have, and reports it if the layers below have
// something else there.
func (w *walk) miss(in ref, part string) {
	low := w.b.below.find(in, part)
	w.missing = append(w.missing, part)
	w.below = 0
	if low == 0 {
		return
	}
	switch w.b.below.at(low).kind {
	case Dir:
		w.below = low
	case Symlink:
		if w.tell {
			w.b.tell(BelowLink, w.name, "a lower layer has the symbolic link %q: native snapshotters and vfs follow it, overlay file systems put a directory in its place", w.b.below.path(low))
		}
	default:
		if w.tell {
			w.b.tell(BelowFile, w.name, "a lower layer has %q, which is not a directory: overlay file systems put one in its place, native snapshotters and vfs refuse the layer", w.b.below.path(low))
		}
	}
}

// link follows a symbolic link of the layer.
func (w *walk) link(own ref) error {
	if w.hops++; w.hops > maxHops {
		if w.tell {
			w.b.tell(BelowLink, w.name, "it lies below links that form a loop; runtimes refuse the layer")
		}
		return errRefused
	}
	if w.tell && w.b.lazy {
		w.b.tell(TableOfContents, w.name, "it lies below the symbolic link %q: runtimes that pull lazily do not follow it, and show the target of the link without this entry", w.b.own.path(own))
	}
	i := w.b.inodes.at(w.b.own.at(own).inode)
	target := string(w.b.text.get(i.link, int(i.linked)))
	w.b.steps += int64(len(target)) / 64 // for copying it
	if path.IsAbs(target) {
		w.at = w.at[:1]
	}
	return w.follow(target)
}

// blocked replaces what is not a directory: some runtime may do so too, and then shows what lies
// below it.
func (w *walk) blocked(own ref, part string) error {
	if !w.tell {
		return errRefused
	}
	w.b.lastDir = ""
	d := w.b.own.at(own)
	if d.kind == whiteout {
		w.b.tell(WhiteoutAndEntry, w.name, "the layer removes %q and has something below it: overlay file systems refuse the layer, native snapshotters and vfs show it", w.b.own.path(own))
	} else {
		w.b.tell(BelowFile, w.name, "the layer has %q, which is not a directory; runtimes refuse the layer", w.b.own.path(own))
		d.cleared |= byReplacing
	}
	d.kind, d.inode, d.opaque, d.told, d.made = Dir, 0, 0, 0, w.b.clock
	w.at = append(w.at, w.b.inside(w.last(), own, part))
	return nil
}

// make creates the missing directories.
func (w *walk) make() (place, error) {
	for _, part := range w.missing {
		if err := w.b.count(); err != nil {
			return place{}, err
		}
		if len(part) > maxName {
			w.b.tell(EntryName, w.name, "it lies below a link to a name that is too long; runtimes refuse the layer")
			return place{}, errRefused
		}
		at := w.last()
		if at.length+len(part) > maxPath {
			w.b.tell(EntryName, w.name, "links lead it to a path of more than %d bytes: whether a runtime can unpack it depends on how it follows them", maxPath)
			return place{}, errRefused
		}
		if err := w.b.spell(at, part); err != nil {
			return place{}, err
		}
		own, err := w.b.own.add(at.own, part)
		if err != nil {
			return place{}, err
		}
		d := w.b.own.at(own)
		d.kind, d.made = Dir, w.b.clock
		w.at = append(w.at, w.b.inside(at, own, part))
	}
	w.missing = nil
	return w.last(), nil
}
