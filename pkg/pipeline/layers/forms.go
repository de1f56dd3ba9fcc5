package layers

import (
	"archive/tar"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
)

// target finds the target of a hard link: in the layer as far as it has been read, or else in the
// layers below. Kind 0 means that the link has no possible target.
func (b *builder) target(at place, base, name, link string) (Type, uint32, error) {
	clean := path.Clean(link)
	if clean == ".." || strings.HasPrefix(clean, "../") {
		b.tell(EntryName, name, "a hard link to %.200q, out of the root: some runtimes keep it inside, others refuse the layer", link)
	}
	if strings.HasSuffix(link, "/") {
		b.tell(HardLink, name, "a hard link to %.200q: containerd follows a symbolic link of this name, containers/storage links to the symbolic link itself", link)
	}
	clean = strings.TrimPrefix(path.Clean("/"+link), "/")
	dir, last := path.Split(clean)
	w := walk{b: b, at: []place{b.top()}}
	err := w.follow(strings.TrimSuffix(dir, "/"))
	if err != nil && !errors.Is(err, errRefused) {
		return 0, 0, err
	}
	var own ref
	if err == nil && len(w.missing) == 0 {
		own = b.own.find(w.last().own, last)
	}
	// Runtimes remove what is in the link's place before they create the link.
	if own != 0 && own != b.own.find(at.own, base) {
		d := b.own.at(own)
		switch d.kind {
		case Dir:
			b.tell(HardLink, name, "a hard link to the directory %.200q; runtimes refuse the layer", link)
			return 0, 0, nil
		case whiteout:
			b.tell(HardLink, name, "a hard link to %.200q, which the layer removes: overlay file systems hide both, native snapshotters and vfs refuse the layer", link)
			return 0, 0, nil
		default:
			return d.kind, d.inode, nil
		}
	}
	low, err := b.lower(clean)
	if err != nil {
		return 0, 0, err
	}
	if low == 0 || b.below.at(low).kind == Dir {
		b.tell(HardLink, name, "a hard link to %.200q, which does not exist before it; runtimes refuse the layer", link)
		return 0, 0, nil
	}
	b.tell(HardLink, name, "a hard link to %.200q in a lower layer: overlay file systems refuse the layer, native snapshotters and vfs show the file", link)
	d := b.below.at(low)
	return d.kind, d.inode, nil
}

// lower finds a path in the layers below. It follows links on the way.
func (b *builder) lower(name string) (ref, error) {
	at, rest := root, strings.Split(name, "/")
	for hops := 0; len(rest) > 0; {
		if err := b.step(); err != nil {
			return 0, err
		}
		part := rest[0]
		rest = rest[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			if at != root {
				at = b.below.at(at).parent
			}
			continue
		}
		next := b.below.find(at, part)
		if next == 0 {
			return 0, nil
		}
		d := b.below.at(next)
		switch {
		case len(rest) == 0 || d.kind == Dir:
			at = next
		case d.kind == Symlink:
			if hops++; hops > maxHops {
				return 0, nil
			}
			i := b.inodes.at(d.inode)
			target := string(b.text.get(i.link, int(i.linked)))
			if path.IsAbs(target) {
				at = root
			}
			rest = append(strings.Split(target, "/"), rest...)
			b.steps += int64(len(rest)) // for copying them
		default:
			return 0, nil
		}
	}
	return at, nil
}

// device reports devices that hide what other runtimes show.
func (b *builder) device(at place, base, name string, kind Type, h *tar.Header) {
	if kind != CharDevice && kind != BlockDevice || h.Typeflag == tar.TypeLink {
		return
	}
	const most = 1<<32 - 1
	if h.Devmajor < 0 || h.Devmajor > most || h.Devminor < 0 || h.Devminor > most {
		b.tell(Device, name, "a device with the impossible number %d:%d: containerd refuses the layer, others create another device", h.Devmajor, h.Devminor)
	}
	var hidden Type
	if own := b.own.find(at.own, base); own != 0 {
		hidden = b.own.at(own).kind
	} else if low := b.under(at, base); low != 0 {
		hidden = b.below.at(low).kind
	}
	switch hidden {
	case 0, whiteout:
	case CharDevice, BlockDevice:
	default:
		b.tell(Device, name, "a device that replaces something else: runtimes without privileges create no devices, and show what was there before")
	}
	if hidden != 0 && kind == CharDevice && h.Devmajor == 0 && h.Devminor == 0 {
		b.tell(WhiteoutDevice, name, "the device 0:0, which overlay file systems treat as a whiteout; native snapshotters and vfs show the device")
	}
}

const xattr = "SCHILY.xattr."

// attributes reports extended attributes that change what is shown.
func (b *builder) attributes(name string, h *tar.Header) {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return
	}
	for _, record := range slices.Sorted(maps.Keys(h.PAXRecords)) {
		key, ok := strings.CutPrefix(record, xattr)
		if !ok {
			continue
		}
		space, rest, _ := strings.Cut(key, ".")
		switch {
		case strings.HasPrefix(rest, "overlay.") || strings.HasPrefix(rest, "fuseoverlayfs.") || key == "user.containers.override_stat":
			b.tell(Attribute, name, "the extended attribute %.100q: containers/storage sets it and overlay file systems obey it, containerd leaves it out or shows it", key)
		case space == "user" && h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir && h.Typeflag != tar.TypeLink:
			b.tell(Attribute, name, "the extended attribute %.100q, which only files and directories can have: containers/storage refuses the layer, containerd leaves it out", key)
		}
	}
}

// global handles a global header. Runtimes treat it as an entry that they do not create.
func (b *builder) global(at place, base, name string, h *tar.Header) {
	for _, record := range slices.Sorted(maps.Keys(h.PAXRecords)) {
		switch {
		case record == "path", record == "linkpath", record == "size", strings.HasPrefix(record, "GNU.sparse."):
			b.tell(GlobalHeader, name, "a global header that sets %q for all entries after it: Go's tar ignores it, other tools obey it", record)
		}
	}
	if strings.HasPrefix(base, whiteoutPrefix) || b.own.find(at.own, base) != 0 || b.under(at, base) != 0 {
		b.tell(GlobalHeader, name, "a global header under a name that is in use: containerd and containers/storage remove what has that name")
	}
}
