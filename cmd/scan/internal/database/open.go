package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/vulnerability"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// Options configure Open.
type Options struct {
	// Registry configures how to talk to the registry.
	Registry fetch.Options
	// MaxAge limits the age of the data at Now; 0 accepts any age. A zero Now means the current
	// time.
	MaxAge time.Duration
	Now    time.Time
	// Dir is the directory for a directory with the file, which Close removes. Empty means the
	// system's temporary directory.
	Dir string
}

// Info identifies a database, with its time and schema.
type Info struct {
	Digest image.Digest
	// AsOf is the time at which its records were built.
	AsOf   time.Time
	Schema string
}

// DB is a pulled, verified and opened database.
type DB struct {
	artifact vulndb.Artifact
	dir      string
	file     *File
}

// Open pulls the database that reference names by tag or by digest, verifies it, and opens it. An
// empty reference is DatabaseNotConfigured.
func Open(ctx context.Context, reference string, o Options) (*DB, error) {
	if reference == "" {
		return nil, vulndb.NotConfigured()
	}
	ref, err := vulndb.ParseReference(reference)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "revet-database-")
	if err != nil {
		return nil, fmt.Errorf("create a directory for the database: %w", err)
	}
	path := filepath.Join(dir, v6.VulnerabilityDBFileName)
	a, err := vulndb.Pull(ctx, ref, vulndb.Options{Registry: o.Registry, MaxAge: o.MaxAge, Now: o.Now, Accept: Accept}, path)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	f, err := OpenFile(path)
	if err == nil {
		if err = f.agrees(a.Config); err != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil {
		_ = os.RemoveAll(dir) // the first error matters more
		return nil, vulndb.Within(ctx, ref, err)
	}
	return &DB{artifact: a, dir: dir, file: f}, nil
}

// Accept refuses a database that this version cannot read, before Open pulls it.
func Accept(c vulndb.Config) error {
	return CheckSchema(c.Schema)
}

// Info identifies the database.
func (db *DB) Info() Info {
	return Info{Digest: db.artifact.Digest, AsOf: db.artifact.Config.AsOf, Schema: db.artifact.Config.Schema}
}

// Config returns the database's description of itself.
func (db *DB) Config() vulndb.Config { return db.artifact.Config }

// Artifact returns the stored manifest and config.
func (db *DB) Artifact() vulndb.Artifact { return db.artifact }

// Path returns the path of the file. It is valid until Close.
func (db *DB) Path() string { return db.file.path }

// Reader returns a reader of the tables.
func (db *DB) Reader() v6.Reader { return db.file.reader }

// Provider returns a provider of its vulnerabilities.
func (db *DB) Provider() vulnerability.Provider { return v6.NewVulnerabilityProvider(db.file.reader) }

// Close closes and removes the file.
func (db *DB) Close() error { return errors.Join(db.file.Close(), os.RemoveAll(db.dir)) }
