package osv_test

import (
	"strings"
	"testing"

	"github.com/revet-dev/revet/cmd/scan/internal/osv"
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
		{"an event that says nothing", `{"id":"A-1","affected":[{"package":{"name":"p"},"ranges":[{"type":"SEMVER","events":[{}]}]}]}`, "0 fields instead of one"},
		{"an event that says two things", `{"id":"A-1","affected":[{"package":{"name":"p"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0","fixed":"1"}]}]}]}`, "2 fields instead of one"},
		{"too large", `{"id":"A-1","details":"` + strings.Repeat("x", osv.MaxRecord) + `"}`, "the limit is"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := osv.Parse([]byte(test.raw)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
		})
	}
}

// A record is known by its summary, else by the first line of its details.
func TestTitle(t *testing.T) {
	for raw, want := range map[string]string{
		`{"id":"A-1","summary":"s","details":"d"}`:      "s",
		`{"id":"A-1","details":"\nfirst line\nsecond"}`: "first line",
		`{"id":"A-1"}`: "",
	} {
		if got := parse(t, raw).Title(); got != want {
			t.Errorf("%s is titled %q, want %q", raw, got, want)
		}
	}
	if !parse(t, `{"id":"MAL-2026-1"}`).IsMalware() || parse(t, `{"id":"GO-2026-1"}`).IsMalware() {
		t.Error("malicious packages are told apart wrongly")
	}
}

// Whatever is read has a name.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"id":"A-1","affected":[{"package":{"name":"p","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := osv.Parse(raw); err == nil && r.ID == "" {
			t.Error("it has no name")
		}
	})
}
