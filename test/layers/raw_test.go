package layers

import (
	"archive/tar"
	"fmt"
	"strings"
)

// Entries that the writer of Go's library does not write.

const block = 512

// header returns the block that begins an entry, in the form that old GNU tar wrote.
func rawHeader(typ byte, name, link string, size int64, change func(h []byte)) []byte {
	h := make([]byte, block)
	copy(h[0:100], name)
	copy(h[100:], "0000644\x00")
	copy(h[108:], "0000000\x00")
	copy(h[116:], "0000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x00", size))
	copy(h[136:], "14524770400\x00")
	h[156] = typ
	copy(h[157:257], link)
	copy(h[257:], "ustar  \x00")
	if change != nil {
		change(h)
	}
	return checksummed(h)
}

func checksummed(h []byte) []byte {
	copy(h[148:156], "        ")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

func padded(text string) []byte {
	return append([]byte(text), make([]byte, (block-len(text)%block)%block)...)
}

// sparse is a file with a hole before its text, as old GNU tar stores one.
func sparse(name, text string) entry {
	if len(name) > 99 {
		name = name[:99]
	}
	raw := rawHeader(tar.TypeGNUSparse, name, "", int64(len(text)), func(h []byte) {
		copy(h[386:], fmt.Sprintf("%011o\x00%011o\x00", 1024, len(text)))
		copy(h[483:], fmt.Sprintf("%011o\x00", 1024+len(text)))
	})
	return entry{typ: tar.TypeGNUSparse, name: name, raw: append(raw, padded(text)...), what: "old GNU sparse file with " + text}
}

// sparsePAX is the same, as GNU tar stores it since: the map stands before the text.
func sparsePAX(name, text string) entry {
	e := file("GNUSparseFile.0/x", string(padded(fmt.Sprintf("1\n1024\n%d\n", len(text))))+text)
	return rawPAX(e, "GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name", name,
		"GNU.sparse.realsize", fmt.Sprint(1024+len(text)))
}

// oldFile is a file of the type that archives before POSIX have.
func oldFile(name, text string) entry {
	if len(name) > 99 {
		name = name[:99]
	}
	raw := rawHeader(0, name, "", int64(len(text)), func(h []byte) { copy(h[257:265], make([]byte, 8)) })
	return entry{typ: tar.TypeReg, name: name, raw: append(raw, padded(text)...), what: "file of type NUL with " + text}
}

// global is a header of records that hold for all that follow.
func global(key, value string) entry {
	text := records(key, value)
	return entry{typ: tar.TypeXGlobalHeader, what: "global " + text,
		raw: append(rawHeader(tar.TypeXGlobalHeader, "pax_global_header", "", int64(len(text)), nil), padded(text)...)}
}

// slashed is an entry whose name ends with a slash although it is no directory.
func slashed(e entry) entry {
	if len(e.name) > 100 {
		e.name = e.name[:99] + "/"
	}
	e.raw = append(rawHeader(e.typ, e.name, e.link, int64(len(e.text)), nil), padded(e.text)...)
	e.what = fmt.Sprintf("type %q with the text %.60q and the link %q", e.typ, e.text, e.link)
	return e
}

// rawPAX is e behind records, which are keys and values by turns, as they are.
func rawPAX(e entry, keyed ...string) entry {
	text := records(keyed...)
	raw := append(rawHeader(tar.TypeXHeader, "PaxHeaders.0/x", "", int64(len(text)), nil), padded(text)...)
	raw = append(raw, rawHeader(e.typ, e.name, e.link, int64(len(e.text)), nil)...)
	return entry{typ: e.typ, name: e.name, raw: append(raw, padded(e.text)...),
		what: fmt.Sprintf("type %q with the records %.200q and the text %.60q", e.typ, text, e.text)}
}

func records(keyed ...string) string {
	var all strings.Builder
	for i := 0; i < len(keyed); i += 2 {
		rest := " " + keyed[i] + "=" + keyed[i+1] + "\n"
		n := len(rest) + 1
		for len(fmt.Sprint(n))+len(rest) != n {
			n++
		}
		fmt.Fprintf(&all, "%d%s", n, rest)
	}
	return all.String()
}
