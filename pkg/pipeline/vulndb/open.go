package vulndb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/osv"
	"github.com/revet-dev/revet/pkg/pipeline/report"
)

// Options say how a database is opened.
type Options struct {
	// Registry says how its registry is spoken to.
	Registry fetch.Options
	// MaxAge is how old its data may be at Now; it must be positive. AnyAge is for
	// those who only copy it.
	MaxAge time.Duration
	AnyAge bool
	Now    time.Time
	// Dir is where layers are stored meanwhile; empty for the system's. They are
	// gone after Close, and after a crash too.
	Dir string
	// Only chooses ecosystems; nil for all. Those that are not chosen are not pulled,
	// and are as if they were not there.
	Only func(ecosystem string) bool
}

// DB is a database that was pulled and verified. It is for one user at a time.
type DB struct {
	artifact Artifact
	parts    []part
}

type part struct {
	Ecosystem
	file  *os.File
	shard *shard
}

// Open pulls the database that reference names by tag or by digest, and verifies
// it.
func Open(ctx context.Context, reference string, o Options) (*DB, error) {
	ref, err := ParseReference(reference)
	if err != nil {
		return nil, err
	}
	if !o.AnyAge && (o.MaxAge <= 0 || o.Now.IsZero()) {
		return nil, errors.New("the greatest age of the database must be positive")
	}
	registry, err := fetch.NewRegistry(ctx, ref.repository, o.Registry)
	if err != nil {
		return nil, about(ctx, ref, err)
	}
	db, err := open(ctx, registry, ref, o)
	return db, about(ctx, ref, err)
}

func open(ctx context.Context, registry *fetch.Registry, ref Reference, o Options) (*DB, error) {
	a, err := look(ctx, registry, ref)
	if err != nil {
		return nil, err
	}
	if !o.AnyAge {
		if err := a.Config.CheckAge(o.MaxAge, o.Now); err != nil {
			return nil, err
		}
	}
	db := &DB{artifact: a}
	for _, e := range a.Config.Ecosystems {
		if o.Only != nil && !o.Only(e.Name) {
			continue
		}
		f, err := download(ctx, registry, o.Dir, e)
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
		s, err := openShard(ctx, f, e.Size, e)
		if err != nil {
			return nil, errors.Join(broken(e.Name, err), f.Close(), db.Close())
		}
		db.parts = append(db.parts, part{e, f, s})
	}
	return db, nil
}

// skew is how far clocks may differ.
const skew = 10 * time.Minute

// CheckAge reports an error if the data is older than most, or of the future.
func (c Config) CheckAge(most time.Duration, now time.Time) error {
	age := now.Sub(c.AsOf)
	switch {
	case age > most:
		return content.Errorf(ReasonTooOld, "", "its data is of %s, %s old, and may be %s old; %s",
			c.AsOf.UTC().Format(time.RFC3339), age.Round(time.Minute), most, cureTooOld)
	case age < -skew:
		// It would never be too old.
		return content.Errorf(ReasonBroken, "", "it claims to be of %s, which is in the future; %s", c.AsOf.UTC().Format(time.RFC3339), cureBroken)
	}
	return nil
}

// Info says which database it is, and of when.
func (db *DB) Info() report.Database {
	return report.Database{Digest: db.artifact.Digest, AsOf: db.artifact.Config.AsOf}
}

// Config returns what the database says of itself, which Open verified.
func (db *DB) Config() Config { return db.artifact.Config }

// Artifact returns the manifest and the config as they are stored.
func (db *DB) Artifact() Artifact { return db.artifact }

// Ecosystems returns those that there are records of, without releases, sorted.
func (db *DB) Ecosystems() []string {
	var all []string
	for _, p := range db.parts {
		all = append(all, p.Name)
	}
	return all
}

// Layer returns the layer of an ecosystem as it is stored; nil if it is not there.
func (db *DB) Layer(ecosystem string) io.ReaderAt {
	for _, p := range db.parts {
		if p.Name == ecosystem {
			return p.file
		}
	}
	return nil
}

// Each calls fn with each record that tells of a package that is wanted; the
// ecosystem is one without a release. A record that tells of packages of several
// ecosystems comes once for each, narrowed to what it says of that one.
func (db *DB) Each(ctx context.Context, wanted func(ecosystem, name string) bool, fn func(osv.Record) error) error {
	for _, p := range db.parts {
		if err := p.shard.each(ctx, wanted, fn); err != nil {
			var e *content.Error
			if errors.As(err, &e) {
				return content.Within(err, "database "+db.artifact.Digest.String())
			}
			return err
		}
	}
	return nil
}

// Verify reads all records, and holds them against index and config.
func (db *DB) Verify(ctx context.Context) error {
	for _, p := range db.parts {
		if err := p.shard.verify(ctx, p.Ecosystem); err != nil {
			return content.Within(broken(p.Name, err), "database "+db.artifact.Digest.String())
		}
	}
	return nil
}

// Close removes what was stored.
func (db *DB) Close() error {
	var all []error
	for _, p := range db.parts {
		if err := p.file.Close(); err != nil {
			all = append(all, fmt.Errorf("close the database: %w", err))
		}
	}
	db.parts = nil
	return errors.Join(all...)
}
