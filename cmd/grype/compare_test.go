package main

import (
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"

	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/report"
)

const (
	root    = "../.."
	records = root + "/test/images/testdata/osv"
)

// On the same images, with the same records, both steps find the same vulnerabilities
// of the same packages, with the same fixes, and come to the same verdict.
func TestFindingsAreTheOtherScanners(t *testing.T) {
	b := newBench(t)
	b.mirror()
	b.push("grype-database:1", archive(t, records, time.Now().UTC()))
	for sample, least := range map[string]int{"debian": 8, "go-program": 2} {
		t.Run(sample, func(t *testing.T) {
			dir := b.fetch(t, sample)
			execute(t, ".", b.scan, "sbom", "--layout="+dir)
			execute(t, ".", b.scan, "vulnerabilities", "--layout="+dir, "--database="+b.host+"/revet/database:1", "--insecure-registry="+b.host)
			theirs, theirReport := b.read(t, dir)
			status, out, errOut := b.grype(t, dir, "--database="+b.host+"/revet/grype-database:1")
			if status != 0 {
				t.Fatalf("status %d: %s", status, errOut)
			}
			ours, ourReport := b.read(t, dir)
			if diff := cmp.Diff(lines(theirs), lines(ours)); diff != "" || len(ours.Vulnerabilities) < least {
				t.Errorf("vulnerabilities, at least %d (-osv-scalibr's +Grype's):\n%s", least, diff)
			}
			t.Logf("both find:\n%s\n%s", strings.Join(lines(ours), "\n"), out)
			if ourReport.Check != theirReport.Check || failed(ourReport) != failed(theirReport) {
				t.Errorf("the reports differ: %+v, %+v", ourReport, theirReport)
			}
			if ours.Scanner.Name != "grype" || ours.Images[0].Digest != theirs.Images[0].Digest || ours.Images[0].Platform != theirs.Images[0].Platform ||
				ours.Images[0].Distribution != theirs.Images[0].Distribution || len(ours.Images[0].Unmatched) > 0 {
				t.Errorf("images: %+v, %+v", ours, theirs)
			}
		})
	}
}

// failed reports whether a report fails the image.
func failed(r report.Report) bool {
	return slices.ContainsFunc(r.Findings, func(f report.Finding) bool { return f.Severity == report.SeverityError })
}

// A database that says nothing reliable is an error, and no report is left.
func TestDatabaseThatCannotBeUsed(t *testing.T) {
	b := newBench(t)
	b.push("old:1", archive(t, records, time.Now().UTC().Add(-121*time.Hour)))
	b.push("other:1", []byte("no archive"))
	dir := b.fetch(t, "debian")
	for _, test := range []struct{ name, reference, want string }{
		{"missing", "none:1", "DatabaseMissing"},
		{"too old", "old:1", "DatabaseTooOld"},
		{"something else", "other:1", "DatabaseFormat"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, _, errOut := b.grype(t, dir, "--database="+b.host+"/revet/"+test.reference)
			if status != 1 || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, test.want) {
				t.Errorf("status %d, standard error %q; want one line with %q", status, errOut, test.want)
			}
			if _, err := report.Read(dir, "scan"); err == nil {
				t.Error("there is a report")
			}
		})
	}
	if status, out, _ := b.grype(t, dir); status != 0 || !strings.Contains(out, "nobody looks") {
		t.Errorf("without a database: status %d: %s", status, out)
	}
}

// What the database does not know of is not taken for clean.
func TestUnknownDistributionFails(t *testing.T) {
	b := newBench(t)
	only := t.TempDir()
	for _, file := range glob(t, filepath.Join(records, "GO-*.json")) {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(only, filepath.Base(file)), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.push("go:1", archive(t, only, time.Now().UTC()))
	dir := b.fetch(t, "debian")
	if status, _, errOut := b.grype(t, dir, "--database="+b.host+"/revet/go:1"); status != 0 {
		t.Fatalf("status %d: %s", status, errOut)
	}
	file, judged := b.read(t, dir)
	if u := file.Images[0].Unmatched; len(u) != 1 || u[0].Ecosystem != "debian:12" || u[0].Packages < 40 || u[0].Why != findings.NoRecords {
		t.Errorf("unmatched: %+v", u)
	}
	if !failed(judged) {
		t.Errorf("it passes: %+v", judged)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	return files
}

// execute runs a program in a folder.
func execute(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}

// lines is how vulnerabilities are compared.
func lines(f findings.File) []string {
	var all []string
	for _, v := range f.Vulnerabilities {
		all = append(all, v.ID+" of "+v.Package.Name+" "+strings.TrimPrefix(v.Package.Version, "v")+" of "+v.Package.Ecosystem+", fixed in "+strings.Join(v.FixedIn, " "))
	}
	slices.Sort(all)
	return all
}

// bench has the other steps, the images, and a registry.
type bench struct {
	t                        *testing.T
	host, step, scan, images string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	execute(t, root, "go", "build", "-o", dir, "./cmd/step")
	execute(t, filepath.Join(root, "cmd", "scan"), "go", "build", "-o", dir, ".")
	execute(t, filepath.Join(root, "test"), "go", "run", "./cmd/samples", filepath.Join(dir, "images"))
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return &bench{
		t: t, host: strings.TrimPrefix(s.URL, "http://"),
		step: filepath.Join(dir, "step"), scan: filepath.Join(dir, "scan"), images: filepath.Join(dir, "images"),
	}
}

// mirror fills Revet's own database with the records, as of now.
func (b *bench) mirror() {
	b.t.Helper()
	source := b.t.TempDir()
	if err := os.CopyFS(source, os.DirFS(records)); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source, "as-of"), []byte(time.Now().UTC().Format(time.RFC3339)), 0o600); err != nil {
		b.t.Fatal(err)
	}
	execute(b.t, ".", b.step, "database", "mirror", "--from="+source, "--to="+b.host+"/revet/database:1", "--insecure-registry="+b.host)
}

// push pushes an archive as an artefact.
func (b *bench) push(reference string, archive []byte) {
	b.t.Helper()
	tag, err := name.NewTag(b.host + "/revet/" + reference)
	if err != nil {
		b.t.Fatal(err)
	}
	artefact, err := mutate.AppendLayers(empty.Image, static.NewLayer(archive, "application/zstd"))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := remote.Write(tag, artefact); err != nil {
		b.t.Fatal(err)
	}
}

// fetch pushes a sample and pulls it as the step fetch does.
func (b *bench) fetch(t *testing.T, sample string) string {
	t.Helper()
	index, err := layout.ImageIndexFromPath(filepath.Join(b.images, sample))
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	digest := list.Manifests[0].Digest
	img, err := index.Image(digest)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewDigest(b.host + "/team/app@" + digest.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	execute(t, ".", b.step, "fetch", "--reference="+ref.String(), "--layout="+dir, "--insecure-registry="+b.host)
	return dir
}

// grype runs this program's step.
func (b *bench) grype(t *testing.T, dir string, args ...string) (status int, out, errOut string) {
	t.Helper()
	t.Setenv("TMPDIR", os.TempDir()) // the step sets it for its process
	temp := t.TempDir()
	var stdout, stderr bytes.Buffer
	status = run(t.Context(), append([]string{"vulnerabilities", "--layout=" + dir, "--temp=" + temp, "--insecure-registry=" + b.host}, args...), &stdout, &stderr)
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left in its directory: %v, %v", left, err)
	}
	return status, stdout.String(), stderr.String()
}

func (b *bench) read(t *testing.T, dir string) (findings.File, report.Report) {
	t.Helper()
	f, err := findings.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.Read(dir, "scan")
	if err != nil {
		t.Fatal(err)
	}
	return f, r
}
