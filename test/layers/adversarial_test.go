package layers

import (
	"archive/tar"
	"fmt"
	"strings"
)

// base is a layer such as many begin with.
func base() layer {
	return of(dir("var"), dir("var/lib"), file("var/lib/status", "openssh"), dir("etc"), file("etc/passwd", "root"),
		dir("usr"), dir("usr/bin"), file("usr/bin/sshd", "ELF"), symlink("bin", "usr/bin"))
}

// adversarialStacks are tricks that are known to be read in more ways than one, and
// their neighbours. The order never changes.
func adversarialStacks() []stack {
	var out []stack
	for _, family := range []struct {
		name   string
		stacks [][]layer
	}{
		{"root-opaque", rootOpaque()},
		{"whiteout-and-entry", whiteoutAndEntry()},
		{"opaque", opaque()},
		{"through-link", throughLink()},
		{"odd-whiteout", oddWhiteout()},
		{"device", device()},
		{"overlay-xattr", overlayXattr()},
		{"name", oddName()},
		{"duplicate", duplicate()},
		{"hard-link", hardLink()},
		{"type-change", typeChange()},
		{"missing-parent", missingParent()},
		{"archive", oddArchive()},
		{"link-parent", linkParent()},
		{"order", order()},
	} {
		for i, layers := range family.stacks {
			out = append(out, stack{name: fmt.Sprintf("adversarial/%s/%d", family.name, i+1), layers: layers})
		}
	}
	return out
}

func rootOpaque() [][]layer {
	var out [][]layer
	for _, name := range []string{".wh..wh..opq", "./.wh..wh..opq", "/.wh..wh..opq", "d/../.wh..wh..opq"} {
		opq := file(name, "")
		out = append(out,
			[]layer{base(), of(opq, file("app", "1"))},
			[]layer{base(), of(file("app", "1"), opq)},
			[]layer{base(), of(opq)})
	}
	link := symlink("root", ".")
	return append(out,
		[]layer{of(file(".wh..wh..opq", ""), file("a", "1"))},
		[]layer{base(), of(link, file("root/.wh..wh..opq", ""), file("app", "1"))},
		[]layer{base(), of(link), of(file("root/.wh..wh..opq", ""), file("app", "1"))},
		[]layer{base(), of(file(".wh..wh..opq", "")), of(file("app", "1"))},
		[]layer{base(), of(dir("."), file(".wh..wh..opq", ""), dir("etc"), file("etc/new", "1"))})
}

func whiteoutAndEntry() [][]layer {
	gone := file(".wh.var", "")
	var out [][]layer
	for _, again := range [][]entry{
		{dir("var")}, {dir("var"), file("var/new", "1")}, {file("var/new", "1")}, {file("var", "1")}, {symlink("var", "etc")},
		{hard("var", "etc")}, {char("var", 0, 0)}, {fifo("var")}, {dir("var"), dir("var/lib")}, {dir("var/lib")},
	} {
		out = append(out,
			[]layer{base(), of(append([]entry{gone}, again...)...)},
			[]layer{base(), of(append(append([]entry{}, again...), gone)...)})
	}
	return append(out,
		[]layer{base(), of(file("etc/.wh.passwd", ""), file("etc/passwd", "1"))},
		[]layer{base(), of(file("etc/passwd", "1"), file("etc/.wh.passwd", ""))},
		[]layer{base(), of(file("var/lib/.wh.status", ""), gone)},
		[]layer{base(), of(gone, file("var/lib/.wh.status", ""))},
		[]layer{base(), of(gone, gone)},
		[]layer{base(), of(gone, file(".wh.var/x", "1"))},
		[]layer{base(), of(file("a", "1"), file(".wh.a", ""))},
		[]layer{of(file("a", "1"), file(".wh.a", ""))},
		[]layer{of(file(".wh.a", ""), file("a", "1"))},
		[]layer{of(dir("a"), file("a/b", "1"), file(".wh.a", ""))},
		[]layer{base(), of(gone), of(dir("var"), file("var/x", "1"))},
		[]layer{base(), of(gone), of(gone)},
		[]layer{base(), of(file(".wh.missing", ""))},
		[]layer{base(), of(file("missing/.wh.x", ""))},
		[]layer{base(), of(file("etc/passwd/.wh.x", ""))})
}

func opaque() [][]layer {
	opq := file("var/.wh..wh..opq", "")
	child := file("var/new", "1")
	return [][]layer{
		{base(), of(dir("var"), opq, child)},
		{base(), of(dir("var"), child, opq)},
		{base(), of(opq, dir("var"), child)},
		{base(), of(opq)},
		{base(), of(child, opq)},
		{base(), of(opq, opq)},
		{base(), of(dir("var"), dir("var/lib"), opq)},
		{base(), of(dir("var"), opq, dir("var/lib"))},
		{base(), of(dir("var"), opq, dir("var/lib"), file("var/lib/status", "2"))},
		{base(), of(dir("var"), dir("var/lib"), file("var/lib/status", "2"), opq)},
		{base(), of(dir("var"), dir("var/lib"), opq, file("var/lib/.wh.status", ""))},
		{base(), of(opq), of(dir("var"), child)},
		{base(), of(dir("new"), file("new/.wh..wh..opq", ""), file("new/x", "1"))},
		{base(), of(file("etc/passwd/.wh..wh..opq", ""))},
		{base(), of(file("missing/.wh..wh..opq", ""))},
		{base(), of(file("var", "1"), opq)},
		{base(), of(opq, file("var", "1"))},
		{base(), of(opq, file(".wh.var", ""))},
		{base(), of(file(".wh.var", ""), opq)},
		{of(dir("var"), child, opq)},
		{of(dir("var"), opq, child)},
		{base(), of(dir("var/.wh..wh..opq"))},
		{base(), of(symlink("var/.wh..wh..opq", "x"))},
		{base(), of(hard("var/.wh..wh..opq", "etc/passwd"))},
		{base(), of(file("var/.wh..wh..opq", "text"))},
		{base(), of(file("var/.wh..wh..opq/x", "1"))},
		{base(), of(file("var/.wh..wh..OPQ", ""))},
	}
}

func throughLink() [][]layer {
	var out [][]layer
	for _, target := range []string{"var", "/var", "../var", "./var/"} {
		l := symlink("l", target)
		for _, through := range [][]entry{
			{file("l/.wh.lib", "")}, {file("l/.wh..wh..opq", "")}, {file("l/new", "1")}, {dir("l"), file("l/new", "1")},
		} {
			out = append(out,
				[]layer{base(), of(append([]entry{l}, through...)...)},
				[]layer{base(), of(l), of(through...)})
			if target != "var" {
				break
			}
		}
	}
	return append(out,
		[]layer{base(), of(file("bin/.wh.sshd", ""))},
		[]layer{base(), of(dir("bin"), file("bin/sshd", "2"))},
		[]layer{base(), of(file("bin/sshd", "2"))},
		[]layer{base(), of(symlink("usr/bin/l", "sshd"), file("usr/bin/l", "2"))},
		[]layer{base(), of(symlink("bin", "etc"))},
		[]layer{base(), of(dir("usr"), dir("usr/bin"), symlink("bin", "usr/bin"), file("bin/sshd", "2"))},
		[]layer{base(), of(symlink("l", "missing"), file("l/x", "1"))},
		[]layer{base(), of(symlink("l", "etc/passwd"), file("l/x", "1"))},
		[]layer{base(), of(symlink("l", "l"), file("l/x", "1"))},
		[]layer{base(), of(symlink("l", "var"), file(".wh.l", ""), file("l/x", "1"))},
		[]layer{base(), of(symlink("l", "var")), of(file(".wh.l", ""), dir("l"), file("l/x", "1"))})
}

func oddWhiteout() [][]layer {
	var out [][]layer
	for _, name := range []string{
		".wh.", ".wh..", ".wh...", ".wh..wh.", ".wh..wh.var", ".wh..wh..wh.var", ".wh..wh.aufs", ".wh..wh.plnk", ".wh..wh.orph",
		"etc/.wh.", "etc/.wh..", "etc/.wh...", "etc/.wh..wh.passwd", ".wh.var/", ".WH.var", ".wh.var ", ".wh.var\x01",
	} {
		e := file(name, "")
		if strings.HasSuffix(name, "/") {
			e.typ = tar.TypeDir
		}
		out = append(out, []layer{base(), of(e, file("app", "1"))})
	}
	return append(out,
		[]layer{base(), of(dir(".wh..wh.plnk"), file(".wh..wh.plnk/1.2", "linked"), hard("app", ".wh..wh.plnk/1.2"))},
		[]layer{base(), of(file(".wh..wh.plnk/1.2", "linked"))},
		[]layer{base(), of(hard("app", ".wh..wh.plnk/1.2"))},
		[]layer{base(), of(file(".wh..wh.x/passwd", "1"))},
		[]layer{base(), of(file("etc/.wh..wh.x/passwd", "1"))},
		[]layer{base(), of(symlink(".wh.var", "x"))},
		[]layer{base(), of(hard(".wh.var", "etc/passwd"))},
		[]layer{base(), of(hard("a", ".wh.var"))},
		[]layer{base(), of(fifo(".wh.var"))},
		[]layer{base(), of(char(".wh.var", 0, 0))},
		[]layer{base(), of(file(".wh.var", "with text"))},
		[]layer{base(), of(dir(".wh.x"), file(".wh.x/y", "1"))},
		[]layer{base(), of(file(".wh.var", "")), of(file(".wh..wh.var", ""))},
		[]layer{base(), of(symlink(".wh..wh.x", "etc"), file(".wh..wh.x/.wh.passwd", ""))})
}

func device() [][]layer {
	zero := char("var", 0, 0)
	block := entry{typ: tar.TypeBlock, name: "var"}
	return [][]layer{
		{base(), of(zero)}, {of(zero)}, {of(zero, file("var/x", "1"))}, {base(), of(char("etc/passwd", 0, 0))},
		{base(), of(char("new", 0, 0))}, {of(file("a", "1")), of(char("a", 0, 0)), of(dir("d"))},
		{of(char("a", 0, 0)), of(file("b", "1"))}, {base(), of(char("x", 0, 0), hard("var", "x"))},
		{base(), of(file(".wh.x", ""), hard("var", "x"))}, {base(), of(block)}, {base(), of(char("var", 1, 3))},
		{base(), of(char("var", 0, 1))}, {base(), of(zero, dir("var"), file("var/x", "1"))}, {base(), of(zero), of(dir("var"), file("var/x", "1"))},
		{base(), of(symlink("l", "var"), char("l", 0, 0))}, {base(), of(char("etc/../var", 0, 0))}, {of(fifo("a")), of(file("a", "1"))},
	}
}

func overlayXattr() [][]layer {
	var out [][]layer
	for _, kv := range [][2]string{
		{"trusted.overlay.opaque", "y"}, {"trusted.overlay.opaque", "x"}, {"trusted.overlay.redirect", "/etc"}, {"trusted.overlay.redirect", "etc"},
		{"user.overlay.opaque", "y"}, {"trusted.overlay.origin", "x"}, {"trusted.overlay.overlay.opaque", "y"}, {"trusted.overlay.impure", "y"},
	} {
		out = append(out, []layer{base(), of(dir("var").with(kv[0], kv[1]), file("var/x", "1"))})
	}
	meta := file("usr/bin/sshd", "").with("trusted.overlay.metacopy", "")
	return append(out,
		[]layer{base(), of(dir("usr"), dir("usr/bin"), meta)},
		[]layer{base(), of(dir("usr"), dir("usr/bin"), meta.with("trusted.overlay.redirect", "/etc/passwd"))},
		[]layer{base(), of(file("x", "").with("trusted.overlay.metacopy", "").with("trusted.overlay.redirect", "/etc/passwd"))},
		[]layer{base(), of(dir("etc").with("trusted.overlay.opaque", "x"), file("etc/passwd", "").with("trusted.overlay.whiteout", "y"))},
		[]layer{base(), of(dir("etc").with("user.overlay.opaque", "x"), file("etc/passwd", "").with("user.overlay.whiteout", "y"))},
		[]layer{base(), of(dir(".").with("trusted.overlay.opaque", "y"), file("app", "1"))},
		[]layer{of(dir("d").with("trusted.overlay.opaque", "y"), file("d/x", "1"))},
		[]layer{base(), of(file("app", "1").with("user.comment", "x"))},
		[]layer{base(), of(file("app", "1").with("security.capability", "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))},
		[]layer{base(), of(symlink("app", "x").with("user.comment", "x"))},
		[]layer{base(), of(file("app", "1").with("trusted.comment", "x"))},
		[]layer{base(), of(file("app", "1").with("system.unknown", "x"))})
}
