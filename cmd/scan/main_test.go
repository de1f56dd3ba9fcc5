package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/cmd/scan/internal/mirror"
	"github.com/revet-dev/revet/cmd/scan/internal/sample"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// fixture is a registry with an image and a database, and the layout that the step
// fetch makes of the image.
type fixture struct {
	t        *testing.T
	host     string
	layout   string
	digest   image.Digest
	database string
	results  string
}

const status = "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\nVersion: 3.0.1-1\n\n" +
	"Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2\n"

func newFixture(t *testing.T, asOf time.Time) *fixture {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	f := &fixture{t: t, host: strings.TrimPrefix(s.URL, "http://"), layout: filepath.Join(t.TempDir(), "image"), results: t.TempDir()}
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	f.push()
	f.database = f.host + "/revet/database:current"
	f.mirror(f.database, asOf)
	return f
}

// push pushes an image of one layer of Debian's, and fetches it.
func (f *fixture) push() {
	f.t.Helper()
	layer := sample.Tar(f.t, sample.Files{
		"etc/os-release": "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n", "var/lib/dpkg/status": status,
		"var/lib/chisel/manifest.wall": "(zstd)",
	})
	img, err := mutate.AppendLayers(empty.Image, static.NewLayer(layer, types.DockerUncompressedLayer))
	if err != nil {
		f.t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		f.t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		f.t.Fatal(err)
	}
	tag, err := name.NewTag(f.host + "/team/app:1")
	if err != nil {
		f.t.Fatal(err)
	}
	if err := remote.Write(tag, img); err != nil {
		f.t.Fatal(err)
	}
	hash, err := img.Digest()
	if err != nil {
		f.t.Fatal(err)
	}
	ref, err := image.ParseReference(f.host + "/team/app@" + hash.String())
	if err != nil {
		f.t.Fatal(err)
	}
	f.digest = ref.Digest()
	src, err := fetch.NewRegistry(f.t.Context(), ref.Repository(), f.options())
	if err != nil {
		f.t.Fatal(err)
	}
	dir, err := oci.CreateLayout(f.layout)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := fetch.Fetch(f.t.Context(), src, f.digest, nil, dir, fetch.Limits{Bytes: 1 << 20, Unpacked: 1 << 20, Ratio: 100}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) options() fetch.Options {
	f.t.Helper()
	trust, err := fetch.LoadTrust("", []string{f.host})
	if err != nil {
		f.t.Fatal(err)
	}
	return fetch.Options{Trust: trust}
}

// mirror makes a database of two records of Debian, as of a time.
func (f *fixture) mirror(reference string, asOf time.Time) {
	f.t.Helper()
	source := f.t.TempDir()
	for id, r := range map[string]string{
		"DSA-1": fmt.Sprintf(`{"id":"DSA-1","modified":%q,"upstream":["CVE-2026-1"],"summary":"a hole","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
			"affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.2-1"}]}]}]}`, asOf.Format(time.RFC3339)),
		"DSA-2": `{"id":"DSA-2","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:12","name":"bash"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"5.2.15-2"}]}]}]}`,
	} {
		if err := os.WriteFile(filepath.Join(source, id+".json"), []byte(r), 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	to, err := vulndb.ParseReference(reference)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := mirror.Run(f.t.Context(), mirror.Options{From: source, To: to, Registry: f.options(), Dir: f.t.TempDir(), MaxDownload: 1 << 20, Now: time.Now().UTC().Truncate(time.Second)}); err != nil {
		f.t.Fatal(err)
	}
}

// scan runs a step.
func (f *fixture) scan(args ...string) (status int, out, errOut string) {
	f.t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(f.t.Context(), append(args, "--layout="+f.layout, "--results="+f.results), &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

func (f *fixture) vulnerabilities(args ...string) (status int, out, errOut string) {
	f.t.Helper()
	return f.scan(append([]string{"vulnerabilities", "--insecure-registry=" + f.host}, args...)...)
}

// From an image and a database to what the verdict is joined from.
func TestSteps(t *testing.T) {
	asOf := time.Now().UTC().Add(-50 * time.Hour).Truncate(time.Second)
	f := newFixture(t, asOf)
	if status, _, errOut := f.vulnerabilities("--database=" + f.database); status != 1 || !strings.Contains(errOut, "the sbom step did not run") {
		t.Errorf("before sbom: status %d: %s", status, errOut)
	}
	if raw, err := os.ReadFile(filepath.Join(f.results, "error")); err != nil || !strings.Contains(string(raw), "the sbom step did not run") {
		t.Errorf("the result \"error\" is %q (%v)", raw, err)
	}
	status, out, errOut := f.scan("sbom")
	if status != 0 || errOut != "" || !strings.Contains(out, `linux/amd64: packages 2 (deb 2), distribution "debian:12"`) {
		t.Fatalf("sbom: status %d: %s%s", status, out, errOut)
	}
	raw, err := os.ReadFile(filepath.Join(f.layout, "sbom", f.digest.Hex()+".cdx.json"))
	if err != nil || !bytes.Contains(raw, []byte("pkg:deb/debian/libssl3@3.0.1-1")) {
		t.Errorf("the SBOM is %s (%v)", raw, err)
	}
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	status, out, errOut = f.vulnerabilities("--database="+f.database, "--policy="+policy)
	if status != 0 || errOut != "" || !strings.Contains(out, "CVE-2026-1: libssl3 3.0.1-1, fixed in 3.0.2-1: a hole\n") {
		t.Fatalf("status %d: %s%s", status, out, errOut)
	}
	found, err := result.ReadFindings(f.layout)
	if err != nil {
		t.Fatal(err)
	}
	equal := cmp.Comparer(func(a, b image.Digest) bool { return a == b })
	_, inventory, err := result.ReadInventory(f.layout)
	if err != nil {
		t.Fatal(err)
	}
	want := result.Findings{
		Digest: f.digest, Scanner: result.Tool{Name: "grype", Version: found.Scanner.Version},
		Database: result.ScanDatabase{
			Reference: f.database, Digest: found.Database.Digest, AsOf: asOf, Schema: found.Database.Schema, Ecosystems: found.Database.Ecosystems,
		},
		Inventory: inventory,
		Images: []result.ScannedImage{{
			Platform: "linux/amd64", Digest: f.digest, Distribution: "debian:12", Packages: 2, Kinds: map[string]int{"deb": 2},
			Gaps: []result.Gap{{
				Rule: result.RuleUnreadFiles, Subject: "chisel", Message: found.Images[0].Gaps[0].Message, Count: 1,
				Examples: []string{"var/lib/chisel/manifest.wall"},
			}},
		}},
		Vulnerabilities: []result.Vulnerability{{
			ID: "CVE-2026-1", Aliases: []string{"DSA-1"}, Level: result.LevelCritical, Score: 9.8, Summary: "a hole", URL: found.Vulnerabilities[0].URL,
			Package: result.VulnerablePackage{
				Name: "libssl3", Version: "3.0.1-1", Ecosystem: "debian:12", Kind: "deb", PURL: found.Vulnerabilities[0].Package.PURL,
				Locations: []string{"var/lib/dpkg/status"},
			},
			FixedIn: []string{"3.0.2-1"}, Platform: "linux/amd64", Digest: f.digest,
		}},
	}
	if diff := cmp.Diff(want, found, equal); diff != "" || found.Database.Schema == "" || len(found.Database.Ecosystems) == 0 {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	judged, err := result.ReadReport(f.layout, "scan")
	if err != nil {
		t.Fatal(err)
	}
	if judged.Database == nil || judged.Database.Digest != found.Database.Digest || judged.Levels["critical"] != 1 {
		t.Errorf("the report is %+v", judged)
	}
}

// A database that says nothing reliable is an error, and leaves no report behind
// that could pass for one.
func TestDatabaseThatCannotBeUsed(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	for _, test := range []struct {
		name, want string
		asOf       time.Time
		args       func(f *fixture) []string
	}{
		{"not named", "DatabaseNotConfigured", now, func(*fixture) []string { return nil }},
		{"missing", "DatabaseMissing", now, func(f *fixture) []string { return []string{"--database=" + f.host + "/revet/database:other"} }},
		{"too old", "DatabaseTooOld", now.Add(-121 * time.Hour), func(f *fixture) []string { return []string{"--database=" + f.database} }},
		{"something else", "DatabaseFormat", now, func(f *fixture) []string { return []string{"--database=" + f.host + "/team/app:1"} }},
		{"no reference", "write host/path:tag", now, func(*fixture) []string { return []string{"--database=current"} }},
		{"a policy that cannot be read", "cannot read the policy", now, func(f *fixture) []string {
			path := filepath.Join(f.results, "policy.yaml")
			if err := os.WriteFile(path, []byte("failon: [high]"), 0o600); err != nil {
				f.t.Fatal(err)
			}
			return []string{"--database=" + f.database, "--policy=" + path}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, test.asOf)
			if status, _, errOut := f.scan("sbom"); status != 0 {
				t.Fatal(errOut)
			}
			status, _, errOut := f.vulnerabilities(test.args(f)...)
			if status != 1 || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, test.want) {
				t.Errorf("status %d, standard error %q; want one line with %q", status, errOut, test.want)
			}
			if _, err := result.ReadReport(f.layout, "scan"); err == nil {
				t.Error("there is a report")
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for _, command := range []string{"sbom", "vulnerabilities"} {
		var out bytes.Buffer
		if status := run(t.Context(), []string{command, "--help"}, &out, io.Discard); status != 0 || !strings.Contains(out.String(), "Examples:\n  scan "+command) {
			t.Errorf("%s --help: status %d\n%s", command, status, out.String())
		}
	}
}
