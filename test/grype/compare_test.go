package grype_test

import (
	"encoding/json"
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

	"github.com/anchore/grype/grype"
	"github.com/anchore/grype/grype/matcher"
	"github.com/anchore/grype/grype/pkg"
	"github.com/anchore/grype/grype/vulnerability"
	"github.com/anchore/syft/syft"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

const (
	root    = "../.."
	records = "../images/testdata/osv"
)

// On the same images, with the same records, both find the same vulnerabilities of
// the same packages, with the same fixes.
func TestFindingsAreGrypes(t *testing.T) {
	dir := t.TempDir()
	command(t, root, "go", "build", "-o", dir, "./cmd/step")
	command(t, filepath.Join(root, "cmd", "scan"), "go", "build", "-o", dir, ".")
	saved := filepath.Join(dir, "images")
	command(t, "..", "go", "run", "./cmd/samples", saved)
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer s.Close()
	r := revet{host: strings.TrimPrefix(s.URL, "http://"), step: filepath.Join(dir, "step"), scan: filepath.Join(dir, "scan")}
	r.mirror(t)
	theirs := provider(t, records)
	for sample, least := range map[string]int{"debian": 8, "go-program": 2} {
		t.Run(sample, func(t *testing.T) {
			image := filepath.Join(saved, sample)
			want, got := found(t, theirs, image), r.found(t, image)
			if diff := cmp.Diff(want, got); diff != "" || len(want) < least {
				t.Errorf("vulnerabilities, at least %d (-Grype's +Revet's):\n%s", least, diff)
			}
			t.Logf("both find:\n%s", strings.Join(got, "\n"))
		})
	}
}

// command runs a program in a folder.
func command(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}

// line is how a vulnerability is compared.
func line(id, name, version string, fixed []string) string {
	return id + " of " + name + " " + strings.TrimPrefix(version, "v") + ", fixed in " + strings.Join(fixed, " ")
}

// found returns what Grype finds in an image layout.
func found(t *testing.T, records vulnerability.Provider, image string) []string {
	t.Helper()
	packages, context, _, err := pkg.Provide("oci-dir:"+image, pkg.ProviderConfig{SyftProviderConfig: pkg.SyftProviderConfig{SBOMOptions: syft.DefaultCreateSBOMConfig()}})
	if err != nil {
		t.Fatal(err)
	}
	m := grype.VulnerabilityMatcher{VulnerabilityProvider: records, Matchers: matcher.NewDefaultMatchers(matcher.Config{})}
	matches, _, err := m.FindMatches(packages, context)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range matches.Sorted() {
		all = append(all, line(f.Vulnerability.ID, f.Package.Name, f.Package.Version, f.Vulnerability.Fix.Versions))
	}
	slices.Sort(all)
	return all
}

// revet is Revet's steps, and the registry that they speak to.
type revet struct{ host, step, scan string }

func (r revet) database() string { return r.host + "/revet/database:1" }

// mirror fills the database with the records, as of now.
func (r revet) mirror(t *testing.T) {
	t.Helper()
	source := t.TempDir()
	if err := os.CopyFS(source, os.DirFS(records)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source, "as-of"), []byte(time.Now().UTC().Format(time.RFC3339)), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, ".", r.step, "database", "mirror", "--from="+source, "--to="+r.database(), "--insecure-registry="+r.host)
}

// found returns what Revet finds in an image layout, which it pulls from the registry.
func (r revet) found(t *testing.T, image string) []string {
	t.Helper()
	index, err := layout.ImageIndexFromPath(image)
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
	ref, err := name.NewDigest(r.host + "/team/app@" + digest.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	command(t, ".", r.step, "fetch", "--reference="+ref.String(), "--layout="+dir, "--insecure-registry="+r.host)
	command(t, ".", r.scan, "sbom", "--layout="+dir)
	command(t, ".", r.scan, "vulnerabilities", "--layout="+dir, "--database="+r.database(), "--insecure-registry="+r.host)
	raw, err := os.ReadFile(filepath.Join(dir, "scan", "findings.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vulnerabilities []struct {
			ID      string
			Package struct{ Name, Version string }
			FixedIn []string
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, v := range file.Vulnerabilities {
		all = append(all, line(v.ID, v.Package.Name, v.Package.Version, v.FixedIn))
	}
	slices.Sort(all)
	return all
}
