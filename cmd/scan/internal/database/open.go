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

// Options say how a database is opened.
type Options struct {
	// Registry says how its registry is spoken to.
	Registry fetch.Options
	// MaxAge is how old its data may be at Now; 0 for any age. A Now of zero is now.
	MaxAge time.Duration
	Now    time.Time
	// Dir is where its file is stored meanwhile, in a directory that Close removes;
	// empty for the system's.
	Dir string
}

// Info says which database it is, of when, and of which schema.
type Info struct {
	Digest image.Digest
	// AsOf is when its records were built.
	AsOf   time.Time
	Schema string
}

// DB is a database that was pulled, verified and opened.
type DB struct {
	artifact vulndb.Artifact
	dir      string
	file     *File
}

// Open pulls the database that reference names by tag or by digest, verifies it, and
// opens it. No reference is DatabaseNotConfigured.
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
		return nil, fmt.Errorf("make a place for the database: %w", err)
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
		_ = os.RemoveAll(dir) // the error is what there is to tell
		return nil, vulndb.Within(ctx, ref, err)
	}
	return &DB{artifact: a, dir: dir, file: f}, nil
}

// Accept refuses what this version cannot read before it is pulled.
func Accept(c vulndb.Config) error {
	return CheckSchema(c.Schema)
}

// Info says which database it is.
func (db *DB) Info() Info {
	return Info{Digest: db.artifact.Digest, AsOf: db.artifact.Config.AsOf, Schema: db.artifact.Config.Schema}
}

// Config returns what the database says of itself.
func (db *DB) Config() vulndb.Config { return db.artifact.Config }

// Artifact returns the manifest and the config as they are stored.
func (db *DB) Artifact() vulndb.Artifact { return db.artifact }

// Path is where its file is, until Close.
func (db *DB) Path() string { return db.file.path }

// Reader reads its tables.
func (db *DB) Reader() v6.Reader { return db.file.reader }

// Provider finds vulnerabilities in it.
func (db *DB) Provider() vulnerability.Provider { return v6.NewVulnerabilityProvider(db.file.reader) }

// Close removes what was stored.
func (db *DB) Close() error { return errors.Join(db.file.Close(), os.RemoveAll(db.dir)) }
