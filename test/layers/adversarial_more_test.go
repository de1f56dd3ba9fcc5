package layers

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"strings"
)

func oddName() [][]layer {
	var out [][]layer
	for _, name := range []string{
		"../etc/passwd", "../../etc/passwd", "etc/../../etc/passwd", "/etc/passwd", "//etc//passwd", "./etc/./passwd", "etc/x/../passwd",
		"etc/passwd/.", "etc/passwd/", "./", "/", ".", "..", "", "etc\\passwd", "etc/passwd ", "ETC/passwd", "etc/pass\nwd", "etc/\xe4pp.jar",
		"etc/\u00e4", "etc/a\u0308", strings.Repeat("n", 256), strings.Repeat("d/", 140) + "x", strings.Repeat("d/", 2100) + "x",
		"etc/...", "etc/..passwd", "missing/../etc/passwd", "bin/../passwd", "etc/-", "etc/*",
	} {
		out = append(out, []layer{base(), of(file(name, "1"))})
	}
	long := strings.Repeat("x", 150)
	return append(out,
		[]layer{base(), of(entry{typ: tar.TypeReg, name: "etc/" + long, text: "1", format: tar.FormatGNU})},
		[]layer{base(), of(entry{typ: tar.TypeReg, name: strings.Repeat("p", 90) + "/" + strings.Repeat("q", 90), text: "1", format: tar.FormatUSTAR})},
		[]layer{base(), of(rawPAX(file("a", "1"), "path", "etc/passwd"))},
		[]layer{base(), of(rawPAX(file("a", "1"), "path", "b", "path", "etc/passwd"))},
		[]layer{base(), of(rawPAX(file("a", "1"), "path", ""))},
		[]layer{base(), of(rawPAX(file("a", "1"), "path", "etc/pass\x00wd"))},
		[]layer{base(), of(rawPAX(hard("a", "b"), "linkpath", "etc/passwd"))},
		[]layer{base(), of(entry{typ: tar.TypeDir, name: "dir-without-slash"}, file("dir-without-slash/x", "1"))},
		[]layer{base(), of(entry{typ: tar.TypeDir, name: "etc"}, file("etc/new", "1"))},
		[]layer{base(), of(symlink(".", "etc"))},
		[]layer{base(), of(hard(".", "etc/passwd"))},
		[]layer{base(), of(entry{typ: tar.TypeDir, name: "./", mode: 0o700}, file("x", "1"))})
}

func duplicate() [][]layer {
	forms := [][]entry{
		{file("a", "1")}, {file("a", "2")}, {dir("a"), file("a/x", "3")}, {symlink("a", "d")}, {hard("a", "d/f")}, {fifo("a")}, {char("a", 1, 3)},
	}
	first := of(dir("d"), file("d/f", "f"))
	var out [][]layer
	for i, one := range forms {
		for j, two := range forms {
			if i == j {
				continue
			}
			if (i+j)%2 == 0 {
				out = append(out, []layer{of(append(append(append([]entry{}, first.entries...), one...), two...)...)})
				continue
			}
			out = append(out, []layer{base(), of(append(append(append([]entry{}, first.entries...), one...), two...)...)})
		}
	}
	return append(out,
		[]layer{of(dir("d"), symlink("l", "d"), file("d/x", "1"), file("l/x", "2"))},
		[]layer{of(dir("d"), symlink("l", "d"), file("l/x", "2"), file("d/x", "1"))},
		[]layer{of(dir("d"), file("d/x", "1"), symlink("d", "e"), dir("e"), file("d/y", "2"))},
		[]layer{of(dir("d"), file("d/x", "1"), file("d", "2"), dir("d"))},
		[]layer{of(file("a", "1"), file("./a", "2"))},
		[]layer{of(file("a", "1"), file("/a", "2"))},
		[]layer{of(file("a", "1"), file("b/../a", "2"))},
		[]layer{of(file("a", "long text"), file("a", "x"))},
		[]layer{of(file("a", "1"), hard("b", "a"), file("a", "2"))},
		[]layer{of(file("a", "1"), hard("b", "a"), file("b", "2"))})
}

func hardLink() [][]layer {
	setuid := hard("b", "a")
	setuid.mode = 0o4755
	return [][]layer{
		{of(file("a", "1"), hard("b", "a"), hard("c", "b"))}, {of(hard("b", "a"), file("a", "1"))}, {of(hard("a", "a"))},
		{of(file("a", "1"), hard("a", "a"))}, {of(hard("b", "missing"))}, {of(symlink("l", "a"), hard("b", "l"), file("a", "1"))},
		{of(file("a", "1"), symlink("l", "a"), hard("b", "l"), hard("c", "b"))}, {of(dir("d"), hard("b", "d"))},
		{of(fifo("f"), hard("b", "f"))}, {of(char("f", 1, 3), hard("b", "f"))}, {of(file("a", "1")), of(hard("b", "a"))},
		{of(file("a", "1")), of(file("a", "2"), hard("b", "a"))}, {of(file("a", "1")), of(file(".wh.a", ""), hard("b", "a"))},
		{of(file("a", "1")), of(hard("b", "a"), file(".wh.a", ""))}, {of(file("a", "1"), hard("b", "a")), of(file("a", "2"))},
		{of(file("a", "1"), hard("b", "a")), of(file(".wh.a", ""))}, {of(file("a", "1"), hard("b", "a")), of(hard("c", "b"))},
		{of(file("a", "1"), hard("b", "/a"))}, {of(file("a", "1"), hard("b", "./a"))}, {of(file("a", "1"), hard("b", "../a"))},
		{of(file("a", "1"), hard("d/b", "../a"))}, {of(dir("d"), file("d/a", "1"), symlink("l", "d"), hard("b", "l/a"))},
		{of(dir("d"), file("d/a", "1"), symlink("l", "d")), of(hard("b", "l/a"))}, {of(file("a", "1"), setuid)},
		{of(file("a", "1")), of(setuid)}, {of(file("a", "1"), hard("b", "a"), hard("c", "a"), file("b", "2"))},
		{of(symlink("l", "/etc/passwd"), hard("b", "l"))}, {of(symlink("l", "missing"), hard("b", "l"))},
		{of(file("a", "1"), hard("b", "a")), of(hard("b", "a"))}, {of(file("a", "1"), hard("b", ".")), of()},
		{of(file("a", "1"), hard("b", ""))}, {of(file("a", "1"), hard("a", "b"))}, {of(file("a", "1"), hard("b", "a"), symlink("a", "x"))},
		{of(file("a", "1"), entry{typ: tar.TypeLink, name: "b", link: "a", raw: append(rawHeader(tar.TypeLink, "b", "a", 1, nil), padded("2")...), what: "hard link to a with text"})},
		{of(file("a", "1")), of(file("c", "3")), of(hard("b", "a"), file("a", "2"))},
		{of(dir("d"), file("d/a", "1")), of(dir("d"), file("d/.wh..wh..opq", ""), hard("d/b", "d/a"))},
		{of(dir("x"), file("x/a", "1")), of(symlink("l", "x")), of(hard("b", "l/a"))},
	}
}

func typeChange() [][]layer {
	var out [][]layer
	lower := of(dir("d"), file("d/x", "1"), file("f", "2"), symlink("l", "d"), symlink("s", "f"))
	for _, name := range []string{"d", "f", "l", "s"} {
		for _, e := range []entry{file(name, "9"), dir(name), symlink(name, "elsewhere"), hard(name, "d/x")} {
			out = append(out, []layer{lower, of(e)})
		}
	}
	return append(out,
		[]layer{lower, of(file("d", "1")), of(dir("d"), file("d/y", "2"))},
		[]layer{lower, of(symlink("d", "e"), dir("e"), file("d/y", "2"))},
		[]layer{lower, of(dir("f"), file("f/x", "2")), of(file("f", "3"))},
		[]layer{lower, of(dir("l"), file("l/x", "2"))},
		[]layer{lower, of(dir("s"), file("s/x", "2"))})
}

func missingParent() [][]layer {
	return [][]layer{
		{of(file("a/b/c", "1"))}, {of(file("a/b", "1"), dir("a"))}, {base(), of(file("var/lib/new", "1"))}, {base(), of(file("etc/passwd/x", "1"))},
		{base(), of(file("a/b/c", "1")), of(file("a/b", "2"))}, {base(), of(dir("etc/passwd/x"))}, {base(), of(file("a", "1"), file("a/b", "2"))},
		{base(), of(fifo("a"), file("a/b", "2"))}, {base(), of(symlink("a", "etc/passwd"), file("a/b", "2"))}, {base(), of(hard("a/b", "etc/passwd"))},
		{base(), of(file(".wh.etc", "")), of(file("etc/new", "1"))}, {base(), of(file("etc", "1")), of(file("etc/new", "1"))},
	}
}

func oddArchive() [][]layer {
	end := make([]byte, 1024)
	after, err := of(file("etc/passwd", "after")).archive()
	if err != nil {
		panic(err) // it is written above
	}
	tail := func(parts ...[]byte) layer {
		return layer{entries: []entry{file("app", "1")}, tail: append([]byte{}, bytes.Join(parts, nil)...)}
	}
	typed := func(typ byte) entry {
		return entry{typ: typ, name: "etc/passwd", raw: append(rawHeader(typ, "etc/passwd", "", 1, nil), padded("1")...), what: "type " + string(typ)}
	}
	binarySize := rawHeader(tar.TypeReg, "etc/passwd", "", 0, func(h []byte) { copy(h[124:136], "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01") })
	signed := rawHeader(tar.TypeReg, "etc/passwd", "", 1, nil)
	signed[155] = 'x'
	packed := func(media string, pack func([]byte) []byte) layer {
		return layer{entries: []entry{file("etc/passwd", "1")}, media: media, packed: pack}
	}
	const plain, zipped = "application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip"
	same := func(b []byte) []byte { return b }
	return [][]layer{
		{base(), tail(end, after)}, {base(), tail(end[:512], after)}, {base(), tail(after)}, {base(), tail([]byte{})}, {base(), tail(end[:512])},
		{base(), tail(make([]byte, 10240))}, {base(), tail(end, []byte("rubbish"))}, {base(), tail([]byte("rubbish"))}, {base(), tail(after[:700])},
		{base(), {tail: []byte{}}}, {base(), {tail: []byte("x")}}, {base(), of()},
		{base(), of(sparse("etc/passwd", "hidden"))}, {base(), of(sparsePAX("etc/passwd", "hidden"))}, {base(), of(oldFile("etc/passwd", "1"))},
		{base(), of(oldFile("olddir/", ""))}, {base(), of(typed(tar.TypeCont))}, {base(), of(typed('Z'))}, {base(), of(typed('D'))}, {base(), of(typed('V'))},
		{base(), of(entry{typ: tar.TypeReg, name: "etc/passwd", raw: append(binarySize, padded("1")...), what: "file of a binary size"})},
		{base(), of(entry{typ: tar.TypeReg, name: "etc/passwd", raw: append(signed, padded("1")...), what: "file of a wrong sum"})},
		{base(), of(rawPAX(file("etc/passwd", "12"), "size", "1"))}, {base(), of(rawPAX(file("etc/passwd", "1"), "size", "600"))},
		{base(), of(global("path", "etc/passwd"), file("a", "1"))},
		{base(), of(entry{typ: tar.TypeDir, name: "etc/", raw: append(rawHeader(tar.TypeDir, "etc/", "", 5, nil), padded("block")...), what: "dir with a size"}, file("etc/new", "1"))},
		{base(), of(entry{typ: tar.TypeSymlink, name: "l", raw: append(rawHeader(tar.TypeSymlink, "l", "etc", 5, nil), padded("block")...), what: "symlink with a size"}, file("new", "1"))},
		{base(), packed(zipped, gzipped)}, {base(), packed(plain, gzipped)}, {base(), packed(zipped, same)},
		{base(), packed(zipped, func(b []byte) []byte { return append(gzipped(b[:1024]), gzipped(b[1024:])...) })},
		{base(), packed(zipped, func(b []byte) []byte { return append(gzipped(b), gzipped(after)...) })},
		{base(), packed(zipped, func(b []byte) []byte { return append(gzipped(b), "rubbish"...) })},
		{base(), packed(zipped, func(b []byte) []byte { return gzipped(gzipped(b)) })},
	}
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b) // to memory
	_ = w.Close()
	return out.Bytes()
}

func linkParent() [][]layer {
	var out [][]layer
	for _, target := range []string{"..", "/", ".", "../..", "/proc", "d/..", "missing/../etc", "etc/", "/etc/../etc", "l", "m"} {
		out = append(out, []layer{base(), of(dir("d"), symlink("l", target), symlink("m", "l"), file("l/x", "1"), file("l/etc/y", "2"))})
	}
	return append(out,
		[]layer{base(), of(symlink("a", "."), file("a/a/a/x", "1"))},
		[]layer{base(), of(symlink("a", "."), file("a/a/etc/.wh.passwd", ""))},
		[]layer{base(), of(symlink("l", "etc"), symlink("m", "l"), hard("h", "m"), file("h/x", "1"))},
		[]layer{base(), of(symlink("l", "etc")), of(symlink("l", "var"), file("l/x", "1"))},
		[]layer{base(), of(symlink("l", "etc")), of(file("l/.wh.passwd", ""))},
		[]layer{base(), of(symlink("l", "etc")), of(dir("l"), file("l/.wh..wh..opq", ""), file("l/x", "1"))})
}

// order holds layers that say the same in another order, and mean something else.
func order() [][]layer {
	opq := file("var/.wh..wh..opq", "")
	deep := file("var/new/x", "1") // no entry for var/new
	return [][]layer{
		{base(), of(deep, opq)}, {base(), of(opq, deep)}, {base(), of(dir("var"), deep, opq)}, {base(), of(deep, dir("var/new"), opq)},
		{base(), of(dir("var"), file("var/lib/new", "1"), opq)}, {base(), of(file("var/a/b/c", "1"), dir("var/a"), opq)},
		{base(), of(file("var", "1"), dir("var"))}, {base(), of(symlink("var", "etc"), dir("var"))}, {base(), of(fifo("var"), dir("var"))},
		{base(), of(char("var", 1, 3), dir("var"), file("var/x", "1"))}, {base(), of(hard("var", "missing"), dir("var"))},
		{base(), of(file("x", "1"), hard("var", "x"), dir("var"))}, {base(), of(char("var", 0, 0), dir("var"))},
		{base(), of(dir("d"), file("d/x", "1"), symlink("d", "var"), file("d/y", "2"))}, {base(), of(file("var/x", "1"), symlink("var", "etc"))},
	}
}
