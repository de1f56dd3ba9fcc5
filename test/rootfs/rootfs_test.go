//go:build rootfs

package rootfs

import (
	"bytes"
	"context"
	"flag"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/revet-dev/revet/pkg/pipeline/result"
)

var keep = flag.String("keep", "", "directory to keep the file systems, layouts and records in")

// scanner is the program under test.
var scanner string

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "revet-rootfs-")
	if err != nil {
		log.Fatal(err)
	}
	scanner = filepath.Join(dir, "scan")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", scanner, ".") //nolint:gosec // the project's own
	build.Dir = filepath.Join("..", "..", "cmd", "scan")
	if out, err := build.CombinedOutput(); err != nil {
		log.Fatalf("building the scanner: %v\n%s", err, out)
	}
	status := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		log.Print(err)
	}
	os.Exit(status)
}

// system is a file system.
type system struct {
	name string
	// make makes it in a directory.
	make func(t *testing.T, dir string)
	// expect is what is known of it; gaps are what cannot be known, as "RULE SUBJECT".
	expect []expectation
	gaps   []string
	// version asks the distribution's own tool for the version of a package.
	version func(t *testing.T, dir, name string) string
}

// What the scanner finds in each file system is what was expected, and nothing else.
func TestFindings(t *testing.T) {
	for _, s := range systems() {
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

func (s system) run(t *testing.T) {
	work := t.TempDir()
	if *keep != "" {
		work = filepath.Join(*keep, s.name)
		if err := os.RemoveAll(work); err != nil {
			t.Fatal(err)
		}
	}
	dir, image, records := filepath.Join(work, "root"), filepath.Join(work, "image"), filepath.Join(work, "records")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // of an image
		t.Fatal(err)
	}
	s.make(t, dir)
	pack(t, dir, image)
	writeRecords(t, records, s.expect)

	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	database := []string{"--insecure-registry", host}
	run(t, scanner, append(database, "database", "mirror", "--from", records, "--to", host+"/database:current")...)
	took := run(t, scanner, "sbom", "--layout", image)
	t.Logf("packages: %s", took)
	took = run(t, scanner, append(database, "vulnerabilities", "--layout", image, "--database", host+"/database:current", "--database-max-age", "87600h")...)
	t.Logf("vulnerabilities: %s", took)

	found, err := result.ReadFindings(image)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.wanted(t, dir), lines(found), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

// wanted are the lines of what is expected.
func (s system) wanted(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	for _, e := range s.expect {
		for _, pkg := range e.want {
			if name, ok := strings.CutSuffix(pkg, " *"); ok {
				pkg = name + " " + s.version(t, dir, name)
			}
			all = append(all, e.line(pkg))
		}
	}
	for _, g := range s.gaps {
		all = append(all, "gap "+g)
	}
	slices.Sort(all)
	return all
}

// lines are those of what was found.
func lines(f result.Findings) []string {
	var all []string
	for _, v := range f.Vulnerabilities {
		all = append(all, strings.TrimSpace(v.ID+" "+v.Package.Name+" "+v.Package.Version+" fix "+strings.Join(v.FixedIn, ",")))
	}
	for _, img := range f.Images {
		for _, g := range img.Gaps {
			all = append(all, strings.TrimSpace("gap "+g.Rule+" "+g.Subject))
		}
	}
	slices.Sort(all)
	return all
}

// pack makes a layout with one image of one layer.
func pack(t *testing.T, dir, image string) {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "layer.tar")
	run(t, "tar", "-C", dir, "--exclude=./proc/*", "--exclude=./sys/*", "--exclude=./dev/*", "-cf", archive, ".")
	layer, err := tarball.LayerFromFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	path, err := layout.Write(image, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(img); err != nil {
		t.Fatal(err)
	}
}

// run runs a program, and returns what it took.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	took := cmd.ProcessState
	memory := int64(0)
	if usage, ok := took.SysUsage().(*syscall.Rusage); ok {
		memory = usage.Maxrss >> 10
	}
	return (took.UserTime() + took.SystemTime()).String() + " CPU, " + strconv.FormatInt(memory, 10) + " MiB"
}

// output runs a program, and returns what it printed.
func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, &stderr)
	}
	return strings.TrimSpace(string(out))
}
