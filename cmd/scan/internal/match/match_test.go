package match_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/cmd/scan/internal/match"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/inventory"
	"github.com/revet-dev/revet/pkg/pipeline/osv"
)

func images(packages ...inventory.Package) []inventory.Image {
	return []inventory.Image{{Platform: "linux/amd64", Packages: packages}}
}

func pkg(ecosystem, name, version string) inventory.Package {
	return inventory.Package{Name: name, Version: version, Ecosystem: ecosystem}
}

func record(t *testing.T, affected string) osv.Record {
	t.Helper()
	r, err := osv.Parse([]byte(`{"id":"A-1","aliases":["CVE-1"],"upstream":["CVE-1","CVE-2"],"summary":"s","affected":[` + affected + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// affected is of package p in an ecosystem, with the events of one range, such as
// "introduced 0, fixed 2".
func affected(ecosystem, events string) string {
	var all []string
	for e := range strings.SplitSeq(events, ", ") {
		what, version, _ := strings.Cut(e, " ")
		all = append(all, fmt.Sprintf(`{%q:%q}`, what, version))
	}
	return fmt.Sprintf(`{"package":{"ecosystem":%q,"name":"p"},"ranges":[{"type":"ECOSYSTEM","events":[%s]}]}`, ecosystem, strings.Join(all, ","))
}

// Versions are compared by the rules of their ecosystem, whatever the order of the
// events.
func TestRanges(t *testing.T) {
	for _, test := range []struct {
		ecosystem, events, version string
		want                       bool
		fixed                      string
	}{
		{"Go", "introduced 0, fixed 0.3.8", "0.3.7", true, "0.3.8"},
		{"Go", "introduced 0, fixed 0.3.8", "v0.3.7", true, "0.3.8"},
		{"Go", "introduced 0, fixed 0.3.8", "0.3.8", false, ""},
		{"Go", "introduced 0, fixed 1.21.0-rc.2", "1.21.0-rc.1", true, "1.21.0-rc.2"},
		{"Go", "introduced 0, fixed 1.20.0", "1.20.0-0.20220101000000-abcdefabcdef", true, "1.20.0"},
		{"npm", "introduced 1.0.0, fixed 1.5.0, introduced 2.0.0, fixed 2.3.0", "1.5.0", false, ""},
		{"npm", "introduced 1.0.0, fixed 1.5.0, introduced 2.0.0, fixed 2.3.0", "2.2.9", true, "2.3.0"},
		{"npm", "introduced 1.0.0, fixed 1.5.0, introduced 2.0.0, fixed 2.3.0", "0.9.0", false, ""},
		{"npm", "introduced 1.0.0, fixed 1.5.0, introduced 1.5.0, fixed 2.0.0", "1.5.0", true, "2.0.0"},
		{"npm", "introduced 1.0.0, last_affected 1.5.0", "1.5.0", true, ""},
		{"npm", "introduced 1.0.0, last_affected 1.5.0", "1.5.1", false, ""},
		{"npm", "introduced 1.0.0, last_affected 1.0.0", "1.0.0", true, ""},
		{"npm", "introduced 1.0.0, last_affected 1.0.0", "1.0.1", false, ""},
		{"npm", "introduced 1.10.0", "1.9.0", false, ""},
		{"npm", "introduced 0", "0.0.1", true, ""},
		{"Debian:12", "introduced 0, fixed 3.0.11-1~deb12u2", "3.0.11-1~deb12u1", true, "3.0.11-1~deb12u2"},
		{"Debian:12", "introduced 0, fixed 1:1.0-1", "2.0-1", true, "1:1.0-1"},
		{"Debian:12", "introduced 0, fixed 2.36-9", "2.36-9+deb12u1", false, ""},
		{"Alpine:v3.20", "introduced 0, fixed 1.2.3-r4", "1.2.3-r3", true, "1.2.3-r4"},
		{"Alpine:v3.20", "introduced 0, fixed 1.2.3-r4", "1.2.3_p1-r0", false, ""},
		{"PyPI", "introduced 0, fixed 2.0", "2.0rc1", true, "2.0"},
		{"PyPI", "introduced 0, fixed 2.0", "2.0.post1", false, ""},
		{"Maven", "introduced 0, fixed 2.15.0", "2.15.0-rc1", true, "2.15.0"},
		{"Rocky Linux:9", "introduced 0, fixed 0:1.0-2.el9", "1.0-1.el9", true, "0:1.0-2.el9"},
	} {
		t.Run(test.ecosystem+" "+test.version+" in "+test.events, func(t *testing.T) {
			events := strings.Split(test.events, ", ")
			for seed := range uint64(6) {
				random := rand.New(rand.NewPCG(seed, 1))
				random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
				all := images(pkg(test.ecosystem, "p", test.version))
				packages := match.NewPackages(all, []string{osv.Base(test.ecosystem)})
				got := packages.Match(record(t, affected(test.ecosystem, strings.Join(events, ", "))))
				if (len(got) == 1) != test.want || len(packages.Unmatched(&all[0])) > 0 {
					t.Fatalf("events %q: found %+v, left out %+v", events, got, packages.Unmatched(&all[0]))
				}
				if test.want && strings.Join(got[0].FixedIn, " ") != test.fixed {
					t.Errorf("events %q: fixed in %q, want %q", events, got[0].FixedIn, test.fixed)
				}
			}
		})
	}
}

func TestMatch(t *testing.T) {
	d, err := image.ParseDigest("sha256:" + strings.Repeat("a", 64))
	if err != nil {
		t.Fatal(err)
	}
	openssl := inventory.Package{Name: "libssl3", Version: "3.0.1-1+b1", Ecosystem: "Debian:12", PURL: "pkg:deb/debian/libssl3@3.0.1-1%2Bb1",
		Compared: inventory.Compared{Name: "p", Version: "3.0.1-1"}, Locations: []string{"var/lib/dpkg/status"}}
	all := []inventory.Image{{Platform: "linux/arm64", Digest: d, Packages: []inventory.Package{openssl, pkg("Debian:12", "q", "1")}}}
	packages := match.NewPackages(all, []string{"Debian"})
	if !packages.Names("Debian", "p") || packages.Names("Debian", "libssl3") || packages.Names("npm", "p") {
		t.Error("packages are not known by the names that records have")
	}
	want := findings.Vulnerability{
		ID: "A-1", Aliases: []string{"CVE-1", "CVE-2"}, Level: findings.High, Summary: "s", URL: "https://osv.dev/vulnerability/A-1",
		Package: findings.Package{Name: "libssl3", Version: "3.0.1-1+b1", Ecosystem: "Debian:12", PURL: openssl.PURL, Locations: openssl.Locations},
		FixedIn: []string{"3.0.2-1", "3.0.3-1"}, Platform: "linux/arm64", Digest: d,
	}
	equal := cmp.Comparer(func(a, b image.Digest) bool { return a == b })
	// Two ranges, of which the second is worse; another release; another package.
	got := packages.Match(record(t, `{"package":{"ecosystem":"Debian:12","name":"p"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.2-1"}]},{"type":"GIT","events":[{"introduced":"0"}]}],"ecosystem_specific":{"urgency":"low"}},
		{"package":{"ecosystem":"Debian:12","name":"p"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.3-1"}]}],"ecosystem_specific":{"urgency":"high"}},
		`+affected("Debian:11", "introduced 0")+`,{"package":{"ecosystem":"Debian:12","name":"r"},"versions":["1"]}`))
	if diff := cmp.Diff([]findings.Vulnerability{want}, got, equal); diff != "" {
		t.Errorf("vulnerabilities (-want +got):\n%s", diff)
	}
	if got := packages.Match(record(t, `{"package":{"ecosystem":"Debian","name":"p"},"versions":["3.0.1-1"]}`)); len(got) != 1 || len(got[0].FixedIn) != 0 {
		t.Errorf("of a list of versions: %+v", got)
	}
	withdrawn, err := osv.Parse([]byte(`{"id":"A-1","withdrawn":"2026-01-02T03:04:05Z","affected":[` + affected("Debian:12", "introduced 0") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := packages.Match(withdrawn); len(got) != 0 {
		t.Errorf("of a record that was withdrawn: %+v", got)
	}
	// Whether it is affected cannot be told: it is, and says so.
	unclear := packages.Match(record(t, affected("Debian:12", "introduced 0, fixed x:1")))
	if len(unclear) != 1 || !strings.Contains(unclear[0].Summary, "cannot be told") || len(unclear[0].FixedIn) != 0 {
		t.Errorf("of a record with a version that is none: %+v", unclear)
	}
}

// What was not compared is counted, and why.
func TestUnmatched(t *testing.T) {
	all := images(pkg("Go", "main", "(devel)"), pkg("Go", "m", ""), pkg("Debian:12", "d", "x:1"), pkg("Wolfi", "w", "1"), pkg("Go", "ok", "1.0.0"))
	for i := range 7 {
		all[0].Packages = append(all[0].Packages, pkg("Unknown distribution:x", fmt.Sprint("u", i), "1"))
	}
	packages := match.NewPackages(all, []string{"Debian", "Go"})
	want := []findings.Unmatched{
		{Ecosystem: "Debian", Why: findings.NoVersion, Packages: 1, Examples: []string{"d@x:1"}},
		{Ecosystem: "Go", Why: findings.NoVersion, Packages: 2, Examples: []string{"main@(devel)", "m@"}},
		{Ecosystem: "Unknown distribution", Why: findings.NoRecords, Packages: 7, Examples: []string{"u0@1", "u1@1", "u2@1", "u3@1", "u4@1"}},
		{Ecosystem: "Wolfi", Why: findings.NoRecords, Packages: 1, Examples: []string{"w@1"}},
	}
	if diff := cmp.Diff(want, packages.Unmatched(&all[0])); diff != "" {
		t.Errorf("unmatched (-want +got):\n%s", diff)
	}
}

func TestSort(t *testing.T) {
	v := func(level findings.Level, score float64, name, id string) findings.Vulnerability {
		return findings.Vulnerability{ID: id, Level: level, Score: score, Package: findings.Package{Name: name}}
	}
	want := []findings.Vulnerability{
		v(findings.Critical, 9.8, "z", "1"), v(findings.High, 8, "z", "1"), v(findings.High, 7, "a", "2"), v(findings.High, 7, "b", "1"),
		v(findings.Low, 0, "a", "1"), v(findings.Unknown, 0, "a", "1"),
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	match.Sort(got)
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b image.Digest) bool { return a == b })); diff != "" {
		t.Errorf("sorted (-want +got):\n%s", diff)
	}
}
