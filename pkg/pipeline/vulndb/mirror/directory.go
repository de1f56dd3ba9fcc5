package mirror

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/osv"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

const (
	archiveName = "all.zip"
	recordEnd   = ".json"
	asOfName    = "as-of"
)

// fromDirectory reads ECOSYSTEM/all.zip, ECOSYSTEM/*.json and *.json.
func fromDirectory(ctx context.Context, o Options, _ *vulndb.Artifact) (next, func(), error) {
	dir, err := filepath.Abs(o.From)
	if err != nil {
		return next{}, nil, fmt.Errorf("source %s: %w", o.From, err)
	}
	b := newBuilder(o, "directory "+dir)
	made, err := readDirectory(ctx, b, dir)
	if err != nil {
		b.close()
		return next{}, nil, err
	}
	return made, b.close, nil
}

func readDirectory(ctx context.Context, b *builder, dir string) (next, error) {
	asOf, err := readAsOf(dir)
	if err != nil {
		return next{}, err
	}
	folders, loose, err := list(dir)
	if err != nil {
		return next{}, err
	}
	wanted := func(name string) bool { return len(b.o.Ecosystems) == 0 || slices.Contains(b.o.Ecosystems, name) }
	done := map[string]bool{}
	for _, name := range folders {
		switch {
		case osv.CheckBase(name) != nil:
			// "Debian:12" beside "Debian", which has the same records.
			b.notes = append(b.notes, fmt.Sprintf("left out: the folder %q, which is not named like an ecosystem", name))
			continue
		case !wanted(name):
			continue
		}
		if err := addFolder(ctx, b, filepath.Join(dir, name), name, vulndb.Origin{Modified: asOf}); err != nil {
			return next{}, err
		}
		done[name] = true
	}
	if err := addLoose(ctx, b, loose, wanted, done, vulndb.Origin{Modified: asOf}); err != nil {
		return next{}, err
	}
	for _, name := range b.o.Ecosystems {
		if b.layers[name] == nil {
			return next{}, fmt.Errorf("the directory %s has no records of %s, which --ecosystems names", dir, name)
		}
	}
	return b.finish()
}

// list returns the folders in dir and the records that lie in it. What a volume
// shows are links; names that begin with a dot are its own.
func list(dir string) (folders []string, records files, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("read source: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("read source: %w", err)
		case info.IsDir():
			folders = append(folders, entry.Name())
		case strings.HasSuffix(entry.Name(), recordEnd):
			records = append(records, path)
		}
	}
	return folders, records, nil
}

// addFolder adds the ecosystem that a folder holds.
func addFolder(ctx context.Context, b *builder, path, ecosystem string, origin vulndb.Origin) error {
	archive := filepath.Join(path, archiveName)
	_, err := os.Stat(archive)
	switch {
	case err == nil:
		a, err := openArchive(archive)
		if err != nil {
			return err
		}
		defer a.Close()
		return b.add(ctx, ecosystem, a, origin)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read source: %w", err)
	}
	_, records, err := list(path)
	if err != nil {
		return err
	}
	return b.add(ctx, ecosystem, records, origin)
}

// addLoose adds the ecosystems that records of no folder name.
func addLoose(ctx context.Context, b *builder, records files, wanted func(string) bool, done map[string]bool, origin vulndb.Origin) error {
	names := map[string]bool{}
	for i := range records {
		raw, err := records.Read(i)
		if err != nil {
			return err
		}
		r, err := osv.Parse(raw)
		if err != nil {
			// Which ecosystem it would be of, nobody knows.
			return fmt.Errorf("%s: %w; correct it, or take it away", records.Name(i), err)
		}
		for _, e := range r.Ecosystems() {
			names[osv.Base(e)] = true
		}
	}
	for name := range names {
		switch {
		case !wanted(name):
			continue
		case done[name]:
			return fmt.Errorf("there are records of %s in its folder and beside it; put all into the folder", name)
		}
		if err := b.add(ctx, name, records, origin); err != nil {
			return err
		}
	}
	return nil
}

// readAsOf reads when a directory was current; zero if it does not say.
func readAsOf(dir string) (time.Time, error) {
	raw, err := os.ReadFile(filepath.Join(dir, asOfName)) //nolint:gosec // the user names the directory
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read source: %w", err)
	}
	t, err := time.Parse(time.RFC3339, string(bytes.TrimSpace(raw)))
	if err != nil {
		return time.Time{}, fmt.Errorf("the file %q of the source is %.80q, and must be a time like 2026-01-31T12:00:00Z", asOfName, raw)
	}
	return t.UTC().Truncate(time.Second), nil
}

// files are records, each a file.
type files []string

// Len implements vulndb.Records.
func (f files) Len() int { return len(f) }

// Name implements vulndb.Records.
func (f files) Name(i int) string { return f[i] }

// Read implements vulndb.Records.
func (f files) Read(i int) ([]byte, error) {
	r, err := os.Open(f[i])
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return bounded(r)
}

// archive are records in a zip file.
type archive struct {
	*zip.ReadCloser
	path    string
	records []*zip.File
}

func openArchive(path string) (*archive, error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	a := &archive{ReadCloser: z, path: path}
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, recordEnd) {
			a.records = append(a.records, f)
		}
	}
	return a, nil
}

// Len implements vulndb.Records.
func (a *archive) Len() int { return len(a.records) }

// Name implements vulndb.Records.
func (a *archive) Name(i int) string { return fmt.Sprintf("%.200q in %s", a.records[i].Name, a.path) }

// Read implements vulndb.Records.
func (a *archive) Read(i int) ([]byte, error) {
	r, err := a.records[i].Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return bounded(r)
}

// bounded reads one byte more than a record may have, which its parser refuses.
func bounded(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, osv.MaxRecord+1)) }
