package layers_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// row is an image, what there is to see of it, and the kinds of what runtimes see
// differently.
type row struct {
	name   string
	layers [][]entry
	want   map[string]string
	kinds  []layers.Kind
}

func (r row) run(t *testing.T) {
	t.Run(r.name, func(t *testing.T) {
		from, img := imageOf(t, r.layers...)
		r.look(t, from, img)
	})
}

func (r row) look(t *testing.T, from blobs, img oci.Image) {
	t.Helper()
	tree, err := layers.Open(t.Context(), from, img, layers.Limits{}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if diff := cmp.Diff(r.want, show(t, tree)); r.want != nil && diff != "" {
		t.Errorf("it shows something else (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(r.kinds, kindsOf(tree.Ambiguities())); diff != "" {
		t.Errorf("something else is ambiguous (-want +got):\n%s\n%v", diff, tree.Ambiguities())
	}
	checked, err := layers.Check(t.Context(), from, img, layers.Limits{})
	if diff := cmp.Diff(tree.Ambiguities(), checked, equal); err != nil || diff != "" {
		t.Errorf("Check finds something else (-Open +Check), error %v:\n%s", err, diff)
	}
}

var equal = cmp.Comparer(func(a, b image.Digest) bool { return a == b })

func kindsOf(all []layers.Ambiguity) []layers.Kind {
	var kinds []layers.Kind
	for _, a := range all {
		kinds = append(kinds, a.Kind)
	}
	return kinds
}

func kinds(all ...layers.Kind) []layers.Kind { return all }

// What all runtimes show alike is shown, and nothing is said.
func TestOpen(t *testing.T) {
	for _, r := range []row{
		{name: "no layer", want: map[string]string{"/": ""}},
		{name: "an upper layer's file counts", layers: [][]entry{{{name: "a", text: "1"}, {name: "b", text: "1"}}, {{name: "a", text: "2"}}},
			want: map[string]string{"/": "", "a": "2", "b": "1"}},
		{name: "the last of several entries counts", layers: [][]entry{{{name: "a", text: "1"}, {name: "a", text: "2"}, {name: "l", symbolic: "a"}, {name: "l", text: "3"}}},
			want: map[string]string{"/": "", "a": "2", "l": "3"}},
		{name: "a directory and then a file in one layer", layers: [][]entry{{{name: "d/"}, {name: "d/a", text: "1"}, {name: "d", text: "2"}}},
			want: map[string]string{"/": "", "d": "2"}},
		{name: "a whiteout", layers: [][]entry{{{name: "d/"}, {name: "d/a", text: "1"}, {name: "d/b", text: "1"}}, {{name: "d/.wh.a"}}},
			want: map[string]string{"/": "", "d/": "", "d/b": "1"}},
		{name: "a whiteout of a directory", layers: [][]entry{{{name: "d/"}, {name: "d/e/"}, {name: "d/e/a", text: "1"}, {name: "x", text: "1"}}, {{name: ".wh.d"}}},
			want: map[string]string{"/": "", "x": "1"}},
		{name: "a whiteout of what is not there", layers: [][]entry{{{name: "a", text: "1"}}, {{name: "d/.wh.x"}, {name: ".wh.y"}}},
			want: map[string]string{"/": "", "a": "1", "d/": ""}},
		{name: "a whiteout, and then a file", layers: [][]entry{{{name: "a/"}, {name: "a/b", text: "1"}}, {{name: ".wh.a"}, {name: "a", text: "2"}}},
			want: map[string]string{"/": "", "a": "2"}},
		{name: "a whiteout, and a directory where there was none", layers: [][]entry{{{name: "a", text: "1"}}, {{name: ".wh.a"}, {name: "a/"}, {name: "a/b", text: "2"}}},
			want: map[string]string{"/": "", "a/": "", "a/b": "2"}},
		{name: "removed in one layer and made in the next", layers: [][]entry{{{name: "a/"}, {name: "a/b", text: "1"}}, {{name: ".wh.a"}}, {{name: "a/"}, {name: "a/c", text: "2"}}},
			want: map[string]string{"/": "", "a/": "", "a/c": "2"}},
		{name: "an opaque directory, marker first", layers: [][]entry{{{name: "d/"}, {name: "d/a", text: "1"}, {name: "d/e/f", text: "1"}}, {{name: "d/"}, {name: "d/.wh..wh..opq"}, {name: "d/b", text: "2"}, {name: "d/e/g", text: "2"}}},
			want: map[string]string{"/": "", "d/": "", "d/b": "2", "d/e/": "", "d/e/g": "2"}},
		{name: "an opaque directory, marker last", layers: [][]entry{{{name: "d/"}, {name: "d/a", text: "1"}, {name: "d/e/f", text: "1"}}, {{name: "d/"}, {name: "d/b", text: "2"}, {name: "d/e/"}, {name: "d/e/g", text: "2"}, {name: "d/.wh..wh..opq"}}},
			want: map[string]string{"/": "", "d/": "", "d/b": "2", "d/e/": "", "d/e/g": "2"}},
		{name: "an opaque directory that is removed as well", layers: [][]entry{{{name: "d/"}, {name: "d/a", text: "1"}}, {{name: ".wh.d"}, {name: "d/"}, {name: "d/.wh..wh..opq"}, {name: "d/b", text: "2"}}},
			want: map[string]string{"/": "", "d/": "", "d/b": "2"}},
		{name: "an opaque root with nothing below it", layers: [][]entry{{{name: ".wh..wh..opq"}, {name: "a", text: "1"}}},
			want: map[string]string{"/": "", "a": "1"}},
		{name: "a file takes a directory's place, and the other way round", layers: [][]entry{{{name: "d/"}, {name: "d/a", text: "1"}, {name: "f", text: "1"}}, {{name: "d", text: "2"}, {name: "f/"}, {name: "f/g", text: "2"}}},
			want: map[string]string{"/": "", "d": "2", "f/": "", "f/g": "2"}},
		{name: "a directory takes a symbolic link's place", layers: [][]entry{{{name: "e/"}, {name: "l", symbolic: "e"}}, {{name: "l/"}, {name: "l/a", text: "1"}}},
			want: map[string]string{"/": "", "e/": "", "l/": "", "l/a": "1"}},
		{name: "a directory that is only implied", layers: [][]entry{{{name: "a/b/c", text: "1"}}}, want: map[string]string{"/": "", "a/": "", "a/b/": "", "a/b/c": "1"}},
		{name: "an entry below a symbolic link of its layer", layers: [][]entry{{{name: "usr/lib/"}, {name: "lib", symbolic: "usr/lib"}, {name: "lib/a", text: "1"}, {name: "abs", symbolic: "/usr"}, {name: "abs/lib/../b", text: "2"}, {name: "up", symbolic: "../../usr/./lib"}, {name: "up/c", text: "3"}}},
			want: map[string]string{"/": "", "usr/": "", "usr/lib/": "", "usr/lib/a": "1", "usr/b": "2", "usr/lib/c": "3", "lib": "-> usr/lib", "abs": "-> /usr", "up": "-> ../../usr/./lib"}},
		{name: "an entry below a symbolic link to nothing", layers: [][]entry{{{name: "l", symbolic: "x/../y/z"}, {name: "l/a", text: "1"}}},
			want: map[string]string{"/": "", "l": "-> x/../y/z", "y/": "", "y/z/": "", "y/z/a": "1"}},
		{name: "names of many shapes", layers: [][]entry{{{name: "./"}, {name: "./a", text: "1"}, {name: "/b", text: "2"}, {name: "c//d/./e", text: "3"}, {name: "x/../f", text: "4"}, {name: "/../g", text: "5"}}},
			want: map[string]string{"/": "", "a": "1", "b": "2", "c/": "", "c/d/": "", "c/d/e": "3", "f": "4", "g": "5"}},
		{name: "names that are not UTF-8, and long ones", layers: [][]entry{{{name: "opt/\xe4pp.jar", text: "1"}, {name: long + "/" + long, text: "2"}}},
			want: map[string]string{"/": "", "opt/": "", "opt/\xe4pp.jar": "1", long + "/": "", long + "/" + long: "2"}},
		{name: "devices and pipes", layers: [][]entry{{{name: "dev/null", as: tar.TypeChar, major: 1, minor: 3}, {name: "dev/sda", as: tar.TypeBlock, major: 8}, {name: "p", as: tar.TypeFifo}}, {{name: "dev/null", as: tar.TypeChar, major: 1, minor: 3}}},
			want: map[string]string{"/": "", "dev/": "", "dev/null": "Dc---------", "dev/sda": "D---------", "p": "p---------"}},
		{name: "a global header that comments", layers: [][]entry{{{name: "pax_global_header", global: map[string]string{"comment": "4f1c"}}, {name: "a", text: "1"}}},
			want: map[string]string{"/": "", "a": "1"}},
	} {
		r.run(t)
	}
}

const long = "longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong"

// Hard links show what they name at their place in the archive.
func TestHardLinks(t *testing.T) {
	for _, r := range []row{
		{name: "chains", layers: [][]entry{{{name: "a", text: "1"}, {name: "b", hard: "a"}, {name: "c", hard: "b"}, {name: "d/e", hard: "./c"}}},
			want: map[string]string{"/": "", "a": "1", "b": "1", "c": "1", "d/": "", "d/e": "1"}},
		{name: "what is replaced later keeps its content under the other name", layers: [][]entry{{{name: "a", text: "1"}, {name: "b", hard: "a"}, {name: "a", text: "2"}}},
			want: map[string]string{"/": "", "a": "2", "b": "1"}},
		{name: "to a symbolic link", layers: [][]entry{{{name: "a", symbolic: "t"}, {name: "b", hard: "a"}, {name: "t", text: "1"}}},
			want: map[string]string{"/": "", "a": "-> t", "b": "-> t", "t": "1"}},
		{name: "through a symbolic link of the layer", layers: [][]entry{{{name: "d/a", text: "1"}, {name: "l", symbolic: "d"}, {name: "b", hard: "l/a"}}},
			want: map[string]string{"/": "", "d/": "", "d/a": "1", "l": "-> d", "b": "1"}},
		{name: "as OSTree has them: objects, and names that link to them", layers: [][]entry{
			{{name: "sysroot/ostree/repo/objects/4f/1c.file", text: "bash"}, {name: "sysroot/ostree/repo/objects/51/2d.file", symbolic: "bash"}, {name: "usr/bin/bash", hard: "sysroot/ostree/repo/objects/4f/1c.file"}, {name: "usr/bin/sh", hard: "sysroot/ostree/repo/objects/51/2d.file"}},
			{{name: "sysroot/ostree/repo/objects/77/aa.file", text: "ls"}, {name: "usr/bin/ls", hard: "sysroot/ostree/repo/objects/77/aa.file"}}},
			want: map[string]string{"/": "", "sysroot/": "", "sysroot/ostree/": "", "sysroot/ostree/repo/": "", "sysroot/ostree/repo/objects/": "", "sysroot/ostree/repo/objects/4f/": "", "sysroot/ostree/repo/objects/4f/1c.file": "bash",
				"sysroot/ostree/repo/objects/51/": "", "sysroot/ostree/repo/objects/51/2d.file": "-> bash", "sysroot/ostree/repo/objects/77/": "", "sysroot/ostree/repo/objects/77/aa.file": "ls",
				"usr/": "", "usr/bin/": "", "usr/bin/bash": "bash", "usr/bin/sh": "-> bash", "usr/bin/ls": "ls"}},
		{name: "into a lower layer", layers: [][]entry{{{name: "a", text: "1"}}, {{name: "b", hard: "a"}}},
			want: map[string]string{"/": "", "a": "1", "b": "1"}, kinds: kinds(layers.HardLink)},
		{name: "into a lower layer, through its symbolic link", layers: [][]entry{{{name: "d/a", text: "1"}, {name: "l", symbolic: "/d"}}, {{name: "b", hard: "l/a"}}},
			want: map[string]string{"/": "", "d/": "", "d/a": "1", "l": "-> /d", "b": "1"}, kinds: kinds(layers.HardLink)},
		{name: "to what comes after it", layers: [][]entry{{{name: "b", hard: "a"}, {name: "a", text: "1"}}},
			want: map[string]string{"/": "", "a": "1"}, kinds: kinds(layers.HardLink)},
		{name: "to itself", layers: [][]entry{{{name: "a", text: "1"}, {name: "a", hard: "a"}}}, kinds: kinds(layers.HardLink)},
		{name: "to a directory", layers: [][]entry{{{name: "a/"}, {name: "b", hard: "a"}}}, want: map[string]string{"/": "", "a/": ""}, kinds: kinds(layers.HardLink)},
		{name: "to what the layer removes", layers: [][]entry{{{name: "a", text: "1"}, {name: "b", text: "1"}}, {{name: ".wh.a"}, {name: "b", hard: "a"}}}, want: map[string]string{"/": "", "b": "1"}, kinds: kinds(layers.HardLink)},
		{name: "with a slash at its end", layers: [][]entry{{{name: "t", text: "1"}, {name: "l", symbolic: "t"}, {name: "b", hard: "l/"}}}, kinds: kinds(layers.HardLink)},
		{name: "out of the root", layers: [][]entry{{{name: "a", text: "1"}, {name: "b", hard: "../a"}}},
			want: map[string]string{"/": "", "a": "1", "b": "1"}, kinds: kinds(layers.EntryName)},
	} {
		r.run(t)
	}
}

// What runtimes show differently is told, and what some of them show is shown.
func TestAmbiguous(t *testing.T) {
	base := []entry{{name: "var/"}, {name: "var/a", text: "1"}, {name: "var/sub/b", text: "1"}, {name: "link", symbolic: "var"}, {name: "file", text: "1"}}
	all := map[string]string{"/": "", "var/": "", "var/a": "1", "var/sub/": "", "var/sub/b": "1", "link": "-> var", "file": "1"}
	with := func(more ...string) map[string]string {
		out := map[string]string{}
		for k, v := range all {
			out[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = more[i+1]
		}
		return out
	}
	for _, r := range []row{
		{name: "an opaque root", layers: [][]entry{base, {{name: ".wh..wh..opq"}, {name: "b", text: "2"}}}, want: with("b", "2"), kinds: kinds(layers.OpaqueRoot)},
		{name: "an opaque root, by another name", layers: [][]entry{base, {{name: "./x/../.wh..wh..opq"}}}, want: all, kinds: kinds(layers.OpaqueRoot)},
		{name: "an opaque root, through a link", layers: [][]entry{base, {{name: "r", symbolic: "."}, {name: "r/.wh..wh..opq"}}}, want: with("r", "-> ."), kinds: kinds(layers.OpaqueRoot)},
		{name: "a whiteout and its directory", layers: [][]entry{base, {{name: ".wh.var"}, {name: "var/"}}}, want: all, kinds: kinds(layers.WhiteoutAndEntry)},
		{name: "a whiteout and its directory, deeper", layers: [][]entry{base, {{name: "var/.wh.sub"}, {name: "var/sub/"}}}, want: all, kinds: kinds(layers.WhiteoutAndEntry)},
		{name: "a directory and its whiteout", layers: [][]entry{base, {{name: "var/"}, {name: ".wh.var"}}}, want: all, kinds: kinds(layers.WhiteoutAndEntry, layers.WhiteoutAndEntry)},
		{name: "a file and its whiteout", layers: [][]entry{base, {{name: "new", text: "2"}, {name: ".wh.new"}}}, want: with("new", "2"), kinds: kinds(layers.WhiteoutAndEntry)},
		{name: "a whiteout and what it implies", layers: [][]entry{base, {{name: ".wh.var"}, {name: "var/c", text: "2"}}}, want: with("var/c", "2"), kinds: kinds(layers.WhiteoutAndEntry, layers.WhiteoutAndEntry)},
		{name: "a whiteout twice", layers: [][]entry{base, {{name: "var/.wh.none"}, {name: "var/.wh.none"}}}, want: all, kinds: kinds(layers.WhiteoutAndEntry)},
		{name: "something else and then a directory", layers: [][]entry{base, {{name: "var", text: "2"}, {name: "var/"}}}, want: all, kinds: kinds(layers.Replaced)},
		{name: "a directory with others in it and then something else", layers: [][]entry{{{name: "d/e/f/"}, {name: "d", text: "1"}}}, want: map[string]string{"/": "", "d": "1"}, kinds: kinds(layers.Replaced)},
		{name: "a directory and then a link", layers: [][]entry{{{name: "d/"}, {name: "d/a", text: "1"}, {name: "d", symbolic: "x"}}}, want: map[string]string{"/": "", "d": "-> x"}, kinds: kinds(layers.Replaced)},
		{name: "an opaque directory that is made anew", layers: [][]entry{base, {{name: "var/"}, {name: "var/.wh..wh..opq"}, {name: "var", text: "2"}, {name: "var/"}}}, want: all, kinds: kinds(layers.Replaced)},
		{name: "an opaque marker after a directory that is implied", layers: [][]entry{base, {{name: "var/"}, {name: "var/new/c", text: "2"}, {name: "var/.wh..wh..opq"}}},
			want: map[string]string{"/": "", "var/": "", "var/new/": "", "var/new/c": "2", "link": "-> var", "file": "1"}, kinds: kinds(layers.OpaqueOrder)},
		{name: "an opaque marker between a directory that is implied and its entry", layers: [][]entry{base, {{name: "var/new/c", text: "2"}, {name: "var/.wh..wh..opq"}, {name: "var/new/"}}},
			want: map[string]string{"/": "", "var/": "", "var/new/": "", "var/new/c": "2", "link": "-> var", "file": "1"}, kinds: kinds(layers.OpaqueOrder)},
		{name: "a file below a link of a lower layer", layers: [][]entry{base, {{name: "link/c", text: "2"}}},
			want: map[string]string{"/": "", "var/": "", "var/a": "1", "var/sub/": "", "var/sub/b": "1", "link/": "", "link/c": "2", "file": "1"}, kinds: kinds(layers.BelowLink)},
		{name: "a whiteout below a link of a lower layer", layers: [][]entry{base, {{name: "link/.wh.a"}}}, kinds: kinds(layers.BelowLink)},
		{name: "a file below a link of this layer to one of a lower layer", layers: [][]entry{base, {{name: "l2", symbolic: "link"}, {name: "l2/c", text: "2"}}}, kinds: kinds(layers.BelowLink)},
		{name: "a file below a link to itself", layers: [][]entry{{{name: "l", symbolic: "l"}, {name: "l/a", text: "1"}}}, want: map[string]string{"/": "", "l": "-> l"}, kinds: kinds(layers.BelowLink)},
		{name: "a file below a file of a lower layer", layers: [][]entry{base, {{name: "file/c", text: "2"}}}, kinds: kinds(layers.BelowFile)},
		{name: "a file below a file of its layer", layers: [][]entry{{{name: "f", text: "1"}, {name: "f/c", text: "2"}}}, want: map[string]string{"/": "", "f/": "", "f/c": "2"}, kinds: kinds(layers.BelowFile)},
		{name: "whiteouts of nothing, of the directory and of the one above", layers: [][]entry{base, {{name: "var/.wh."}, {name: "var/.wh.."}, {name: "var/.wh..."}}}, want: all, kinds: kinds(layers.WhiteoutName, layers.WhiteoutName, layers.WhiteoutName)},
		{name: "names of AUFS", layers: [][]entry{base, {{name: ".wh..wh.aufs"}, {name: ".wh..wh.plnk/a", text: "2"}}}, want: with(".wh..wh.plnk/", "", ".wh..wh.plnk/a", "2"), kinds: kinds(layers.WhiteoutName, layers.WhiteoutName)},
		{name: "a whiteout with something below it", layers: [][]entry{base, {{name: "var/.wh.x/y", text: "2"}}}, want: with("var/.wh.x/", "", "var/.wh.x/y", "2"), kinds: kinds(layers.WhiteoutName)},
		{name: "a whiteout that is a directory", layers: [][]entry{base, {{name: ".wh.file/"}}}, kinds: kinds(layers.WhiteoutType)},
		{name: "a whiteout that is a link", layers: [][]entry{base, {{name: ".wh.file", symbolic: "x"}}}, kinds: kinds(layers.WhiteoutType)},
		{name: "a whiteout with content", layers: [][]entry{base, {{name: ".wh.file", text: "#!"}}}, kinds: kinds(layers.WhiteoutType)},
		{name: "the device of a whiteout", layers: [][]entry{base, {{name: "file", as: tar.TypeChar}}}, kinds: kinds(layers.Device, layers.WhiteoutDevice)},
		{name: "a device in a file's place", layers: [][]entry{base, {{name: "file", as: tar.TypeBlock, major: 8}}}, kinds: kinds(layers.Device)},
		{name: "a device in the place of a file of its layer", layers: [][]entry{{{name: "f", text: "1"}, {name: "f", as: tar.TypeChar, major: 1, minor: 3}}}, kinds: kinds(layers.Device)},
		{name: "an attribute of overlay", layers: [][]entry{base, {{name: "var/", attribute: "trusted.overlay.opaque"}}}, want: all, kinds: kinds(layers.Attribute)},
		{name: "an attribute of overlay without privileges", layers: [][]entry{base, {{name: "var/", attribute: "user.overlay.opaque"}}}, want: all, kinds: kinds(layers.Attribute)},
		{name: "an attribute of fuse-overlayfs", layers: [][]entry{base, {{name: "var/", attribute: "user.fuseoverlayfs.opaque"}}}, want: all, kinds: kinds(layers.Attribute)},
		{name: "an attribute that links cannot have", layers: [][]entry{{{name: "l", symbolic: "x", attribute: "user.a"}}}, kinds: kinds(layers.Attribute)},
		{name: "an entry of a type that only other tools know", layers: [][]entry{{{name: "a", as: '7', text: "1"}, {name: "b", as: 'V'}}}, want: map[string]string{"/": "", "a": "1"}, kinds: kinds(layers.EntryType, layers.EntryType)},
		{name: "a name that leads out of the root", layers: [][]entry{{{name: "../a", text: "1"}, {name: "b/../../../c", text: "2"}}}, want: map[string]string{"/": "", "a": "1", "c": "2"}, kinds: kinds(layers.EntryName, layers.EntryName)},
		{name: "a root that is a file", layers: [][]entry{{{name: "x/..", text: ""}}}, want: map[string]string{"/": ""}, kinds: kinds(layers.EntryName)},
		{name: "a name that is too long for a file", layers: [][]entry{{{name: long + long + long, text: "1"}}}, want: map[string]string{"/": ""}, kinds: kinds(layers.EntryName)},
		{name: "a global header in a file's place", layers: [][]entry{base, {{name: "var/a", global: map[string]string{"comment": "x"}}}}, want: all, kinds: kinds(layers.GlobalHeader)},
		{name: "a global header that is a whiteout", layers: [][]entry{base, {{name: ".wh.var", global: map[string]string{"comment": "x"}}}}, want: all, kinds: kinds(layers.GlobalHeader)},
		{name: "a global header that renames", layers: [][]entry{base, {{name: "g", global: map[string]string{"path": "x"}}}}, want: all, kinds: kinds(layers.GlobalHeader)},
	} {
		r.run(t)
	}
}

// What is told is told in the same order each time: reports of one image are equal.
func TestOrder(t *testing.T) {
	attributes := []byte(nil)
	for _, name := range []string{"opaque", "redirect", "metacopy", "origin"} {
		record := " SCHILY.xattr.trusted.overlay." + name + "=y\n"
		attributes = append(attributes, fmt.Sprintf("%d%s", len(record)+2, record)...)
	}
	raw := archive(t, []entry{{name: "x", as: tar.TypeReg, text: string(attributes)}, {name: "d/"}})
	raw[156] = 'x' // makes attributes of the file's text
	copy(raw[148:], fmt.Sprintf("%06o\x00 ", checksum(raw[:512])))
	from, img := stack(stored{tarType, raw})
	want, err := layers.Check(t.Context(), from, img, layers.Limits{})
	if err != nil || len(want) != 4 {
		t.Fatalf("%v, error %v", want, err)
	}
	for range 20 {
		if got, err := layers.Check(t.Context(), from, img, layers.Limits{}); err != nil || !cmp.Equal(want, got, equal) {
			t.Fatalf("%v, and another time %v, error %v", want, got, err)
		}
	}
}

// checksum is that of a header of tar.
func checksum(header []byte) int {
	sum := 0
	for i, c := range header {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int(c)
	}
	return sum
}

// A kind that is found often is told a few times and counted.
func TestAmbiguitiesAreBounded(t *testing.T) {
	var many []entry
	for range 100 {
		many = append(many, entry{name: "../" + long})
	}
	from, img := imageOf(t, many)
	got, err := layers.Check(t.Context(), from, img, layers.Limits{})
	if err != nil || len(got) != 4 || got[3].More != 96 {
		t.Errorf("%d are listed and %v more counted, error %v", len(got), got, err)
	}
}

// What an image may cost is bounded, and the error names what to raise.
func TestLimits(t *testing.T) {
	for _, test := range []struct {
		name   string
		layers [][]entry
		limits layers.Limits
	}{
		{"entries", [][]entry{{{name: "a"}}, {{name: "b"}}}, layers.Limits{Entries: 1}},
		{"directories that are implied", [][]entry{{{name: "a/b/c/d/e"}}}, layers.Limits{Entries: 4}},
		{"steps", [][]entry{{{name: "l", symbolic: "././././././././././././././././././././././././././././././././././././././././././././././././././././././././././././././././"}, {name: "l/a"}}}, layers.Limits{Entries: 2}},
		{"a file", [][]entry{{{name: "a", text: "12"}}}, layers.Limits{File: 1}},
		{"files", [][]entry{{{name: "a", text: "12"}}, {{name: "b", text: "34"}}}, layers.Limits{Kept: 3}},
		{"bytes", [][]entry{{{name: "a", text: "12"}}}, layers.Limits{Unpacked: 1024}},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, img := imageOf(t, test.layers...)
			tree, err := layers.Open(t.Context(), from, img, test.limits, t.TempDir())
			var e *oci.Error
			if !errors.As(err, &e) || e.Reason != oci.ReasonTooLarge || tree != nil {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// A layer that has not the digest it goes by is not read as one that has.
func TestCorrupted(t *testing.T) {
	from, img := imageOf(t, []entry{{name: "a", text: "1"}})
	for d := range from {
		from[d] = gzipped(t, archive(t, []entry{{name: "a", text: "2"}}))
	}
	for name, read := range map[string]func() error{
		"Open":  func() error { _, err := layers.Open(t.Context(), from, img, layers.Limits{}, t.TempDir()); return err },
		"Check": func() error { _, err := layers.Check(t.Context(), from, img, layers.Limits{}); return err },
	} {
		var e *oci.Error
		if err := read(); !errors.As(err, &e) || e.Reason != oci.ReasonCorrupted || e.Subject != "layer "+img.Layers[0].Digest.String() {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := layers.Check(ctx, from, img, layers.Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

// An entry says what its header says; Lookup and Children find what Walk shows.
func TestEntries(t *testing.T) {
	from, img := imageOf(t, []entry{{name: "d/a", text: "1"}, {name: "d/b", hard: "d/a"}, {name: "d-e", text: "2"}}, []entry{{name: "d/c", symbolic: "a"}})
	tree, err := layers.Open(t.Context(), from, img, layers.Limits{}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	type shown struct {
		Path  string
		Mode  string
		Layer int
	}
	var got []shown
	err = tree.Walk(func(e *layers.Entry) error {
		found, ok := tree.Lookup(e.Path)
		if !ok || *found != *e {
			t.Errorf("Lookup of %q finds %+v, Walk %+v", e.Path, found, e)
		}
		got = append(got, shown{e.Path, e.Mode.String(), e.Layer})
		return nil
	})
	want := []shown{{"", "drwxr-xr-x", -1}, {"d", "drwxr-xr-x", -1}, {"d/a", "-rwxr-xr-x", 0}, {"d/b", "-rwxr-xr-x", 0}, {"d/c", "Lrwxr-xr-x", 1}, {"d-e", "-rwxr-xr-x", 0}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Walk shows something else, error %v (-want +got):\n%s", err, diff)
	}
	a, _ := tree.Lookup("d/a")
	b, _ := tree.Lookup("d/b")
	if a.Inode() != b.Inode() || a.Size != 1 {
		t.Errorf("hard links are not one file: %+v %+v", a, b)
	}
	for _, path := range []string{"x", "d/a/x", "d-e/x", "d/"} {
		if e, ok := tree.Lookup(path); ok {
			t.Errorf("Lookup of %q finds %+v", path, e)
		}
	}
	if n := len(tree.Children("d")); n != 3 {
		t.Errorf("d has %d entries", n)
	}
}
