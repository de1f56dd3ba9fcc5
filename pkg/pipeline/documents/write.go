package documents

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// incoming is the name of a file until its digest is known.
const incoming = "incoming"

// Writer fills a volume.
type Writer struct {
	dir  string
	list List
}

// NewWriter returns a Writer of what a scan of an image found, into the folder dir, which exists.
func NewWriter(dir string, scanned image.Digest) *Writer {
	return &Writer{dir: dir, list: List{Image: scanned, Documents: []Document{}}}
}

// Add stores a document about subject.
func (w *Writer) Add(kind Kind, subject image.Digest, content io.Reader) error {
	d := Document{Kind: kind, Subject: subject}
	var err error
	if d.Digest, d.Size, err = store(w.dir, content, kind.limit()); err != nil {
		return oci.Within(err, d.String())
	}
	w.list.Documents = append(w.list.Documents, d)
	return nil
}

// Close stores the list of all documents, and returns its digest.
func (w *Writer) Close() (image.Digest, error) {
	if err := w.list.check(); err != nil {
		return image.Digest{}, err
	}
	raw, err := json.Marshal(w.list)
	if err != nil {
		return image.Digest{}, fmt.Errorf("encode the %s: %w", subjectList, err)
	}
	digest, _, err := store(w.dir, bytes.NewReader(raw), maxList)
	return digest, err
}

// store writes content of at most most bytes to a file that is named after its digest. A file that
// a former attempt left under the same name is replaced, whatever it is.
func store(dir string, content io.Reader, most int64) (image.Digest, int64, error) {
	path := filepath.Join(dir, incoming)
	if err := os.RemoveAll(path); err != nil {
		return image.Digest{}, 0, fmt.Errorf("store a document: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644) //nolint:gosec // the Pod that publishes it may run as another user
	if err != nil {
		return image.Digest{}, 0, fmt.Errorf("store a document: %w", err)
	}
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, sum), io.LimitReader(content, most+1))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return image.Digest{}, 0, fmt.Errorf("store a document: %w", err)
	}
	if size > most {
		return image.Digest{}, 0, oci.Errorf(oci.ReasonTooLarge, "document", "it is larger than %d bytes", most)
	}
	digest, err := image.ParseDigest(fmt.Sprintf("sha256:%x", sum.Sum(nil)))
	if err != nil {
		return image.Digest{}, 0, err
	}
	if err := os.Rename(path, filepath.Join(dir, digest.Hex())); err != nil {
		return image.Digest{}, 0, fmt.Errorf("store a document: %w", err)
	}
	return digest, size, nil
}
