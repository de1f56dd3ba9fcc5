package documents

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Folder is a volume that a Writer filled, as far as its list is believed.
type Folder struct {
	List
	dir string
}

// Read returns the documents in the folder dir, whose list has that digest. It reads all of them
// once, so that the first one is not published before it is known that the last one is as listed.
func Read(dir string, list image.Digest) (Folder, error) {
	var raw bytes.Buffer
	if err := read(dir, list, unknown, maxList, subjectList, &raw); err != nil {
		return Folder{}, err
	}
	l, err := decode(raw.Bytes())
	if err != nil {
		return Folder{}, err
	}
	folder := Folder{List: l, dir: dir}
	for _, d := range l.Documents {
		if err := folder.Copy(d, io.Discard); err != nil {
			return Folder{}, err
		}
	}
	return folder, nil
}

// Copy writes the bytes of a document to w. Unless it returns an error they have its digest.
func (f Folder) Copy(d Document, w io.Writer) error {
	return read(f.dir, d.Digest, d.Size, d.Kind.limit(), d.String(), w)
}

// Bytes returns the bytes of a document.
func (f Folder) Bytes(d Document) ([]byte, error) {
	var raw bytes.Buffer
	if err := f.Copy(d, &raw); err != nil {
		return nil, err
	}
	return raw.Bytes(), nil
}

// unknown is the size of a file that nobody listed.
const unknown = -1

// read writes the bytes of digest to w. They are size unless that is unknown, and at most most.
func read(dir string, digest image.Digest, size, most int64, what string, w io.Writer) error {
	f, held, err := open(filepath.Join(dir, digest.Hex()), what)
	if err != nil {
		return err
	}
	defer f.Close()
	switch {
	case size != unknown && held != size:
		return oci.Errorf(oci.ReasonCorrupted, what, "its file has %d bytes, and %d are listed", held, size)
	case held > most:
		return oci.Errorf(oci.ReasonTooLarge, what, "its file has %d bytes; the limit is %d", held, most)
	}
	sum := sha256.New()
	// The file may have grown since it was opened.
	if _, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(f, held)); err != nil {
		return fmt.Errorf("read the %s: %w", what, err)
	}
	if got := fmt.Sprintf("sha256:%x", sum.Sum(nil)); got != digest.String() {
		return oci.Errorf(oci.ReasonCorrupted, what, "its file has the digest %s, and not %s", got, digest)
	}
	return nil
}

// open opens a regular file and returns its size. It follows no link, and waits for no pipe.
func open(path, what string) (*os.File, int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0) //nolint:gosec // the caller names the folder
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, oci.Errorf(oci.ReasonMissing, what, "it is not on the volume: the Pod that scanned the image did not write it, or it was removed")
	case errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO):
		return nil, 0, oci.Errorf(oci.ReasonCorrupted, what, "it is no regular file")
	case err != nil:
		return nil, 0, fmt.Errorf("read the %s: %w", what, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = oci.Errorf(oci.ReasonCorrupted, what, "it is no regular file")
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}
