package layers_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/revet-dev/revet/pkg/pipeline/layers"
)

// What build tools write is read by all runtimes alike, and gives no alarm. The shapes
// are theirs: names, order, markers and links; the files are not.
func TestToolsGiveNoAlarm(t *testing.T) {
	debian := []entry{
		{name: "./"}, {name: "./bin", symbolic: "usr/bin"}, {name: "./boot/"}, {name: "./dev/"}, {name: "./dev/console", as: tar.TypeChar, major: 5, minor: 1},
		{name: "./dev/fd", symbolic: "/proc/self/fd"}, {name: "./dev/null", as: tar.TypeChar, major: 1, minor: 3}, {name: "./dev/ram0", as: tar.TypeBlock, major: 1},
		{name: "./etc/"}, {name: "./etc/passwd", text: "root"}, {name: "./lib", symbolic: "usr/lib"}, {name: "./run/"}, {name: "./run/initctl", as: tar.TypeFifo}, {name: "./usr/"}, {name: "./usr/bin/"},
		{name: "./usr/bin/perl", text: "perl"}, {name: "./usr/bin/perl5.40.1", hard: "./usr/bin/perl"}, {name: "./usr/bin/ping", text: "ping", attribute: "security.capability"},
		{name: "./usr/lib/"}, {name: "./usr/lib/locale/"}, {name: "./var/"}, {name: "./var/lib/"}, {name: "./var/lib/dpkg/"}, {name: "./var/lib/dpkg/status", text: "bash"},
	}
	for _, r := range []row{
		{name: "debootstrap and mmdebstrap", layers: [][]entry{debian}},
		{name: "BuildKit and Docker: parents, whiteouts, opaque directories with the marker first", layers: [][]entry{debian,
			{{name: "etc/"}, {name: "etc/.wh.passwd"}, {name: "usr/"}, {name: "usr/lib/"}, {name: "usr/lib/locale/"}, {name: "usr/lib/locale/.wh..wh..opq"}, {name: "usr/lib/locale/C.utf8/"}, {name: "usr/lib/locale/C.utf8/LC_CTYPE", text: "1"}},
			{{name: "app/"}, {name: "app/main", text: "1"}, {name: "usr/"}, {name: "usr/bin/"}, {name: "usr/bin/perl", text: "new"}, {name: "var/"}, {name: "var/.wh.lib"}},
			{{name: "var/"}, {name: "var/lib/"}, {name: "var/lib/new", text: "1"}, {name: "tmp/"}, {name: "tmp/.wh.none"}},
		}},
		{name: "BuildKit, merge and copy --link: no parents", layers: [][]entry{debian, {{name: "srv/app/"}, {name: "srv/app/main", text: "1"}}, {{name: "usr/local/bin/tool", text: "1"}}}},
		{name: "containerd and nerdctl commit: hard links to what did not change", layers: [][]entry{debian, {{name: "usr/"}, {name: "usr/bin/"}, {name: "usr/bin/perl", text: "patched"}, {name: "usr/bin/perl5.40.1", hard: "usr/bin/perl"}, {name: "root/"}, {name: "root/.wh..bashrc"}}}},
		{name: "buildah and Podman: the marker after its directory, whiteouts among files", layers: [][]entry{debian,
			{{name: "etc/"}, {name: "etc/a", text: "1"}, {name: "etc/.wh.passwd"}, {name: "etc/z", text: "1"}, {name: "run/"}, {name: "usr/"}, {name: "usr/lib/"}, {name: "usr/lib/.wh..wh..opq"}, {name: "usr/lib/x86/"}, {name: "usr/lib/x86/so", text: "1"}}}},
		{name: "kaniko: the root, absolute directories, whiteouts before files", layers: [][]entry{debian,
			{{name: "/"}, {name: "etc/"}, {name: "etc/.wh.passwd"}, {name: "var/lib/.wh.dpkg"}, {name: "/workspace/"}, {name: "workspace/main", text: "1"}, {name: "workspace/link", symbolic: "/workspace/main"}}}},
		{name: "ko: absolute names", layers: [][]entry{{{name: "./"}, {name: "./etc/"}, {name: "./etc/passwd", text: "root"}}, {{name: "/var/run/"}, {name: "/var/run/ko/"}, {name: "/var/run/ko/page.html", text: "1"}}, {{name: "/ko-app/"}, {name: "/ko-app/app", text: "ELF"}}}},
		{name: "Jib: sorted, layers for libraries, resources and classes", layers: [][]entry{debian, {{name: "app/"}, {name: "app/libs/"}, {name: "app/libs/a.jar", text: "PK"}}, {{name: "app/"}, {name: "app/resources/"}, {name: "app/resources/x", text: "1"}},
			{{name: "app/"}, {name: "app/classes/"}, {name: "app/classes/Main.class", text: "1"}}, {{name: "app/"}, {name: "app/jib-classpath-file", text: "1"}}}},
		{name: "buildpacks: absolute names, parents in each layer", layers: [][]entry{debian, {{name: "/layers/"}, {name: "/layers/google.go.build/"}, {name: "/layers/google.go.build/bin/"}, {name: "/layers/google.go.build/bin/main", text: "1"}},
			{{name: "/layers/"}, {name: "/layers/config/"}, {name: "/layers/config/metadata.toml", text: "1"}}, {{name: "/workspace/"}}, {{name: "/cnb/"}, {name: "/cnb/process/"}, {name: "/cnb/process/web", symbolic: "/cnb/lifecycle/launcher"}}, {}}},
		{name: "Bazel: one directory several times, names with a dot", layers: [][]entry{{{name: "./"}, {name: "./etc/"}, {name: "./etc/ssl/"}, {name: "./etc/ssl/certs/"}, {name: "./etc/ssl/certs/ca.crt", text: "1"}, {name: "./etc/"}, {name: "./etc/os-release", text: "1"}, {name: "./usr/"}, {name: "./usr/lib/"}, {name: "./lib/"}, {name: "./usr/lib/x", text: "1"}}, {{name: "./app/main", text: "1"}}}},
		{name: "Nix: a store, links to absolute paths", layers: [][]entry{{{name: "./"}, {name: "./nix/"}, {name: "./nix/store/"}, {name: "./nix/store/abc-bash/"}, {name: "./nix/store/abc-bash/bin/"}, {name: "./nix/store/abc-bash/bin/bash", text: "1"}, {name: "./nix/store/abc-bash/bin/sh", symbolic: "bash"}}, {{name: "./bin/"}, {name: "./bin/sh", symbolic: "/nix/store/abc-bash/bin/sh"}}}},
		{name: "bootc and OSTree: objects in each layer, files that are links to them", layers: [][]entry{
			{{name: "./"}, {name: "./sysroot/"}, {name: "./sysroot/ostree/repo/config", text: "1"}, {name: "./ostree", symbolic: "sysroot/ostree"}, {name: "./sysroot/ostree/repo/objects/4f/1c.file", text: "bash"}, {name: "./usr/"}, {name: "./usr/bin/"}, {name: "./usr/bin/bash", hard: "sysroot/ostree/repo/objects/4f/1c.file"}},
			{{name: "./sysroot/ostree/repo/objects/51/2d.file", symbolic: "bash"}, {name: "./usr/bin/sh", hard: "sysroot/ostree/repo/objects/51/2d.file"}, {name: "./sysroot/ostree/repo/objects/9a/aa.file-xattrs-link", hard: "sysroot/ostree/repo/objects/51/2d.file"}},
			{{name: "./etc/"}, {name: "./etc/os-release", symbolic: "../usr/lib/os-release"}, {name: "var/"}}}},
		{name: "git archive and others: a global header with a comment", layers: [][]entry{{{name: "pax_global_header", global: map[string]string{"comment": "4f1c"}}, {name: "src/"}, {name: "src/main.c", text: "1"}}}},
		{name: "an empty layer, as history alone has it", layers: [][]entry{debian, {}, {}}},
	} {
		r.run(t)
	}
}

// Sparse files of POSIX archives are shown with their holes; those of the old format
// of GNU, which containerd and containers/storage refuse, are shown and told.
func TestSparseFiles(t *testing.T) {
	want := make([]byte, 300_003)
	copy(want, "head")
	copy(want[1<<16:], "tail")
	copy(want[300_000:], "end")
	for name, told := range map[string][]layers.Kind{"0.0": nil, "0.1": nil, "1.0": nil, "gnu": kinds(layers.EntryType)} {
		t.Run(name, func(t *testing.T) {
			packed, err := os.ReadFile("testdata/sparse-" + name + ".tar.gz")
			if err != nil {
				t.Fatal(err)
			}
			from, img := stack(stored{gzipType, packed})
			row{kinds: told}.look(t, from, img)
			tree, err := layers.Open(t.Context(), from, img, layers.Limits{}, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			e, ok := tree.Lookup("sparse")
			if !ok || e.Size != int64(len(want)) {
				t.Fatalf("it shows %+v", e)
			}
			r, err := tree.Open(e)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
				t.Errorf("it shows %d other bytes, error %v", len(got), err)
			}
		})
	}
}
