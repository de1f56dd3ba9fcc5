package layers

// end lays the layer on the layers below.
func (b *builder) end() error {
	top := b.own.at(root)
	if top.inode != 0 {
		b.below.at(root).inode = top.inode
	}
	err := b.merge(root, root, top.opaque)
	b.own = nil
	return err
}

// merge lays the layer's directory own on low, as overlay file systems do. marker is the time at
// which the directory, or one above it, was last marked as opaque.
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

// renew updates the directory l with what the layer says about it.
func (b *builder) renew(l ref, d *node) {
	if d.inode != 0 {
		b.below.at(l).inode = d.inode
	}
	if d.opaque != 0 {
		b.below.clear(l)
	}
}

// order reports a directory that native snapshotters remove as if it came from a lower layer: a
// marker follows it, and it had no entry of its own before the marker.
func (b *builder) order(c ref, marker uint32) {
	d := b.own.at(c)
	if d.kind != Dir || d.made >= marker || d.told != 0 && d.told < marker {
		return
	}
	b.tell(OpaqueOrder, b.own.path(c), "the layer marks a directory above it as opaque after putting files in it: native snapshotters and vfs remove these, overlay file systems show them")
}

// emptied reports a directory that native snapshotters empty, and that overlay file systems merge
// with what lies below.
func (b *builder) emptied(c ref) {
	d := b.own.at(c)
	switch {
	case d.opaque != 0 || d.cleared == 0:
	case d.cleared&byWhiteout != 0:
		b.tell(WhiteoutAndEntry, b.own.path(c), "the layer removes the directory and adds it again: overlay file systems show what lower layers have in it, native snapshotters and vfs do not")
	default:
		b.tell(Replaced, b.own.path(c), "the layer has something else first and then a directory: overlay file systems show what lower layers have in it, native snapshotters and vfs do not")
	}
}
