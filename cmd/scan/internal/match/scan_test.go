package match_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/cmd/scan/internal/match"
	"github.com/revet-dev/revet/cmd/scan/internal/sample"
	"github.com/revet-dev/revet/cmd/scan/internal/stock"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

var now = time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)

// take takes stock of an image of layers.
func take(t *testing.T, files ...sample.Files) result.Inventory {
	t.Helper()
	blobs, tree := sample.Image(t, files...)
	found, err := stock.Take(t.Context(), blobs, tree, stock.Options{Limits: layers.DefaultLimits(), Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return found.Inventory
}

// scan takes stock of an image, and matches it from what was written down.
func scan(t *testing.T, files sample.Files, records ...sample.Record) result.Findings {
	t.Helper()
	dir := t.TempDir()
	if err := result.WriteInventory(dir, take(t, files)); err != nil {
		t.Fatal(err)
	}
	read, _, err := result.ReadInventory(dir)
	if err != nil {
		t.Fatal(err)
	}
	found, err := match.New(sample.NewDatabase(t, records...), now).File(t.Context(), read)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// lines writes down what a scan says, for comparing: findings and gaps.
func lines(f result.Findings) []string {
	var all []string
	for _, v := range f.Vulnerabilities {
		line := fmt.Sprintf("%s %s %s %s", v.ID, v.Package.Name, v.Package.Version, v.Level)
		if len(v.FixedIn) > 0 {
			line += " fix " + strings.Join(v.FixedIn, ",")
		}
		if v.Malware {
			line += " malware"
		}
		if v.KnownExploited {
			line += " exploited"
		}
		all = append(all, line)
	}
	for _, img := range f.Images {
		for _, g := range img.Gaps {
			all = append(all, fmt.Sprintf("gap %s %s %d %s", g.Rule, g.Subject, g.Count, strings.Join(g.Examples, ",")))
		}
	}
	slices.Sort(all)
	return all
}

type scanTest struct {
	name    string
	files   sample.Files
	records []sample.Record
	want    []string
}

func run(t *testing.T, tests []scanTest) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found := scan(t, test.files, test.records...)
			if diff := cmp.Diff(test.want, lines(found), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("scan (-want +got):\n%s", diff)
			}
			for _, img := range found.Images {
				for _, g := range img.Gaps {
					if g.Message == "" || strings.Contains(g.Message, "\n") || !strings.ContainsAny(g.Message, ";") {
						t.Errorf("the gap %s says %q, which names no cure", g.Rule, g.Message)
					}
				}
			}
		})
	}
}

// What an image is made of.

func debian(version string) sample.Files {
	return sample.Files{"etc/os-release": "ID=debian\nVERSION_ID=\"" + version + "\"\n"}
}

const bash = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.1-1\n\n"

// dpkgStatus is curl with a status.
func dpkgStatus(status string) string {
	return "Package: curl\nStatus: " + status + "\nArchitecture: amd64\nVersion: 7.0-1\n\n"
}

func dpkg(stanzas ...string) sample.Files {
	return sample.Files{"var/lib/dpkg/status": strings.Join(stanzas, "")}
}

const musl = "C:Q1eVpkasfqZAukAXFYbgwt4xAMZWU=\nP:musl\nV:1.2.2-r0\nA:x86_64\nS:1\nI:1\nT:libc\nU:x\nL:MIT\no:musl\n\n"

func alpine(version string) sample.Files {
	return sample.Files{
		"etc/os-release": "ID=alpine\nVERSION_ID=" + version + "\n", "lib/apk/db/installed": musl,
	}
}

func npm(name, version string) sample.Files {
	return sample.Files{"app/node_modules/" + name + "/package.json": fmt.Sprintf(`{"name":%q,"version":%q}`, name, version)}
}

func python(name, version string) sample.Files {
	return sample.Files{"usr/lib/python3/dist-packages/" + name + "-" + version + ".dist-info/METADATA": "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n"}
}

// What a database knows.

func deb(id, os, name, below string) sample.Record {
	return sample.Record{ID: id, OS: os, Type: "deb", Name: name, Below: below, Format: "dpkg", Severity: "high"}
}

func apk(id, os, name, below string) sample.Record {
	return sample.Record{ID: id, OS: os, Type: "apk", Name: name, Below: below, Format: "apk", Severity: "high"}
}

func language(id, kind, name, below, format string) sample.Record {
	return sample.Record{ID: id, Type: kind, Name: name, Below: below, Format: format, Severity: "high"}
}
