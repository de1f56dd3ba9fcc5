package rootfs_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/cmd/scan/internal/rootfs"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
)

// entry is an entry of a layer: a file, a directory (a name that ends in a slash),
// or a link.
type entry struct {
	name, text     string
	hard, symbolic string
}

// blobs are layers by digest.
type blobs map[image.Digest][]byte

func (b blobs) Blob(d image.Digest) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b[d])), nil
}

// layers makes an image of layers, the lowest first.
func layers(t *testing.T, all ...[]entry) (blobs, content.Image) {
	t.Helper()
	out, img := blobs{}, content.Image{}
	for _, entries := range all {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		w := tar.NewWriter(z)
		for _, e := range entries {
			h := &tar.Header{Name: e.name, Mode: 0o755, Typeflag: tar.TypeReg, Size: int64(len(e.text))}
			switch {
			case e.hard != "":
				h.Typeflag, h.Linkname = tar.TypeLink, e.hard
			case e.symbolic != "":
				h.Typeflag, h.Linkname = tar.TypeSymlink, e.symbolic
			case strings.HasSuffix(e.name, "/"):
				h.Typeflag = tar.TypeDir
			}
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, e.text); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), z.Close()); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(packed.Bytes())
		d, err := image.ParseDigest("sha256:" + hex.EncodeToString(sum[:]))
		if err != nil {
			t.Fatal(err)
		}
		out[d] = packed.Bytes()
		img.Layers = append(img.Layers, content.Layer{Descriptor: content.Descriptor{Digest: d, Size: int64(packed.Len())}})
	}
	return out, img
}

// everything wants every file, and to be told of links below db.
func everything(name string, _ fs.FileMode) rootfs.Want {
	return rootfs.Want{Yes: true, Link: strings.HasPrefix(name, "db/")}
}

// files returns the content of all files by their paths.
func files(t *testing.T, f fs.FS) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(f, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(f, name)
		all[name] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOpen(t *testing.T) {
	marked := func(name string, _ fs.FileMode) rootfs.Want {
		if strings.HasPrefix(name, "bin/") {
			return rootfs.Want{Yes: true, Mark: []byte("MARK")}
		}
		return rootfs.Want{Yes: name == "status"}
	}
	for _, test := range []struct {
		name   string
		layers [][]entry
		wanted rootfs.Wanted
		want   map[string]string
		links  map[string]string
	}{
		{name: "the upper layer's file counts", layers: [][]entry{{{name: "a", text: "1"}, {name: "b", text: "1"}}, {{name: "a", text: "2"}}},
			want: map[string]string{"a": "2", "b": "1"}},
		{name: "a whiteout", layers: [][]entry{{{name: "d/", text: ""}, {name: "d/a", text: "1"}, {name: "d/b", text: "1"}}, {{name: "d/.wh.a"}}},
			want: map[string]string{"d/b": "1"}},
		{name: "a whiteout of a directory", layers: [][]entry{{{name: "d/"}, {name: "d/e/"}, {name: "d/e/a", text: "1"}, {name: "x", text: "1"}}, {{name: ".wh.d"}}},
			want: map[string]string{"x": "1"}},
		{name: "a whiteout spares its own layer, whatever the order", layers: [][]entry{{{name: "a", text: "1"}}, {{name: ".wh.a"}, {name: "a", text: "2"}}},
			want: map[string]string{"a": "2"}},
		{name: "an opaque directory", layers: [][]entry{{{name: "d/"}, {name: "d/a", text: "1"}}, {{name: "d/"}, {name: "d/b", text: "2"}, {name: "d/.wh..wh..opq"}}},
			want: map[string]string{"d/b": "2"}},
		{name: "an opaque root", layers: [][]entry{{{name: "a", text: "1"}}, {{name: ".wh..wh..opq"}, {name: "b", text: "2"}}},
			want: map[string]string{"b": "2"}},
		{name: "a file in place of a directory", layers: [][]entry{{{name: "d/"}, {name: "d/a", text: "1"}}, {{name: "d", text: "2"}}},
			want: map[string]string{"d": "2"}},
		{name: "a symbolic link in place of a directory", layers: [][]entry{{{name: "d/"}, {name: "d/a", text: "1"}}, {{name: "d", symbolic: "e"}}},
			want: map[string]string{}},
		{name: "the last entry of a path counts", layers: [][]entry{{{name: "a", text: "1"}, {name: "a", text: "2"}}},
			want: map[string]string{"a": "2"}},
		{name: "a path that leads out ends at the root", layers: [][]entry{{{name: "../../a", text: "1"}, {name: "/b", text: "2"}}},
			want: map[string]string{"a": "1", "b": "2"}},
		{name: "a hard link", layers: [][]entry{{{name: "a", text: "1"}, {name: "b", hard: "a"}}},
			want: map[string]string{"a": "1", "b": "1"}},
		{name: "a hard link to a lower layer's file, which is gone", layers: [][]entry{{{name: "a", text: "1"}}, {{name: "b", hard: "a"}, {name: ".wh.a"}}},
			want: map[string]string{"b": "1"}},
		{name: "a hard link that is replaced in its layer", layers: [][]entry{{{name: "a", text: "1"}, {name: "b", hard: "a"}, {name: "b", text: "2"}}},
			want: map[string]string{"a": "1", "b": "2"}},
		{name: "what has not the mark is dropped", wanted: marked, layers: [][]entry{{{name: "bin/go", text: "xMARKx"}, {name: "bin/c", text: "xMARX"}, {name: "other", text: "MARK"}}},
			want: map[string]string{"bin/go": "xMARKx"}},
		{name: "a hard link that needs no mark, to what has none", wanted: marked, layers: [][]entry{{{name: "bin/c", text: "packages"}, {name: "status", hard: "bin/c"}}},
			want: map[string]string{"status": "packages"}},
		{name: "two hard links to one file, of which one needs a mark", wanted: marked, layers: [][]entry{
			{{name: "unwanted", text: "packages"}, {name: "status", hard: "unwanted"}, {name: "bin/c", hard: "unwanted"}}},
			want: map[string]string{"status": "packages", "bin/c": "packages"}},
		{name: "symbolic links show what they name where that is asked", layers: [][]entry{
			{{name: "a", text: "1"}}, {{name: "db/"}, {name: "db/a", symbolic: "../a"}, {name: "db/b", symbolic: "/db/a"}, {name: "b", symbolic: "a"}, {name: "db/loop", symbolic: "loop"}}},
			want: map[string]string{"a": "1", "db/a": "1", "db/b": "1"}, links: map[string]string{"db/loop": "db/loop"}},
		{name: "and are told of if they name nothing", layers: [][]entry{
			{{name: "db/"}, {name: "db/gone", symbolic: "x"}, {name: "db/replaced", symbolic: "x"}},
			{{name: "db/relative", symbolic: "../a/./b"}, {name: "db/absolute", symbolic: "/c"}, {name: "elsewhere", symbolic: "x"}, {name: "db/.wh.gone"}, {name: "db/replaced", text: "1"}}},
			want: map[string]string{"db/replaced": "1"}, links: map[string]string{"db/relative": "a/b", "db/absolute": "c"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			all, img := layers(t, test.layers...)
			if test.wanted == nil {
				test.wanted = everything
			}
			f, err := rootfs.Open(t.Context(), all, img, test.wanted, rootfs.DefaultLimits(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if diff := cmp.Diff(test.want, files(t, f)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if test.links == nil {
				test.links = map[string]string{}
			}
			if diff := cmp.Diff(test.links, f.Dangling()); diff != "" {
				t.Errorf("links (-want +got):\n%s", diff)
			}
		})
	}
}

// It is a file system by the standard library's own test.
func TestIsFileSystem(t *testing.T) {
	all, img := layers(t, []entry{{name: "a/b/c", text: "1"}, {name: "a/d", text: "22"}, {name: "e", text: ""}})
	f, err := rootfs.Open(t.Context(), all, img, everything, rootfs.DefaultLimits(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := fstest.TestFS(f, "a/b/c", "a/d", "e"); err != nil {
		t.Error(err)
	}
}

// What cannot be judged is an error that names its reason, never a file less.
func TestOpenRefuses(t *testing.T) {
	limits := func(change func(*rootfs.Limits)) rootfs.Limits {
		l := rootfs.DefaultLimits()
		change(&l)
		return l
	}
	two := []entry{{name: "a", text: "12345"}, {name: "b", text: "12345"}}
	for _, test := range []struct {
		name    string
		entries []entry
		limits  rootfs.Limits
		change  func(b blobs, img *content.Image)
		want    string
	}{
		{name: "too many entries", entries: two, limits: limits(func(l *rootfs.Limits) { l.Entries = 1 }), want: "--max-entries"},
		{name: "a file that is too large", entries: two, limits: limits(func(l *rootfs.Limits) { l.File = 4 }), want: "--max-file-bytes"},
		{name: "too many bytes kept", entries: two, limits: limits(func(l *rootfs.Limits) { l.Kept = 9 }), want: "--max-kept-bytes"},
		{name: "too many bytes unpacked", entries: two, limits: limits(func(l *rootfs.Limits) { l.Unpacked = 600 }), want: "--max-unpacked-bytes"},
		{name: "a hard link to nothing", entries: []entry{{name: "a", hard: "b"}}, limits: rootfs.DefaultLimits(), want: "ContentCorrupted"},
		{name: "bytes of another digest", entries: two, limits: rootfs.DefaultLimits(), change: func(b blobs, img *content.Image) {
			other, err := image.ParseDigest("sha256:" + strings.Repeat("0", 64))
			if err != nil {
				panic(err)
			}
			b[other], img.Layers[0].Digest = b[img.Layers[0].Digest], other
		}, want: "ContentCorrupted"},
		{name: "half a layer", entries: two, limits: rootfs.DefaultLimits(), change: func(b blobs, img *content.Image) {
			b[img.Layers[0].Digest] = b[img.Layers[0].Digest][:40]
		}, want: "ContentCorrupted"},
		{name: "a layer that is none", entries: two, limits: rootfs.DefaultLimits(), change: func(b blobs, img *content.Image) {
			b[img.Layers[0].Digest] = []byte(strings.Repeat("no archive", 100))
		}, want: "ContentCorrupted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			all, img := layers(t, test.entries)
			if test.change != nil {
				test.change(all, &img)
			}
			f, err := rootfs.Open(t.Context(), all, img, everything, test.limits, t.TempDir())
			if err == nil {
				_ = f.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "layer sha256:") {
				t.Errorf("error is %v, want %q and the layer", err, test.want)
			}
		})
	}
	all, img := layers(t, two)
	if _, err := rootfs.Open(t.Context(), all, img, everything, rootfs.DefaultLimits(), filepath.Join(t.TempDir(), "none")); err == nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a directory to keep files in: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := rootfs.Open(ctx, all, img, everything, rootfs.DefaultLimits(), t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("after its time: %v", err)
	}
}

// Read from the top down, any layers give what applying them from the bottom up
// gives.
func TestSameAsApplyingLayers(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 1))
		model := map[string]string{}
		var all [][]entry
		for n := range 1 + random.IntN(4) {
			own := randomLayer(random, n)
			apply(model, own)
			all = append(all, own)
		}
		packed, img := layers(t, all...)
		f, err := rootfs.Open(t.Context(), packed, img, everything, rootfs.DefaultLimits(), t.TempDir())
		if err != nil {
			t.Fatalf("seed %d: %v\n%v", seed, err, all)
		}
		got := files(t, f)
		_ = f.Close()
		want := maps.Clone(model)
		maps.DeleteFunc(want, func(_, text string) bool { return text == "" })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: %v\nfiles (-want +got):\n%s", seed, all, diff)
		}
	}
}

// randomLayer has directories before what is in them, and each path once.
func randomLayer(random *rand.Rand, n int) []entry {
	var out []entry
	dirs := map[string]bool{".": true}
	taken := map[string]bool{}
	for i := range 1 + random.IntN(6) {
		var parts []string
		for range 1 + random.IntN(3) {
			parts = append(parts, string(rune('a'+random.IntN(3))))
		}
		name := path.Join(parts...)
		if taken[name] || slices.ContainsFunc(parents(name), func(p string) bool { return taken[p] && !dirs[p] }) {
			continue
		}
		for _, dir := range slices.Backward(parents(name)) {
			if !dirs[dir] {
				dirs[dir], taken[dir] = true, true
				out = append(out, entry{name: dir + "/"})
			}
		}
		switch random.IntN(5) {
		case 0:
			out = append(out, entry{name: path.Join(path.Dir(name), ".wh."+path.Base(name))})
		case 1:
			dirs[name], taken[name] = true, true
			out = append(out, entry{name: name + "/"})
			if random.IntN(2) == 0 {
				out = append(out, entry{name: name + "/.wh..wh..opq"})
			}
		default:
			taken[name] = true
			out = append(out, entry{name: name, text: fmt.Sprintf("layer %d, entry %d", n, i)})
		}
	}
	return out
}

// parents are the directories that lead to name, the nearest first.
func parents(name string) []string {
	var out []string
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		out = append(out, dir)
	}
	return out
}

// apply applies a layer to files by path; a directory has no text.
func apply(model map[string]string, own []entry) {
	remove := func(name string, itself bool) {
		maps.DeleteFunc(model, func(other, _ string) bool {
			return itself && other == name || strings.HasPrefix(other, name+"/")
		})
	}
	for _, e := range own {
		dir, base := path.Dir(e.name), path.Base(e.name)
		switch {
		case base == ".wh..wh..opq":
			remove(dir, false)
		case strings.HasPrefix(base, ".wh."):
			remove(path.Join(dir, strings.TrimPrefix(base, ".wh.")), true)
		}
	}
	for _, e := range own {
		name := strings.TrimSuffix(e.name, "/")
		switch {
		case strings.HasPrefix(path.Base(name), ".wh."):
		case strings.HasSuffix(e.name, "/"):
			if model[name] != "" { // a file makes room
				remove(name, true)
			}
			model[name] = ""
		default:
			remove(name, true)
			model[name] = e.text
		}
	}
}
