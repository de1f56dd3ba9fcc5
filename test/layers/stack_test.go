package layers

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// stack is an image's layers, lowest first.
type stack struct {
	name   string // by which -only finds it
	layers []layer
}

// layer is a layer's entries in the order of the archive.
type layer struct {
	entries []entry
	// tail follows the entries in place of the two blocks that end an archive.
	tail []byte
	// media is the media type, if it is not that of a plain archive.
	media string
	// packed packs the archive as it is stored.
	packed func([]byte) []byte
}

// entry is an entry of an archive.
type entry struct {
	typ        byte
	name, link string
	text       string
	mode       int64 // 0644, or 0755 for a directory, if it is zero
	major      int64
	minor      int64
	xattrs     map[string]string
	format     tar.Format
	// raw are the blocks of an entry that Go's writer does not write.
	raw []byte
	// what says what raw is.
	what string
}

func file(name, text string) entry    { return entry{typ: tar.TypeReg, name: name, text: text} }
func dir(name string) entry           { return entry{typ: tar.TypeDir, name: name + "/"} }
func symlink(name, link string) entry { return entry{typ: tar.TypeSymlink, name: name, link: link} }
func hard(name, link string) entry    { return entry{typ: tar.TypeLink, name: name, link: link} }
func fifo(name string) entry          { return entry{typ: tar.TypeFifo, name: name} }
func char(name string, major, minor int64) entry {
	return entry{typ: tar.TypeChar, name: name, major: major, minor: minor}
}

func (e entry) with(xattr, value string) entry {
	e.xattrs = maps.Clone(e.xattrs)
	if e.xattrs == nil {
		e.xattrs = map[string]string{}
	}
	e.xattrs[xattr] = value
	return e
}

func of(entries ...entry) layer { return layer{entries: entries} }

// archive returns the layer as it is stored.
func (l layer) archive() ([]byte, error) {
	var out bytes.Buffer
	for _, e := range l.entries {
		if strings.HasSuffix(e.name, "/") && e.typ != tar.TypeDir && e.raw == nil {
			e = slashed(e)
		}
		if e.raw != nil {
			out.Write(e.raw)
			continue
		}
		// A writer for each entry, as one writer takes no raw blocks between its own.
		w := tar.NewWriter(&out)
		if err := w.WriteHeader(e.header()); err != nil {
			return nil, fmt.Errorf("write %s: %w", e, err)
		}
		if _, err := w.Write([]byte(e.text)); err != nil {
			return nil, fmt.Errorf("write %s: %w", e, err)
		}
		if err := w.Flush(); err != nil {
			return nil, fmt.Errorf("write %s: %w", e, err)
		}
	}
	if l.tail != nil {
		out.Write(l.tail)
	} else {
		out.Write(make([]byte, 1024))
	}
	if l.packed != nil {
		return l.packed(out.Bytes()), nil
	}
	return out.Bytes(), nil
}

func (e entry) header() *tar.Header {
	h := &tar.Header{
		Typeflag: e.typ, Name: e.name, Linkname: e.link, Size: int64(len(e.text)), Mode: e.mode,
		Devmajor: e.major, Devminor: e.minor, ModTime: time.Unix(1700000000, 0), Format: e.format,
	}
	if h.Mode == 0 {
		h.Mode = 0o644
		if e.typ == tar.TypeDir {
			h.Mode = 0o755
		}
	}
	if len(e.xattrs) > 0 {
		h.PAXRecords = map[string]string{}
		for k, v := range e.xattrs {
			h.PAXRecords["SCHILY.xattr."+k] = v
		}
	}
	return h
}

func (e entry) String() string {
	if e.raw != nil {
		return fmt.Sprintf("%s %q", e.what, e.name)
	}
	kinds := map[byte]string{
		tar.TypeReg: "file", tar.TypeDir: "dir", tar.TypeSymlink: "symlink", tar.TypeLink: "hard link",
		tar.TypeChar: "char device", tar.TypeBlock: "block device", tar.TypeFifo: "fifo",
	}
	kind := kinds[e.typ]
	if kind == "" {
		kind = fmt.Sprintf("type %q", e.typ)
	}
	out := fmt.Sprintf("%s %q", kind, e.name)
	switch e.typ {
	case tar.TypeSymlink, tar.TypeLink:
		out += fmt.Sprintf(" -> %q", e.link)
	case tar.TypeChar, tar.TypeBlock:
		out += fmt.Sprintf(" %d/%d", e.major, e.minor)
	case tar.TypeReg:
		out += fmt.Sprintf(" with %q", e.text)
	default:
	}
	if e.mode != 0 {
		out += fmt.Sprintf(" mode %#o", e.mode)
	}
	for _, k := range slices.Sorted(maps.Keys(e.xattrs)) {
		out += fmt.Sprintf(" xattr %s=%q", k, e.xattrs[k])
	}
	return out
}

// String describes the stack so that it can be built again by hand.
func (s stack) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "stack %s\n", s.name)
	for i, l := range s.layers {
		fmt.Fprintf(&out, "  layer %d", i+1)
		if l.media != "" {
			fmt.Fprintf(&out, " (%s)", l.media)
		}
		if l.tail != nil {
			fmt.Fprintf(&out, " with %d bytes at its end", len(l.tail))
		}
		out.WriteString("\n")
		for _, e := range l.entries {
			fmt.Fprintf(&out, "    %.400s\n", e)
		}
	}
	return out.String()
}
