package result_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

func TestReportWriteThenRead(t *testing.T) {
	d, err := image.ParseDigest("sha256:" + strings.Repeat("0a", 32))
	if err != nil {
		t.Fatal(err)
	}
	want := result.Report{
		Check: "validate", Digest: d, Rules: 1, Images: []result.CheckedImage{{Platform: "linux/amd64", Digest: d}},
		Findings: []result.Finding{{Rule: "r", Severity: result.SeverityError, Platform: "linux/amd64", Digest: d, Message: "m"}},
	}
	dir := t.TempDir()
	if err := result.WriteReport(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := result.ReadReport(dir, "validate")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(image.Digest{})); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if all, err := result.ListReports(dir); err != nil || !cmp.Equal(all, []string{"validate"}) {
		t.Errorf("list is %v, %v", all, err)
	}
}

// What is not exactly a report is an error: a check that is misread would pass.
func TestReadReportRefuses(t *testing.T) {
	tests := []struct{ name, check, file, want string }{
		{"a check that did not report", "scan", "", "no report"},
		{"half a report", "validate", `{"check":"validate"`, "decode report"},
		{"a report of another form", "validate", `{"check":"validate","passed":true}`, "unknown field"},
		{"a digest that is none", "validate", `{"digest":"latest"}`, "decode report"},
		{"a name that leads elsewhere", "../validate", "", "not the name of a check"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.file != "" {
				if err := os.MkdirAll(filepath.Join(dir, "reports"), 0o750); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "reports", "validate.json"), []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := result.ReadReport(dir, tt.check)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
			if tt.check == "scan" && !errors.Is(err, result.ErrNoReport) {
				t.Errorf("error %v is not ErrMissing", err)
			}
		})
	}
}

// What comes from an image cannot draw on a terminal or break a line.
func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                    "plain",
		"a\nb\tc\u2028d":           "a b c d",
		"\x1b[31mred\x00\u202egol": "?[31mred??gol",
		"\xffbroken":               "?broken",
	} {
		if got := result.Line(in); got != want {
			t.Errorf("Line(%q) is %q, want %q", in, got, want)
		}
	}
	if got := result.Line(strings.Repeat("\u00e9", 5000)); len(got) > 1024 || !utf8.ValidString(got) || !strings.HasSuffix(got, "...") {
		t.Errorf("a long line has %d bytes, valid %t", len(got), utf8.ValidString(got))
	}
}
