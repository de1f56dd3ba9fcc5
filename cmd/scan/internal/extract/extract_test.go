package extract_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/cmd/scan/internal/extract"
	"github.com/revet-dev/revet/cmd/scan/internal/rootfs"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/inventory"
)

type blobs map[image.Digest][]byte

func (b blobs) Blob(d image.Digest) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b[d])), nil
}

// file is a file of an image, or a symbolic link.
type file struct{ name, text, link string }

// tree is an image of one layer with files.
func tree(t *testing.T, files ...file) (blobs, content.Tree) {
	t.Helper()
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o755, Typeflag: tar.TypeReg, Size: int64(len(f.text))}
		if f.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.link
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(packed.Bytes())
	d, err := image.ParseDigest("sha256:" + hex.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	img := content.Image{Manifest: content.Descriptor{Digest: d}, Layers: []content.Layer{{Descriptor: content.Descriptor{Digest: d, Size: int64(packed.Len())}}}}
	return blobs{d: packed.Bytes()}, content.Tree{Root: img.Manifest, Images: []content.Image{img}}
}

func look(t *testing.T, files ...file) (inventory.Image, error) {
	t.Helper()
	all, of := tree(t, files...)
	out, err := extract.Images(t.Context(), all, of, extract.Options{Limits: rootfs.DefaultLimits(), Temp: t.TempDir()})
	if err != nil {
		return inventory.Image{}, err
	}
	if err := out.Covers(of); err != nil {
		t.Error(err)
	}
	return out.Images[0], nil
}

func jar(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const (
	debian   = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n"
	alpine   = "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.3\n"
	dpkg     = "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl (3.0.1-1)\nVersion: 3.0.1-1+b1\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2\n"
	apk      = "P:libssl3\nV:3.3.2-r0\nA:x86_64\no:openssl\n\nP:busybox\nV:1.36.1-r29\nA:x86_64\no:busybox\n"
	wheel    = "Metadata-Version: 2.1\nName: Zope.Interface\nVersion: 5.0\n"
	nodeJSON = `{"name":"left-pad","version":"1.3.0"}`
)

// Packages have the names, versions and ecosystems by which the database knows
// them.
func TestPackages(t *testing.T) {
	for _, test := range []struct {
		name         string
		files        []file
		want         []string // ecosystem, name@version, and what it is compared by
		distribution string
		unread       int
	}{
		{"Debian", []file{{name: "etc/os-release", text: debian}, {name: "var/lib/dpkg/status", text: dpkg}},
			[]string{"Debian:12 bash@5.2.15-2", "Debian:12 libssl3@3.0.1-1+b1 as openssl@3.0.1-1"}, "debian:12", 0},
		{"Debian without a package manager", []file{{name: "usr/lib/os-release", text: debian}, {name: "etc/os-release", link: "../usr/lib/os-release"},
			{name: "var/lib/dpkg/status.d/base", text: "Package: base-files\nVersion: 12.4\nArchitecture: amd64\n"}},
			[]string{"Debian:12 base-files@12.4"}, "debian:12", 0},
		{"Alpine", []file{{name: "etc/os-release", text: alpine}, {name: "lib/apk/db/installed", text: apk}},
			[]string{"Alpine:v3.20 busybox@1.36.1-r29", "Alpine:v3.20 libssl3@3.3.2-r0 as openssl@3.3.2-r0"}, "alpine:3.20.3", 0},
		{"Alpine with a merged /usr", []file{{name: "etc/os-release", text: alpine}, {name: "lib", link: "usr/lib"}, {name: "usr/lib/apk/db/installed", text: apk}},
			[]string{"Alpine:v3.20 busybox@1.36.1-r29", "Alpine:v3.20 libssl3@3.3.2-r0 as openssl@3.3.2-r0"}, "alpine:3.20.3", 0},
		{"a distribution that nobody knows", []file{{name: "etc/os-release", text: "ID=homemade\nVERSION_ID=1\n"}, {name: "var/lib/dpkg/status", text: dpkg}},
			[]string{"Unknown distribution:homemade bash@5.2.15-2", "Unknown distribution:homemade libssl3@3.0.1-1+b1 as openssl@3.0.1-1"}, "homemade:1", 0},
		{"a distribution without packages", []file{{name: "etc/os-release", text: debian}}, nil, "debian:12", 1},
		{"languages", []file{
			{name: "usr/lib/python3/site-packages/zope.interface-5.0.dist-info/METADATA", text: wheel},
			{name: "app/node_modules/left-pad/package.json", text: nodeJSON},
			{name: "app/lib/log4j-core.jar", text: jar(t, map[string]string{"META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties": "groupId=org.apache.logging.log4j\nartifactId=log4j-core\nversion=2.14.1\n"})},
		}, []string{"Maven org.apache.logging.log4j:log4j-core@2.14.1", "PyPI Zope.Interface@5.0 as zope-interface@5.0", "npm left-pad@1.3.0"}, "", 0},
		{"a package.json that is none", []file{{name: "app/package.json", text: "{"}}, nil, "", 1},
		{"nothing", []file{{name: "app", text: "hello"}}, nil, "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			img, err := look(t, test.files...)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range img.Packages {
				text := p.Ecosystem + " " + p.Name + "@" + p.Version
				if p.Compared != (inventory.Compared{}) {
					text += " as " + p.Compared.Name + "@" + p.Compared.Version
				}
				if p.PURL == "" || len(p.Locations) == 0 {
					t.Errorf("%s has no purl or no place: %+v", text, p)
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
			if img.Distribution != test.distribution || img.UnreadCount != test.unread || len(img.Unread) != test.unread {
				t.Errorf("distribution %q, unread %d %v; want %q, %d", img.Distribution, img.UnreadCount, img.Unread, test.distribution, test.unread)
			}
		})
	}
}

// A Go program tells the modules that it is of.
func TestGoProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/program").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"stdlib@" + strings.TrimPrefix(info.GoVersion, "go")}
	for _, d := range info.Deps {
		want = append(want, d.Path+"@"+strings.TrimPrefix(d.Version, "v"))
	}
	img, err := look(t, file{name: "usr/bin/program", text: string(raw)}, file{name: "usr/bin/script", text: "#!/bin/sh\n"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range img.Packages {
		if p.Ecosystem != "Go" || !slices.Equal(p.Locations, []string{"usr/bin/program"}) {
			t.Errorf("%s is of %s, in %v", p.Name, p.Ecosystem, p.Locations)
		}
		if p.Name != info.Main.Path {
			got = append(got, p.Name+"@"+p.Version)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 3 {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
}

// Where a distribution's packages cannot be read, nothing would be known of the
// image: that is an error, and not an image without packages.
func TestUnreadable(t *testing.T) {
	for _, test := range []struct {
		name  string
		files []file
	}{
		{"a database of RPM that is none", []file{{name: "var/lib/rpm/rpmdb.sqlite", text: strings.Repeat("no database", 1000)}}},
		{"a database that is a symbolic link", []file{{name: "etc/os-release", text: debian}, {name: "var/lib/dpkg/status", link: "/hidden/status"}, {name: "hidden/status", text: dpkg}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			img, err := look(t, test.files...)
			var e *content.Error
			if !errors.As(err, &e) || e.Reason != extract.ReasonUnreadable {
				t.Errorf("error is %v, want %s; found %+v", err, extract.ReasonUnreadable, img.Packages)
			}
		})
	}
	// A link to where the packages are read anyway is nothing to worry about.
	img, err := look(t, file{name: "etc/os-release", text: alpine}, file{name: "lib/apk/db/installed", link: path.Join("..", "..", "..", "usr/lib/apk/db/installed")},
		file{name: "usr/lib/apk/db/installed", text: apk})
	if err != nil || len(img.Packages) != 2 {
		t.Errorf("packages %+v, error %v", img.Packages, err)
	}
}

// A limit of what an image may cost is an error of the image that exceeds it.
func TestLimits(t *testing.T) {
	all, of := tree(t, file{name: "var/lib/dpkg/status", text: dpkg})
	limits := rootfs.DefaultLimits()
	limits.File = 10
	_, err := extract.Images(t.Context(), all, of, extract.Options{Limits: limits, Temp: t.TempDir()})
	var e *content.Error
	if !errors.As(err, &e) || e.Reason != content.ReasonTooLarge || !strings.Contains(err.Error(), "of image") {
		t.Errorf("error is %v", err)
	}
}
