package database

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/anchore/grype/grype/db/provider"
	v6 "github.com/anchore/grype/grype/db/v6"
	build "github.com/anchore/grype/grype/db/v6/build"

	"github.com/revet-dev/revet/cmd/scan/internal/osv"
)

// Records are the records to build a database from. Build reads each record twice, so that it needs
// to hold only one in memory.
type Records interface {
	Len() int
	// Name returns the origin of record i, for messages.
	Name(i int) string
	Read(i int) ([]byte, error)
}

// BuildOptions configure Build.
type BuildOptions struct {
	Now time.Time
	// AsOf is the time at which the records were current, if their source says so. Otherwise the
	// newest record gives the time; records that claim a time after Now do not count.
	AsOf time.Time
	// MaxUnreadable is the number of invalid records that Build may leave out.
	MaxUnreadable int
	// Only selects records; nil selects all.
	Only func(osv.Record) bool
}

// Built is the result of Build.
type Built struct {
	AsOf time.Time
	// Records is the number of records in the database.
	Records int
	// Unreadable counts the records left out because they are invalid.
	Unreadable int
	// Unknown counts, by ecosystem, the records left out because the scanner does not know their
	// ecosystem.
	Unknown map[string]int
}

// entry is a record that is not written yet.
type entry struct {
	at       int
	id       string
	provider string
}

// Build writes the indexed database of records into the directory dir. The same records and times
// give the same file, in any order. If the scanner can use none of the records, Build creates no
// file.
func Build(ctx context.Context, dir string, records Records, o BuildOptions) (b Built, err error) {
	defer recovered(&err)
	entries, b, err := collect(ctx, records, o)
	if err != nil || len(entries) == 0 {
		return b, err
	}
	if b.AsOf.IsZero() {
		return b, errors.New("no record gives a past time of publication or modification, so their age is unknown; " +
			"write the time into a file as-of beside them: date -u +%FT%TZ > as-of")
	}
	w, err := build.NewWriter(dir, nil, false, 0, build.WithSQLiteCacheSizeKiB(cacheKiB))
	if err != nil {
		return b, fmt.Errorf("build the database: %w", err)
	}
	for _, e := range entries {
		if err := errors.Join(ctx.Err(), write(w, records, e, &b)); err != nil {
			return b, errors.Join(err, w.Close())
		}
	}
	if err := w.Close(); err != nil {
		return b, fmt.Errorf("build the database: %w", err)
	}
	if b.Records == 0 {
		return b, os.Remove(filepath.Join(dir, v6.VulnerabilityDBFileName))
	}
	return b, finish(dir, b.AsOf)
}

// cacheKiB is the memory that SQLite may use for writing. The library's own setting is 1 GiB.
const cacheKiB = 64 << 10

// collect reads all records once, and returns those to write, in order.
func collect(ctx context.Context, records Records, o BuildOptions) ([]entry, Built, error) {
	b := Built{AsOf: o.AsOf.UTC(), Unknown: map[string]int{}}
	if b.AsOf.After(o.Now) {
		b.AsOf = o.Now // a future time would delay its aging
	}
	var entries []entry
	seen := map[string]int{}
	for i := range records.Len() {
		if err := ctx.Err(); err != nil {
			return nil, b, err
		}
		raw, err := records.Read(i)
		if err != nil {
			return nil, b, fmt.Errorf("read %s: %w", records.Name(i), err)
		}
		r, err := osv.Parse(raw)
		if err == nil && o.Only != nil && !o.Only(r) {
			continue
		}
		if err == nil {
			err = writable(r, raw)
		}
		if err != nil {
			if b.Unreadable++; b.Unreadable > o.MaxUnreadable {
				return nil, b, fmt.Errorf("%s: %w; scans would miss its vulnerability; correct or remove it, or allow more than %d with --max-unreadable",
					records.Name(i), err, o.MaxUnreadable)
			}
			continue
		}
		if before, ok := seen[r.ID]; ok {
			return nil, b, fmt.Errorf("record %s appears twice: as %s and as %s; remove one", r.ID, records.Name(before), records.Name(i))
		}
		seen[r.ID] = i
		// The Go vulnerability database's own files do not give their modification time.
		for _, m := range []time.Time{r.Published.UTC().Truncate(time.Second), r.Modified.UTC().Truncate(time.Second)} {
			if m.After(b.AsOf) && !m.After(o.Now) {
				b.AsOf = m
			}
		}
		entries = append(entries, entry{at: i, id: r.ID, provider: providerOf(r)})
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Or(cmp.Compare(a.provider, b.provider), cmp.Compare(a.id, b.id)) })
	return entries, b, nil
}

// writable returns an error if a record cannot be written.
func writable(r osv.Record, raw []byte) error {
	_, _, err := entriesOf(r, raw, provider.State{Provider: providerOf(r)})
	return err
}

// write writes a record.
func write(w interface{ Write(...dataEntry) error }, records Records, e entry, b *Built) error {
	raw, err := records.Read(e.at)
	if err != nil {
		return fmt.Errorf("read %s: %w", records.Name(e.at), err)
	}
	r, err := osv.Parse(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", records.Name(e.at), err)
	}
	state := provider.State{Provider: e.provider, Version: 1, Processor: "revet", Timestamp: b.AsOf}
	entries, unknown, err := entriesOf(r, raw, state)
	if err != nil {
		return fmt.Errorf("%s: %w", records.Name(e.at), err)
	}
	if len(entries) == 0 {
		slices.Sort(unknown)
		for _, name := range slices.Compact(unknown) {
			b.Unknown[name]++
		}
		return nil
	}
	b.Records++
	if err := w.Write(entries...); err != nil {
		return fmt.Errorf("%s: write it into the database: %w", records.Name(e.at), err)
	}
	return nil
}

// finish indexes the database, and removes differences between builds: the build time, and the
// order of aliases, of tables, and of their constraints.
func finish(dir string, asOf time.Time) error {
	t, err := openWritable(dir)
	if err != nil {
		return err
	}
	schema, err := canonical(t)
	if err == nil {
		err = t.exec(
			[]any{"UPDATE db_metadata SET build_timestamp = ?", asOf},
			[]any{"CREATE TEMP TABLE sorted AS SELECT name, alias FROM vulnerability_aliases ORDER BY name, alias"},
			[]any{"DELETE FROM vulnerability_aliases"},
			[]any{"INSERT INTO vulnerability_aliases (name, alias) SELECT name, alias FROM sorted ORDER BY name, alias"},
			[]any{"DROP TABLE sorted"},
			[]any{"PRAGMA writable_schema = ON"},
		)
	}
	if err == nil {
		err = t.exec(append(schema,
			[]any{"CREATE TEMP TABLE ordered AS SELECT * FROM sqlite_schema ORDER BY type = 'table' DESC, name"},
			[]any{"DELETE FROM sqlite_schema"},
			[]any{"INSERT INTO sqlite_schema SELECT * FROM ordered ORDER BY rowid"},
			[]any{"PRAGMA writable_schema = OFF"},
			[]any{"VACUUM"})...)
	}
	if err := errors.Join(err, t.close()); err != nil {
		return err
	}
	// Open it again, so that it is analysed in the new order.
	if t, err = openWritable(dir); err == nil {
		err = t.close()
	}
	return errors.Join(err, settle(dir))
}

// canonical returns statements that sort the constraints of each table by name. The library writes
// them in random order.
func canonical(t *tables) ([][]any, error) {
	const separator = ",CONSTRAINT "
	var all [][]any
	err := t.query(context.Background(), func(r *sql.Rows) error {
		var name, text string
		if err := r.Scan(&name, &text); err != nil {
			return err
		}
		body, ok := strings.CutSuffix(text, ")")
		if parts := strings.Split(body, separator); ok && len(parts) > 1 {
			slices.Sort(parts[1:])
			all = append(all, []any{"UPDATE sqlite_schema SET sql = ? WHERE type = 'table' AND name = ?", strings.Join(parts, separator) + ")", name})
		}
		return nil
	}, "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL ORDER BY name")
	return all, err
}
