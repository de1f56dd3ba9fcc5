package osv_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/osv"
)

func parse(t *testing.T, raw string) osv.Record {
	t.Helper()
	r, err := osv.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A record that would be misread is refused, and what is not known is left alone.
func TestParse(t *testing.T) {
	r := parse(t, `{"schema_version":"9.0","id":"DSA-1","modified":"2026-01-02T03:04:05Z","invented":{"a":1},
		"database_specific":["no object"],
		"affected":[{"package":{"ecosystem":"Debian:12","name":"openssl","purl":"pkg:deb/debian/openssl"},
			"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.1"}]}],
			"ecosystem_specific":{"urgency":"high","other":[1]}}]}`)
	if got := r.Affected[0].Specific.Urgency; got != "high" {
		t.Errorf("urgency is %q", got)
	}
	if got := r.Affected[0].Ranges[0].Events[1].Fixed; got != "3.0.1" {
		t.Errorf("fixed is %q", got)
	}
	for _, test := range []struct{ name, raw, want string }{
		{"not JSON", `{"id":`, "not an OSV record"},
		{"no identifier", `{"modified":"2026-01-02T03:04:05Z"}`, `its id is ""`},
		{"an identifier that leads elsewhere", `{"id":"../x"}`, "its id is"},
		{"an event that says nothing", `{"id":"A-1","affected":[{"package":{"name":"p"},"ranges":[{"type":"SEMVER","events":[{}]}]}]}`, "says 0 things"},
		{"an event that says two things", `{"id":"A-1","affected":[{"package":{"name":"p"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0","fixed":"1"}]}]}]}`, "says 2 things"},
		{"too large", `{"id":"A-1","details":"` + strings.Repeat("x", osv.MaxRecord) + `"}`, "more than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := osv.Parse([]byte(test.raw)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
		})
	}
}

// How bad it is: the vector before the word, the package's before the record's, and
// of several the worst.
func TestRate(t *testing.T) {
	const (
		v31 = `{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}` // 9.8
		v30 = `{"type":"CVSS_V3","score":"CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}` // 7.5
		v2  = `{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:N/I:N/A:P"}`                   // 5.0
		v4  = `{"type":"CVSS_V4","score":"CVSS:4.0/AV:L/AC:L/AT:N/PR:L/UI:N/VC:N/VI:N/VA:L/SC:N/SI:N/SA:N"}`
	)
	for _, test := range []struct {
		name, record, affected string
		want                   findings.Level
		score                  float64
	}{
		{"CVSS 3.1", `"severity":[` + v31 + `]`, ``, findings.Critical, 9.8},
		{"CVSS 3.0", `"severity":[` + v30 + `]`, ``, findings.High, 7.5},
		{"CVSS 2", `"severity":[` + v2 + `]`, ``, findings.Medium, 5},
		{"CVSS 4", `"severity":[` + v4 + `]`, ``, findings.Medium, 4.8},
		{"the worst of several", `"severity":[` + v2 + `,` + v31 + `,` + v30 + `]`, ``, findings.Critical, 9.8},
		{"the package's own", `"severity":[` + v31 + `]`, `"severity":[` + v2 + `]`, findings.Medium, 5},
		{"a vector that is none beside a word", `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:X"}],"database_specific":{"severity":"MODERATE"}`, ``, findings.Medium, 0},
		{"a word as the severity", `"severity":[{"type":"Ubuntu","score":"negligible"}]`, ``, findings.Low, 0},
		{"a word of the database for the package", `"database_specific":{"severity":"LOW"}`, `"database_specific":{"severity":"Important"}`, findings.High, 0},
		{"Debian's urgency", ``, `"ecosystem_specific":{"urgency":"unimportant"}`, findings.Low, 0},
		{"Debian's urgency that says nothing", ``, `"ecosystem_specific":{"urgency":"not yet assigned"}`, findings.Unknown, 0},
		{"nothing", ``, ``, findings.Unknown, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			record, affected := `{"id":"A-1"`, `"package":{"name":"p","ecosystem":"Go"}`
			if test.record != "" {
				record += "," + test.record
			}
			if test.affected != "" {
				affected += "," + test.affected
			}
			r := parse(t, record+`,"affected":[{`+affected+`}]}`)
			if got := r.Rate(r.Affected[0]); got.Level != test.want || got.Score != test.score {
				t.Errorf("it is %s %.1f, want %s %.1f", got.Level, got.Score, test.want, test.score)
			}
		})
	}
}

// A package of an unknown release is compared with records of all, and is not held
// for clean.
func TestCovers(t *testing.T) {
	for _, test := range []struct {
		record, of string
		want       bool
	}{
		{"Go", "Go", true},
		{"Go", "npm", false},
		{"Debian:12", "Debian:12", true},
		{"Debian:11", "Debian:12", false},
		{"Debian", "Debian:12", true},
		{"Debian:12", "Debian", true},
		{"Alpine:v3.2", "Alpine:v3.20", false},
		{"Ubuntu:22.04:LTS", "Ubuntu:22.04", true},
		{"Ubuntu:Pro:22.04:LTS", "Ubuntu:22.04", false},
		{"Red Hat:enterprise_linux:9::appstream", "Red Hat:enterprise_linux:9", true},
		{"Red Hat:enterprise_linux:90::appstream", "Red Hat:enterprise_linux:9", false},
	} {
		if got := osv.Covers(test.record, test.of); got != test.want {
			t.Errorf("a record of %q covers packages of %q: %t, want %t", test.record, test.of, got, test.want)
		}
	}
}

func TestNames(t *testing.T) {
	r := parse(t, `{"id":"A-1","details":"\nfirst line\nsecond","references":[{"type":"WEB","url":"https://example.com/w"},{"type":"ADVISORY","url":"https://example.com/a"}],
		"affected":[{"package":{"name":"p","ecosystem":"Debian:12"}},{"package":{"name":"p","ecosystem":"Debian:12"}},{"package":{"name":"q","ecosystem":"Go"}}]}`)
	if got := strings.Join(r.Ecosystems(), " "); got != "Debian:12 Go" {
		t.Errorf("ecosystems are %q", got)
	}
	if r.Title() != "first line" || r.Link() != "https://example.com/a" {
		t.Errorf("it is %q at %q", r.Title(), r.Link())
	}
	if r = parse(t, `{"id":"A-1","summary":"s","database_specific":{"url":"https://example.com/d"}}`); r.Title() != "s" || r.Link() != "https://example.com/d" {
		t.Errorf("it is %q at %q", r.Title(), r.Link())
	}
	if r = parse(t, `{"id":"A-1"}`); r.Title() != "" || r.Link() != "https://osv.dev/vulnerability/A-1" {
		t.Errorf("it is %q at %q", r.Title(), r.Link())
	}
	if osv.Base("Debian:12") != "Debian" || osv.CheckBase("crates.io") != nil || !errors.Is(osv.CheckBase("../x"), osv.ErrEcosystem) || osv.CheckBase("Debian:12") == nil {
		t.Error("names of ecosystems without releases are told apart wrongly")
	}
}

// Whatever is read can be rated, and names itself.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"id":"A-1","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"affected":[{"package":{"name":"p","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`))
	f.Add([]byte(`{"id":"A-1","severity":[{"score":"CVSS:4.0/AV:L/AC:L/AT:N/PR:L/UI:N/VC:N/VI:N/VA:L/SC:N/SI:N/SA:N"},{"score":"AV:N/AC:L/Au:N/C:N/I:N/A:P"}],"affected":[{}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := osv.Parse(raw)
		if err != nil {
			return
		}
		if r.ID == "" || r.Link() == "" {
			t.Errorf("it is named %q, and more is told at %q", r.ID, r.Link())
		}
		for _, a := range r.Affected {
			got := r.Rate(a)
			if got.Level == "" || got.Score < 0 || got.Score > 10 {
				t.Errorf("it is %+v", got)
			}
		}
	})
}
