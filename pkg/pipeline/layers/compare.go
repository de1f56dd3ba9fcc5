package layers

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// comparison compares an archive with its layer's tables of contents.
type comparison struct {
	b      *builder
	tables []*table
	name   string
	parts  []*parts // of the present file, one for each table that lists it
}

// begin compares an entry of the archive. It returns a writer for the content, or nil.
func (c *comparison) begin(h *tar.Header) io.Writer {
	c.name, c.parts = strings.TrimPrefix(path.Clean("/"+h.Name), "/"), nil
	if c.name == "" || h.Typeflag == tar.TypeXGlobalHeader || c.name == stargzName {
		for _, t := range c.tables {
			delete(t.entries, c.name)
		}
		return nil
	}
	for _, t := range c.tables {
		e := t.entries[c.name]
		if e == nil {
			c.tell("its table of contents does not list it, or lists it only once")
			continue
		}
		delete(t.entries, c.name)
		if other := e.differs(h); other != "" {
			c.tell("its table of contents gives it another %s", other)
			continue
		}
		if e.Type == "reg" && e.Size > 0 {
			c.parts = append(c.parts, &parts{entry: e, whole: sha256.New(), sum: sha256.New(), ok: true})
		}
	}
	if len(c.parts) == 0 {
		return nil
	}
	return c
}

func (c *comparison) tell(format string, args ...any) {
	c.b.tell(TableOfContents, c.name, "%s: runtimes that pull lazily show what the table says, others what the archive has", fmt.Sprintf(format, args...))
}

// Write receives content of the present file.
func (c *comparison) Write(p []byte) (int, error) {
	for _, f := range c.parts {
		f.write(p)
	}
	return len(p), nil
}

// end compares the content of the present file.
func (c *comparison) end() {
	for _, f := range c.parts {
		if !f.right() {
			c.tell("its table of contents gives it other content")
		}
	}
	c.parts = nil
}

// finish reports what only tables list.
func (c *comparison) finish() {
	for _, t := range c.tables {
		delete(t.entries, "")
		for _, name := range slices.Sorted(maps.Keys(t.entries)) {
			c.name = name
			c.tell("only its table of contents has it")
		}
	}
}

// tableType returns the name of an entry's type in tables of contents.
func tableType(flag byte) string {
	switch flag {
	case tar.TypeReg:
		return "reg"
	case tar.TypeDir:
		return "dir"
	case tar.TypeSymlink:
		return "symlink"
	case tar.TypeLink:
		return "hardlink"
	case tar.TypeChar:
		return "char"
	case tar.TypeBlock:
		return "block"
	case tar.TypeFifo:
		return "fifo"
	default:
		return ""
	}
}

// differs returns the first field in which the table differs from the header.
func (e *tableEntry) differs(h *tar.Header) string {
	attributes := map[string]string{}
	for record, value := range h.PAXRecords {
		if key, ok := strings.CutPrefix(record, xattr); ok {
			attributes[key] = value
		}
	}
	device := h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock
	link := h.Typeflag == tar.TypeLink || h.Typeflag == tar.TypeSymlink
	switch {
	case e.Type != tableType(h.Typeflag):
		return "type"
	case e.Mode&0o7777 != h.Mode&0o7777:
		return "mode"
	case e.UID != int64(h.Uid) || e.GID != int64(h.Gid):
		return "owner"
	case e.Type == "reg" && e.Size != h.Size:
		return "size"
	case link && e.Link != h.Linkname:
		return "target"
	case device && (e.Major != h.Devmajor || e.Minor != h.Devminor):
		return "device number"
	case !maps.Equal(e.Attributes, attributes):
		return "extended attribute"
	default:
		return ""
	}
}

// parts compares the content of a file part by part, because runtimes trust each part by its own
// digest.
type parts struct {
	entry      *tableEntry
	whole, sum hash.Hash
	at         int64 // bytes of the file so far
	chunk      int
	ok         bool
}

// end returns where the present chunk ends. A chunk without a size ends with the file.
func (f *parts) end() int64 {
	c := f.entry.Chunks[f.chunk]
	if c.Size <= 0 {
		return f.entry.Size
	}
	return c.Offset + c.Size
}

func (f *parts) write(p []byte) {
	_, _ = f.whole.Write(p) // never fails
	for len(p) > 0 && f.ok {
		if f.chunk >= len(f.entry.Chunks) || f.end() <= f.at {
			f.ok = false
			return
		}
		c := f.entry.Chunks[f.chunk]
		n := min(int64(len(p)), f.end()-f.at)
		if c.Zeros {
			z := zeros{}
			_, _ = z.Write(p[:n])
			f.ok = f.ok && !z.other
		}
		_, _ = f.sum.Write(p[:n])
		f.at += n
		p = p[n:]
		if f.at < f.end() {
			continue
		}
		f.ok = f.ok && f.closed(c)
		f.chunk++
		f.sum.Reset()
		if f.chunk < len(f.entry.Chunks) {
			f.ok = f.ok && f.entry.Chunks[f.chunk].Offset == f.at
		}
	}
}

// closed reports whether the finished chunk matches its digest. A file with a single chunk may have
// only the digest of the whole file.
func (f *parts) closed(c chunk) bool {
	got := "sha256:" + hex.EncodeToString(f.sum.Sum(nil))
	if c.Digest == "" {
		return c.Zeros || len(f.entry.Chunks) == 1 && f.entry.Digest != ""
	}
	return c.Digest == got
}

// right reports whether the whole file matched the table.
func (f *parts) right() bool {
	got := "sha256:" + hex.EncodeToString(f.whole.Sum(nil))
	return f.ok && f.at == f.entry.Size && f.chunk == len(f.entry.Chunks) && f.entry.Chunks[0].Offset == 0 &&
		(f.entry.Digest == "" || f.entry.Digest == got)
}
