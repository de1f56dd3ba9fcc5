package attestation

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var reported = time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)

// A report names keys, says which one signs and since when they are the same, and nothing of
// what the keys are.
func TestReport(t *testing.T) {
	raw := newECDSA(t)
	keys := ringOf(t, map[string][]byte{"2026-11-01.pem": raw, "2027-01-01.pem": newECDSA(t)})
	ids := keys.IDs()
	got := NewReport(keys, reported, []error{errors.New("one")})
	want := Report{Keys: ids, Signs: ids[0], Since: reported, Problems: []string{"one"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	text, err := got.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if strings.Contains(text, strings.TrimSpace(line)) {
			t.Errorf("the report has %q of the key's file: %s", line, text)
		}
	}
	parsed, err := ParseReport(text)
	if diff := cmp.Diff(want, parsed); err != nil || diff != "" {
		t.Errorf("read again, %v (-want +got):\n%s", err, diff)
	}
	for _, raw := range []string{"", "{", `{"keys":1}`} {
		if _, err := ParseReport(raw); err == nil {
			t.Errorf("%q is a report", raw)
		}
	}
}

// The time of the keys is that of their last change, whoever saw it.
func TestReportAfter(t *testing.T) {
	one := Report{Keys: []string{"a"}, Since: reported}
	later := Report{Keys: []string{"a"}, Since: reported.Add(time.Hour), Signs: "a"}
	if got := later.After(one); !got.Since.Equal(reported) || got.Signs != "a" {
		t.Errorf("with the same keys, it is %+v", got)
	}
	later.Keys = []string{"a", "b"}
	if got := later.After(one); !got.Since.Equal(reported.Add(time.Hour)) {
		t.Errorf("with other keys, it is %+v", got)
	}
	if got := later.After(Report{Keys: later.Keys}); got.Since.IsZero() {
		t.Error("an earlier report without a time gives none")
	}
}

// The report stays small, whatever the keys and problems are called.
func TestReportIsSmall(t *testing.T) {
	files := map[string][]byte{}
	raw := newECDSA(t)
	for i := range 16 {
		files[fmt.Sprintf("2026-11-%02d.%s.pem", i+1, strings.Repeat("x", 63))] = raw
	}
	keys := ringOf(t, files)
	var problems []error
	for range 20 {
		problems = append(problems, errors.New(strings.Repeat("ü", 4000)))
	}
	text, err := NewReport(keys, reported, problems).Encode()
	if err != nil || len(text) > 3<<10 {
		t.Errorf("it has %d bytes (%v)", len(text), err)
	}
}
