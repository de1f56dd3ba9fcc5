package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/db/v6/distribution"

	"github.com/revet-dev/revet/cmd/scan/internal/database"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// fromDirectory finds out what a directory holds.
func fromDirectory(ctx context.Context, r run) (next, error) {
	dir, err := filepath.Abs(r.From)
	if err != nil {
		return next{}, fmt.Errorf("source %s: %w", r.From, err)
	}
	made := next{}
	made.config.Source = "directory " + dir
	for _, kind := range []struct {
		name string
		take func(context.Context, run, string, next) (next, error)
	}{
		{distribution.LatestFileName, fromListed},
		{v6.VulnerabilityDBFileName, fromFile},
	} {
		_, err := os.Stat(filepath.Join(dir, kind.name))
		switch {
		case err == nil:
			return kind.take(ctx, r, dir, made)
		case !errors.Is(err, fs.ErrNotExist):
			return next{}, fmt.Errorf("read source: %w", err)
		}
	}
	return fromRecords(ctx, r, dir, made)
}

// fromListed uses the archive that latest.json names beside it.
func fromListed(ctx context.Context, r run, dir string, made next) (next, error) {
	path := filepath.Join(dir, distribution.LatestFileName)
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxListing {
		return next{}, fmt.Errorf("read source: %w", errors.Join(err, fmt.Errorf("%s is larger than %d bytes", path, maxListing)))
	}
	raw, err := os.ReadFile(path) //nolint:gosec // the user names the directory
	if err != nil {
		return next{}, fmt.Errorf("read source: %w", err)
	}
	l, err := parseListing(raw, "source "+path)
	if err != nil {
		return next{}, err
	}
	made.notes = l.notes
	origin := vulndb.Origin{Source: made.config.Source, Checksum: l.Checksum}
	return r.fromArchive(ctx, made, l, origin, filepath.Join(dir, l.Path), func() error { return nil })
}

// fromFile uses a database's file.
func fromFile(ctx context.Context, r run, dir string, made next) (next, error) {
	path := filepath.Join(dir, v6.VulnerabilityDBFileName)
	subject := "source " + path
	if err := database.CheckWhole(path); err != nil {
		return next{}, of(err, subject)
	}
	f, err := os.Open(path) //nolint:gosec // the user names the directory
	if err != nil {
		return next{}, fmt.Errorf("read source: %w", err)
	}
	defer f.Close()
	if err := put(ctx, f, r.file()); err != nil {
		return next{}, err
	}
	if err := database.Index(r.Dir); err != nil {
		return next{}, of(err, subject)
	}
	malware, err := r.malware(ctx)
	if err != nil {
		return next{}, err
	}
	defer malware.close()
	made.config.Origins = malware.origins
	notes, err := malware.add(ctx, r)
	made.notes = slices.Concat(malware.notes, notes)
	return made, err
}

// fromRecords builds a database from records in OSV's format.
func fromRecords(ctx context.Context, r run, dir string, made next) (next, error) {
	asOf, err := readAsOf(dir)
	if err != nil {
		return next{}, err
	}
	var all records
	defer all.close()
	if err := all.addFolder(dir, 0); err != nil {
		return next{}, err
	}
	b, err := database.Build(ctx, r.Dir, &all, database.BuildOptions{Now: r.Now, AsOf: asOf, MaxUnreadable: r.MaxUnreadable})
	if err != nil {
		return next{}, fmt.Errorf("%s: %w", made.config.Source, err)
	}
	made.notes = notesOf(b)
	if b.Records == 0 {
		return next{}, oci.Errorf(vulndb.ReasonEmpty, made.config.Source, "it has no records of packages that can be compared%s; nothing was written",
			strings.Join(append([]string{""}, made.notes...), "; "))
	}
	malware, err := r.malware(ctx)
	if err != nil {
		return next{}, err
	}
	defer malware.close()
	made.config.Origins = malware.origins
	notes, err := malware.add(ctx, r)
	made.notes = append(append(made.notes, malware.notes...), notes...)
	return made, err
}

// notesOf returns notes about the records left out.
func notesOf(b database.Built) []string {
	var notes []string
	if b.Unreadable > 0 {
		notes = append(notes, fmt.Sprintf("left out: %d records, which cannot be read", b.Unreadable))
	}
	const most = 20
	for i, name := range slices.Sorted(maps.Keys(b.Unknown)) {
		if i == most {
			return append(notes, fmt.Sprintf("left out: records of %d more ecosystems", len(b.Unknown)-most))
		}
		notes = append(notes, fmt.Sprintf("left out: %d records of %.80q, whose packages cannot be compared", b.Unknown[name], name))
	}
	return notes
}
