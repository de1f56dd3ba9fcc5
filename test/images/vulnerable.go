package images

import (
	"archive/tar"
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing/fstest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

//go:embed testdata/debian testdata/osv
var testdata embed.FS

// Records are vulnerability records in OSV's format, a file each: those that the
// samples of Vulnerable have, and some that they have not.
func Records() fs.FS {
	records, err := fs.Sub(testdata, "testdata/osv")
	if err != nil {
		panic(err) // it is embedded
	}
	return records
}

// DebianRecords are those of Records that are about Debian.
func DebianRecords() fs.FS {
	debian := fstest.MapFS{}
	names, err := fs.Glob(Records(), "DEBIAN-*.json")
	if err != nil {
		panic(err) // the pattern is a good one
	}
	for _, name := range names {
		raw, err := fs.ReadFile(Records(), name)
		if err != nil {
			panic(err) // it is embedded
		}
		debian[name] = &fstest.MapFile{Data: raw}
	}
	return debian
}

// Vulnerable are images that fail for their vulnerabilities, by Records and the
// default policy, and pass where nobody scans. Rules are the vulnerabilities that
// fail them.
func Vulnerable() []Sample { return []Sample{Debian(0), GoProgram()} }

// Debian has the package database of a Debian 12 of 47 packages, of which some are
// old; and so many bytes of files that no package is known of, a MiB each.
func Debian(filler int64) Sample {
	return Sample{
		Name: "debian", About: "a Debian 12 whose glibc, openssl and curl lack updates", Verdict: VerdictFail,
		Rules: []string{"CVE-2023-38545", "CVE-2023-4911", "CVE-2023-5363"},
		build: func(o Options) (artefact, error) {
			files := []file{}
			for _, f := range []struct{ from, to string }{{"os-release", "etc/os-release"}, {"status", "var/lib/dpkg/status"}} {
				raw, err := testdata.ReadFile("testdata/debian/" + f.from)
				if err != nil {
					return artefact{}, err
				}
				files = append(files, file{name: f.to, mode: 0o644, content: raw})
			}
			random := rand.NewChaCha8([32]byte{})
			for n := int64(0); n < filler>>20; n++ {
				raw := make([]byte, 1<<20)
				_, _ = random.Read(raw) // it cannot fail
				files = append(files, file{name: fmt.Sprintf("usr/share/filler/%d", n), mode: 0o644, content: raw})
			}
			l, err := filesLayer(files)
			if err != nil {
				return artefact{}, err
			}
			return image(o, good, l)
		},
	}
}

// The program of GoProgram, which the Go toolchain at hand builds.
const (
	programModule = "module example.com/revet/sample\n\ngo 1.21\n\nrequire golang.org/x/text v0.3.5\n"
	programSums   = `golang.org/x/text v0.3.5 h1:i6eZZ+zk0SOf0xgBpEpPD18qWcJda6q1sxt3S0kzyUQ=
golang.org/x/text v0.3.5/go.mod h1:5Zoc/QRtKVWzQhOtBMvqHzDpF6irO9z98xDceosuGiQ=
golang.org/x/tools v0.0.0-20180917221912-90fa682c2a6e/go.mod h1:n7NCudcB/nEzxVGmLbDWY5pfWTLqBcC2KZ6jyYvM4mQ=
`
	programSource = `package main

import "golang.org/x/text/language"

func main() { println(language.Make("en").String()) }
`
)

// GoProgram holds a program that is linked with a module of old.
func GoProgram() Sample {
	return Sample{
		Name: "go-program", About: "a Go program with golang.org/x/text v0.3.5", Verdict: VerdictFail,
		Rules: []string{"CVE-2021-38561", "CVE-2022-32149"},
		build: func(o Options) (artefact, error) {
			program, err := buildProgram(context.Background())
			if err != nil {
				return artefact{}, err
			}
			l, err := filesLayer([]file{{name: "app", mode: 0o755, content: program}})
			if err != nil {
				return artefact{}, err
			}
			return image(o, good, l)
		},
	}
}

func buildProgram(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "revet-sample-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{"go.mod": programModule, "go.sum": programSums, "main.go": programSource} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", "app", ".")
	build.Dir = dir
	build.Env = append(build.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOWORK=off", "GOFLAGS=-mod=mod")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the program of the sample: %w: %s", err, out)
	}
	return os.ReadFile(filepath.Join(dir, "app")) //nolint:gosec // what was built
}

type file struct {
	name    string
	mode    int64
	content []byte
}

// filesLayer packs files.
func filesLayer(files []file) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.content))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
}
