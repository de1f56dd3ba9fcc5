package layers

// end lays the layer on those below.
func (b *builder) end() error {
	top := b.own.at(root)
	if top.inode != 0 {
		b.below.at(root).inode = top.inode
	}
	err := b.merge(root, root, top.opaque)
	b.own = nil
	return err
}

// merge lays the directory own of the layer on low, as overlay file systems do. A
// marker is when the directory, or one above it, was last said to be opaque.
func (b *builder) merge(own, low ref, marker uint32) error {
	for c := b.own.at(own).child; c != 0; c = b.own.at(c).next {
		d := b.own.at(c)
		l := b.below.find(low, b.own.name(c))
		b.order(c, marker)
		if d.kind == Dir && l != 0 && b.below.at(l).kind == Dir {
			b.emptied(c)
			b.renew(l, d)
		} else {
			if l != 0 {
				b.below.remove(l)
			}
			if d.kind == whiteout {
				continue
			}
			l = b.below.adopt(low, b.own, c)
		}
		if d.kind != Dir {
			continue
		}
		if err := b.merge(c, l, max(marker, d.opaque)); err != nil {
			return err
		}
	}
	return nil
}

// renew gives the directory l what the layer says of it.
func (b *builder) renew(l ref, d *node) {
	if d.inode != 0 {
		b.below.at(l).inode = d.inode
	}
	if d.opaque != 0 {
		b.below.clear(l)
	}
}

// order tells of a directory that native snapshotters remove as if it was of a
// lower layer: a marker comes after it, and it had no entry of its own by then.
func (b *builder) order(c ref, marker uint32) {
	d := b.own.at(c)
	if d.kind != Dir || d.made >= marker || d.told != 0 && d.told < marker {
		return
	}
	b.tell(OpaqueOrder, b.own.path(c), "the layer says that a directory above it is opaque after it has files in it: native snapshotters and vfs remove these, overlay file systems show them")
}

// emptied tells of a directory that native snapshotters have emptied, and overlay
// file systems merge with what lies below.
func (b *builder) emptied(c ref) {
	d := b.own.at(c)
	switch {
	case d.opaque != 0 || d.cleared == 0:
	case d.cleared&byWhiteout != 0:
		b.tell(WhiteoutAndEntry, b.own.path(c), "the layer removes the directory and has it again: overlay file systems show what lower layers have in it, native snapshotters and vfs do not")
	default:
		b.tell(Replaced, b.own.path(c), "the layer has something else and then a directory: overlay file systems show what lower layers have in it, native snapshotters and vfs do not")
	}
}
