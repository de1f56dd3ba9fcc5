package documents

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

var (
	root  = image.DigestOf([]byte("index"))
	child = image.DigestOf([]byte("image"))
)

// filled returns a volume with one document of each kind, and the digest of its list.
func filled(t *testing.T) (dir string, list image.Digest) {
	t.Helper()
	dir = t.TempDir()
	w := NewWriter(dir, root)
	for _, d := range []struct {
		kind    Kind
		subject image.Digest
	}{{SBOM, child}, {Inventory, root}, {Report, root}} {
		if err := w.Add(d.kind, d.subject, strings.NewReader("the "+string(d.kind))); err != nil {
			t.Fatal(err)
		}
	}
	list, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return dir, list
}

// wantReason wants an error to have a reason, and a message to have a text.
func wantReason(t *testing.T, err error, reason oci.Reason, text string) {
	t.Helper()
	var e *oci.Error
	if !errors.As(err, &e) || e.Reason != reason || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v; want %s with %q", err, reason, text)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	dir, list := filled(t)
	f, err := Read(dir, list)
	if err != nil {
		t.Fatal(err)
	}
	got := map[Kind]string{}
	for _, d := range f.Documents {
		raw, err := f.Bytes(d)
		if err != nil {
			t.Fatal(err)
		}
		got[d.Kind] = d.Subject.String() + " " + string(raw)
	}
	want := map[Kind]string{SBOM: child.String() + " the sbom", Inventory: root.String() + " the inventory", Report: root.String() + " the report"}
	if diff := cmp.Diff(want, got); diff != "" || f.Image != root {
		t.Errorf("of %s (-want +got):\n%s", f.Image, diff)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 4 {
		t.Errorf("the volume has %v, %v; want three documents and their list", files, err)
	}
}

// A step that runs again replaces what it left, and what somebody put in its way.
func TestWritingAgain(t *testing.T) {
	dir, list := filled(t)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for _, name := range []string{incoming, list.Hex()} {
		_ = os.Remove(filepath.Join(dir, name))
		if err := os.Symlink(elsewhere, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	w := NewWriter(dir, root)
	if err := w.Add(Report, root, strings.NewReader("the report")); err != nil {
		t.Fatal(err)
	}
	again, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir, again); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(elsewhere); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a link was written through: %v", err)
	}
}

// A file that is no regular one below the folder is never read, whatever it leads to: links, even
// to the same bytes, folders, and pipes that nobody writes to.
func TestNoFileButARegularOneIsRead(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a link to the same bytes": func(path string) error {
			if err := os.Rename(path, path+"x"); err != nil {
				return err
			}
			return os.Symlink(path+"x", path)
		},
		"a link to a device": func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/dev/zero", path)) },
		"a link to nothing":  func(path string) error { return errors.Join(os.Remove(path), os.Symlink("nothing", path)) },
		"a folder":           func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"a pipe":             func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) },
	} {
		dir, list := filled(t)
		if err := put(filepath.Join(dir, image.DigestOf([]byte("the report")).Hex())); err != nil {
			t.Fatal(err)
		}
		_, err := Read(dir, list)
		t.Log(name)
		wantReason(t, err, oci.ReasonCorrupted, "report of "+root.String()+": it is no regular file")

		dir, list = filled(t)
		if err := put(filepath.Join(dir, list.Hex())); err != nil {
			t.Fatal(err)
		}
		_, err = Read(dir, list)
		wantReason(t, err, oci.ReasonCorrupted, "list of documents: it is no regular file")
	}
}

// What is there is what was listed, and nothing of a file that is larger is read.
func TestChangedDocuments(t *testing.T) {
	report := image.DigestOf([]byte("the report")).Hex()
	for name, tt := range map[string]struct {
		change func(dir string) error
		reason oci.Reason
		text   string
	}{
		"gone":    {func(dir string) error { return os.Remove(filepath.Join(dir, report)) }, oci.ReasonMissing, "report of"},
		"swapped": {func(dir string) error { return os.WriteFile(filepath.Join(dir, report), []byte("THE REPORT"), 0o600) }, oci.ReasonCorrupted, "its file has the digest"},
		"empty":   {func(dir string) error { return os.Truncate(filepath.Join(dir, report), 0) }, oci.ReasonCorrupted, "its file has 0 bytes, and 10 are listed"},
		"huge":    {func(dir string) error { return os.Truncate(filepath.Join(dir, report), 1<<40) }, oci.ReasonCorrupted, "and 10 are listed"},
	} {
		dir, list := filled(t)
		if err := tt.change(dir); err != nil {
			t.Fatal(err)
		}
		t.Log(name)
		_, err := Read(dir, list)
		wantReason(t, err, tt.reason, tt.text)
	}
	dir, list := filled(t)
	if err := os.Truncate(filepath.Join(dir, list.Hex()), 1<<40); err != nil {
		t.Fatal(err)
	}
	_, err := Read(dir, list)
	wantReason(t, err, oci.ReasonTooLarge, "list of documents")
}

// What is changed after it was checked is not what is published.
func TestADocumentThatIsSwappedLater(t *testing.T) {
	dir, list := filled(t)
	f, err := Read(dir, list)
	if err != nil {
		t.Fatal(err)
	}
	report := f.Of(Report)[0]
	if err := os.WriteFile(filepath.Join(dir, report.Digest.Hex()), []byte("THE REPORT"), 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := f.Bytes(report)
	wantReason(t, err, oci.ReasonCorrupted, "its file has the digest")
	if raw != nil {
		t.Errorf("the bytes are %q", raw)
	}
}

// A list of the right digest is no more believed than what wrote it.
func TestHostileLists(t *testing.T) {
	report := Document{Kind: Report, Subject: root, Digest: child, Size: 1}
	many := []Document{report}
	for i := range maxDocuments {
		many = append(many, Document{Kind: SBOM, Subject: image.DigestOf(fmt.Append(nil, i)), Digest: child, Size: 1})
	}
	large := func(k Kind, size int64) Document { return Document{Kind: k, Subject: root, Digest: child, Size: size} }
	var heavy []Document
	for i := range 17 {
		heavy = append(heavy, Document{Kind: SBOM, Subject: image.DigestOf(fmt.Append(nil, i)), Digest: child, Size: 64 << 20})
	}
	for name, tt := range map[string]struct {
		list   List
		reason oci.Reason
		text   string
	}{
		"no report":                 {List{Image: root}, oci.ReasonCorrupted, "it has no report"},
		"two reports":               {List{Image: root, Documents: []Document{report, report}}, oci.ReasonCorrupted, "twice"},
		"a report of another image": {List{Image: child, Documents: []Document{report}}, oci.ReasonCorrupted, "but is about"},
		"packages of another image": {List{Image: root, Documents: []Document{report, {Kind: Inventory, Subject: child, Digest: child, Size: 1}}}, oci.ReasonCorrupted, "but is about"},
		"a kind that is none":       {List{Image: root, Documents: []Document{report, large("key", 1)}}, oci.ReasonCorrupted, `"key" is no kind`},
		"a size below none":         {List{Image: root, Documents: []Document{large(Report, -1)}}, oci.ReasonCorrupted, "-1 bytes"},
		"a huge report":             {List{Image: root, Documents: []Document{large(Report, maxReport+1)}}, oci.ReasonTooLarge, "the limit is"},
		"a huge SBOM":               {List{Image: root, Documents: []Document{report, large(SBOM, 64<<20+1)}}, oci.ReasonTooLarge, "the limit is"},
		"huge packages":             {List{Image: root, Documents: []Document{report, large(Inventory, 256<<20+1)}}, oci.ReasonTooLarge, "the limit is"},
		"too much together":         {List{Image: root, Documents: append(heavy, report)}, oci.ReasonTooLarge, "the documents have more than"},
		"too many":                  {List{Image: root, Documents: many}, oci.ReasonTooLarge, "it names 259 documents"},
	} {
		raw, err := json.Marshal(tt.list)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		list, _, err := store(dir, bytes.NewReader(raw), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(name)
		_, err = Read(dir, list)
		wantReason(t, err, tt.reason, tt.text)
	}
	good, err := json.Marshal(List{Image: root, Documents: []Document{report}})
	if err != nil {
		t.Fatal(err)
	}
	changed := func(old, by string) string { return strings.Replace(string(good), old, by, 1) }
	for name, raw := range map[string]string{
		"no JSON":      "x",
		"no image":     changed(`"image":"`+root.String()+`",`, ""),
		"no digest":    changed(`"digest":"`+child.String()+`",`, ""),
		"no subject":   changed(`"subject":"`+root.String()+`",`, ""),
		"more fields":  changed(`{"image"`, `{"key":1,"image"`),
		"more than it": string(good) + "{}",
		"a path":       changed(child.String(), "sha256:../../etc/passwd"),
	} {
		if raw == string(good) {
			t.Fatalf("%s changes nothing", name)
		}
		dir := t.TempDir()
		list, _, err := store(dir, strings.NewReader(raw), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(name)
		_, err = Read(dir, list)
		wantReason(t, err, oci.ReasonCorrupted, "list of documents")
	}
}

// A scan hands on nothing that the other Pod would refuse.
func TestWriterKeepsTheLimits(t *testing.T) {
	w := NewWriter(t.TempDir(), root)
	err := w.Add(Report, root, io.LimitReader(zeros{}, maxReport+1))
	wantReason(t, err, oci.ReasonTooLarge, "larger than")
	_, err = w.Close()
	wantReason(t, err, oci.ReasonCorrupted, "it has no report")
	if err := NewWriter(filepath.Join(t.TempDir(), "gone"), root).Add(Report, root, strings.NewReader("x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
