package result

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type note struct {
	Text string `json:"text"`
}

func TestDocumentWriteThenRead(t *testing.T) {
	kind := document{Name: "note", Limit: 100}
	path := filepath.Join(t.TempDir(), "folder", "note.json")
	var got note
	if err := kind.read(path, &got); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading what is not there: %v", err)
	}
	if err := kind.write(path, note{"hello"}); err != nil {
		t.Fatal(err)
	}
	if err := kind.read(path, &got); err != nil || got.Text != "hello" {
		t.Errorf("read %+v, %v", got, err)
	}
	if err := kind.write(path, note{strings.Repeat("x", 100)}); err == nil || !strings.Contains(err.Error(), "write note: it would exceed 100 bytes") {
		t.Errorf("writing more than the limit: %v", err)
	}
	for text, want := range map[string]string{
		`{"text":"` + strings.Repeat("x", 100) + `"}`: "read note: more than 100 bytes",
		`{"text":"a","more":1}`:                       "decode note: ",
		`{"text"`:                                     "decode note: ",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := kind.read(path, &got); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("reading %.30s: %v, want %q", text, err, want)
		}
	}
}
