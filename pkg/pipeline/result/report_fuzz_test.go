package result_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// What is read of a report is written and read again as the same; what is not
// read is an error that names the check.
func FuzzReadReport(f *testing.F) {
	digest := `"sha256:` + strings.Repeat("a", 64) + `"`
	f.Add([]byte(`{"check":"validate","digest":` + digest + `,"images":[{"platform":"linux/amd64","digest":` + digest + `}],"rules":4,"findings":[]}`))
	f.Add([]byte(`{"check":"validate","digest":` + digest + `,"rules":1,"findings":[{"rule":"r","severity":"error","message":"m","digest":` + digest + `}]}`))
	f.Add([]byte(`{"check":"scan","extra":1}`))
	f.Add([]byte(`{"digest":"sha256:00"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "reports"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "reports", "validate.json"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := result.ReadReport(dir, "validate")
		if err != nil {
			if !strings.Contains(err.Error(), "validate") {
				t.Errorf("the error does not name the check: %v", err)
			}
			return
		}
		got.Check = "again"
		if got.Digest.IsZero() {
			return // it cannot be written; the verdict refuses it
		}
		if err := result.WriteReport(dir, got); err != nil {
			t.Fatal(err)
		}
		again, err := result.ReadReport(dir, "again")
		if err != nil {
			for _, d := range append(got.Images, result.CheckedImage{Digest: got.Digest}) {
				if d.Digest.IsZero() {
					return
				}
			}
			for _, finding := range got.Findings {
				if finding.Digest.IsZero() {
					return
				}
			}
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, again, cmp.AllowUnexported(image.Digest{})); diff != "" {
			t.Errorf("report (-as read +as written and read again):\n%s", diff)
		}
	})
}

// What comes from an image ends in a log as one bounded line that prints.
func FuzzLine(f *testing.F) {
	f.Add("plain")
	f.Add("two\nlines\x1b[31m\u202e")
	f.Add(strings.Repeat("\U0001f433", 400))
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, s string) {
		got := result.Line(s)
		if len(got) > 1024 || !utf8.ValidString(got) {
			t.Errorf("%q is %d bytes, valid: %t", got, len(got), utf8.ValidString(got))
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q has %q at %d", got, got[i:], i)
		}
		if again := result.Line(got); again != got {
			t.Errorf("%q becomes %q", got, again)
		}
	})
}
