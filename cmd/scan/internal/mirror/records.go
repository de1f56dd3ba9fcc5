package mirror

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/revet-dev/revet/cmd/scan/internal/osv"
)

const (
	zipName   = "all.zip"
	recordEnd = ".json"
	asOfName  = "as-of"

	maxRecords = 4 << 20
	maxDepth   = 12
)

// records are records in files and in zip files.
type records struct {
	all    []record
	opened []io.Closer
}

type record struct {
	path string
	zip  *zip.File // nil for a file
}

// Len implements database.Records.
func (r *records) Len() int { return len(r.all) }

// Name implements database.Records.
func (r *records) Name(i int) string {
	if z := r.all[i].zip; z != nil {
		return fmt.Sprintf("%.200q in %s", z.Name, r.all[i].path)
	}
	return r.all[i].path
}

// Read implements database.Records. It reads up to one byte more than a record may have, and the
// parser refuses that size.
func (r *records) Read(i int) ([]byte, error) {
	var f io.ReadCloser
	var err error
	if z := r.all[i].zip; z != nil {
		f, err = z.Open()
	} else {
		f, err = os.Open(r.all[i].path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, osv.MaxRecord+1))
}

func (r *records) close() {
	for _, c := range r.opened {
		_ = c.Close() // only opened for reading
	}
}

// add adds a record.
func (r *records) add(one record) error {
	if len(r.all) >= maxRecords {
		return fmt.Errorf("the source has more than %d records", maxRecords)
	}
	r.all = append(r.all, one)
	return nil
}

// addZip adds the records in a zip file. Messages call the file named.
func (r *records) addZip(path, named string) error {
	z, err := zip.OpenReader(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", named, err)
	}
	r.opened = append(r.opened, z)
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, recordEnd) {
			continue
		}
		if err := r.add(record{named, f}); err != nil {
			return err
		}
	}
	return nil
}

// addFolder adds the records in a folder and its subfolders. Volumes show their files as links, and
// use names starting with a dot for themselves.
func (r *records) addFolder(path string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("the folder %s is nested more than %d folders deep", path, maxDepth)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("read source: %w", err)
	}
	for _, entry := range entries {
		at := filepath.Join(path, entry.Name())
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		info, err := os.Stat(at)
		switch {
		case err != nil:
			return fmt.Errorf("read source: %w", err)
		case info.IsDir():
			err = r.addFolder(at, depth+1)
		case entry.Name() == zipName:
			err = r.addZip(at, at)
		case strings.HasSuffix(entry.Name(), recordEnd):
			err = r.add(record{path: at})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checksum returns a hash of all records, in the order of their names.
func (r *records) checksum() (string, error) {
	h := sha256.New()
	for i := range r.all {
		raw, err := r.Read(i)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", r.Name(i), err)
		}
		fmt.Fprintf(h, "%d\n", len(raw))
		h.Write(raw)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// moduleTime is the time of the last change in a Go module's pseudo-version. The module's folder is
// named after the version.
var moduleTime = regexp.MustCompile(`@v[^/@]*?(\d{14})-[0-9a-f]{12}(?:/|$)`)

// readAsOf returns the time at which a directory was current, or zero if the directory does not
// say.
func readAsOf(dir string) (time.Time, error) {
	raw, err := os.ReadFile(filepath.Join(dir, asOfName)) //nolint:gosec // the user names the directory
	if errors.Is(err, fs.ErrNotExist) {
		if m := moduleTime.FindStringSubmatch(filepath.ToSlash(dir)); m != nil {
			return time.Parse("20060102150405", m[1])
		}
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read source: %w", err)
	}
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(string(raw)))
	if err != nil {
		return time.Time{}, fmt.Errorf("the file %q of the source is %.80q, but must be a time like 2026-01-31T12:00:00Z", asOfName, raw)
	}
	return t.UTC().Truncate(time.Second), nil
}
