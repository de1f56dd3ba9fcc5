package database_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/distro"
	"github.com/anchore/grype/grype/matcher"
	"github.com/anchore/grype/grype/pkg"
	syftpkg "github.com/anchore/syft/syft/pkg"
	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/cmd/scan/internal/database"
)

var now = time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)

type texts []string

func (r texts) Len() int                   { return len(r) }
func (r texts) Name(i int) string          { return fmt.Sprintf("record %d", i) }
func (r texts) Read(i int) ([]byte, error) { return []byte(r[i]), nil }

// build builds a database, which must load, and opens it.
func build(t *testing.T, records database.Records) v6.Reader {
	t.Helper()
	dir := t.TempDir()
	if b, err := database.Build(t.Context(), dir, records, database.BuildOptions{Now: now, AsOf: now}); err != nil || b.Records == 0 {
		t.Fatal(b, err)
	}
	if err := database.Check(t.Context(), filepath.Join(dir, v6.VulnerabilityDBFileName)); err != nil {
		t.Fatal(err)
	}
	reader, err := v6.NewReader(v6.Config{DBDirPath: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	return reader
}

// found returns what the scanner's matchers find of a package, with the fixes.
func found(t *testing.T, reader v6.Reader, p pkg.Package) []string {
	t.Helper()
	p.ID = pkg.ID(p.Name)
	vp := v6.NewVulnerabilityProvider(reader)
	var all []string
	for _, m := range matcher.NewDefaultMatchers(matcher.Config{}) {
		if !slices.Contains(m.PackageTypes(), p.Type) {
			continue
		}
		matches, _, err := m.Match(vp, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range matches {
			v := one.Vulnerability
			all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", v.ID, strings.ToLower(v.Metadata.Severity), strings.Join(v.Fix.Versions, " "))))
		}
	}
	slices.Sort(all)
	return all
}

type files []string

func (f files) Len() int                   { return len(f) }
func (f files) Name(i int) string          { return filepath.Base(f[i]) }
func (f files) Read(i int) ([]byte, error) { return os.ReadFile(f[i]) }

// The Go vulnerability database's own records, of its own module, are found by the
// scanner's own matcher.
func TestGoVulnerabilityDatabase(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "golang.org/x/vulndb@v0.0.0-20261105234957-e22db6528018").Output()
	if err != nil {
		t.Fatal(err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(module.Dir, "data", "osv", "GO-*.json"))
	if err != nil || len(all) < 4000 {
		t.Fatalf("%d records, %v", len(all), err)
	}
	reader := build(t, files(all[:500]))
	got := found(t, reader, pkg.Package{Name: "golang.org/x/text", Version: "v0.3.5", Type: syftpkg.GoModulePkg, Language: syftpkg.Go})
	if diff := cmp.Diff([]string{"GO-2021-0113 unknown 0.3.7"}, got); diff != "" {
		t.Errorf("vulnerabilities of golang.org/x/text v0.3.5 (-want +got):\n%s", diff)
	}
	if got := found(t, reader, pkg.Package{Name: "golang.org/x/text", Version: "v0.3.7", Type: syftpkg.GoModulePkg, Language: syftpkg.Go}); got != nil {
		t.Errorf("of v0.3.7 it finds %v", got)
	}
}

func record(id, ecosystem, name, affected, more string) string {
	return fmt.Sprintf(`{"id":%q,"modified":"2026-11-09T12:00:00Z"%s,"affected":[{"package":{"ecosystem":%q,"name":%q}%s}]}`, id, more, ecosystem, name, affected)
}

func events(all string) string {
	return `,"ranges":[{"type":"ECOSYSTEM","events":[` + all + `]}]`
}

// What a record says of its versions, its release and its level is what the scanner
// finds; what it cannot compare it finds for all versions.
func TestRecords(t *testing.T) {
	window := events(`{"introduced":"1.0.0"},{"fixed":"2.0.0"}`)
	npm := func(version string) pkg.Package {
		return pkg.Package{Name: "p", Version: version, Type: syftpkg.NpmPkg, Language: syftpkg.JavaScript}
	}
	system := func(kind syftpkg.Type, name, release, version string) pkg.Package {
		return pkg.Package{Name: "p", Version: version, Type: kind, Distro: distro.NewFromNameVersion(name, release)}
	}
	for _, test := range []struct {
		name, record string
		is, isNot    []pkg.Package
		want         string
	}{
		{"a window", record("A-1", "npm", "p", window, ""), []pkg.Package{npm("1.0.0"), npm("1.9.9")}, []pkg.Package{npm("0.9.9"), npm("2.0.0")}, "A-1 unknown 2.0.0"},
		{"windows in any order", record("A-1", "npm", "p", events(`{"fixed":"3.1.0"},{"introduced":"3.0.0"},{"fixed":"1.1.0"},{"introduced":"0"}`), ""),
			[]pkg.Package{npm("1.0.9"), npm("3.0.0")}, []pkg.Package{npm("1.1.0"), npm("2.0.0"), npm("3.1.0")}, "A-1"},
		{"the last that is affected", record("A-1", "npm", "p", events(`{"introduced":"0"},{"last_affected":"1.5.0"}`), ""), []pkg.Package{npm("1.5.0")}, []pkg.Package{npm("1.5.1")}, "A-1 unknown"},
		{"no end", record("A-1", "npm", "p", events(`{"introduced":"1.0.0"}`), ""), []pkg.Package{npm("9.0.0")}, []pkg.Package{npm("0.9.0")}, "A-1 unknown"},
		{"a list", record("A-1", "npm", "p", `,"versions":["1.0.0","1.2.0"]`, ""), []pkg.Package{npm("1.0.0"), npm("1.2.0")}, []pkg.Package{npm("1.1.0")}, "A-1 unknown"},
		{"all and a list", record("A-1", "npm", "p", events(`{"introduced":"0"}`)+`,"versions":["1.0.0"]`, ""), []pkg.Package{npm("1.0.0"), npm("7.0.0")}, nil, "A-1 unknown"},
		{"nothing", record("A-1", "npm", "p", "", ""), []pkg.Package{npm("7.0.0")}, nil, "A-1 unknown"},
		{"commits only", record("A-1", "npm", "p", `,"ranges":[{"type":"GIT","events":[{"introduced":"0"},{"fixed":"abc"}]}]`, ""), []pkg.Package{npm("7.0.0")}, nil, "A-1 unknown"},
		{"a version that is none", record("A-1", "npm", "p", events(`{"introduced":"0"},{"fixed":"(2"}`), ""), []pkg.Package{npm("7.0.0")}, nil, "A-1 unknown"},
		{"a listed version that is none", record("A-1", "npm", "p", `,"versions":["1.0.0","x || = 2"]`, ""), []pkg.Package{npm("7.0.0")}, nil, "A-1 unknown"},
		{"withdrawn", record("A-1", "npm", "p", window, `,"withdrawn":"2026-11-09T12:00:00Z"`), nil, []pkg.Package{npm("1.0.0")}, ""},
		{"a vector", record("A-1", "npm", "p", window, `,"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]`), []pkg.Package{npm("1.0.0")}, nil, "A-1 critical 2.0.0"},
		{"the publisher's word first", record("A-1", "npm", "p", window, `,"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"database_specific":{"severity":"MODERATE"}`), []pkg.Package{npm("1.0.0")}, nil, "A-1 medium 2.0.0"},
		{"malware", record("MAL-2026-1", "npm", "p", events(`{"introduced":"0"}`), ""), []pkg.Package{npm("1.0.0")}, nil, "MAL-2026-1 unknown"},
		{"a name of PyPI", record("A-1", "PyPI", "Some.Name", window, ""), []pkg.Package{{Name: "some_name", Version: "1.5", Type: syftpkg.PythonPkg, Language: syftpkg.Python}}, nil, "A-1 unknown 2.0.0"},
		{"Debian", record("A-1", "Debian:12", "p", events(`{"introduced":"0"},{"fixed":"1.0-1+deb12u1"}`), ""),
			[]pkg.Package{system(syftpkg.DebPkg, "debian", "12", "1.0-1")}, []pkg.Package{system(syftpkg.DebPkg, "debian", "12", "1.0-1+deb12u1"), system(syftpkg.DebPkg, "debian", "13", "1.0-1")}, "A-1 unknown 1.0-1+deb12u1"},
		{"Ubuntu for customers", record("A-1", "Ubuntu:Pro:18.04:LTS", "p", events(`{"introduced":"0"},{"fixed":"1.0-1+esm1"}`), ""),
			[]pkg.Package{system(syftpkg.DebPkg, "ubuntu", "18.04", "1.0-1")}, []pkg.Package{system(syftpkg.DebPkg, "ubuntu", "20.04", "1.0-1")}, "A-1 unknown 1.0-1+esm1"},
		{"Alpine", record("A-1", "Alpine:v3.20", "p", events(`{"introduced":"0"},{"fixed":"1.0-r2"}`), ""),
			[]pkg.Package{system(syftpkg.ApkPkg, "alpine", "3.20.1", "1.0-r1")}, []pkg.Package{system(syftpkg.ApkPkg, "alpine", "3.20.1", "1.0-r2")}, "A-1 unknown 1.0-r2"},
		{"Rocky", record("A-1", "Rocky Linux:9", "p", events(`{"introduced":"0"},{"fixed":"0:1.0-2.el9"}`), ""),
			[]pkg.Package{system(syftpkg.RpmPkg, "rockylinux", "9.3", "1.0-1.el9")}, []pkg.Package{system(syftpkg.RpmPkg, "rockylinux", "8", "1.0-1.el8")}, "A-1 unknown 0:1.0-2.el9"},
		{"Red Hat", record("A-1", "Red Hat:enterprise_linux:9::appstream", "p", events(`{"introduced":"0"},{"fixed":"0:1.0-2.el9"}`), ""),
			[]pkg.Package{system(syftpkg.RpmPkg, "redhat", "9.3", "1.0-1.el9")}, nil, "A-1 unknown 0:1.0-2.el9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			reader := build(t, texts{test.record})
			for _, p := range test.is {
				if got := found(t, reader, p); len(got) != 1 || !strings.HasPrefix(got[0], test.want) {
					t.Errorf("of %s %s it finds %q, want %q", p.Name, p.Version, got, test.want)
				}
			}
			for _, p := range test.isNot {
				if got := found(t, reader, p); len(got) != 0 {
					t.Errorf("of %s %s %v it finds %q", p.Name, p.Version, p.Distro, got)
				}
			}
		})
	}
}
