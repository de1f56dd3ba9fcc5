package database

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// Library is the newest schema that this version reads.
var Library = Schema{v6.ModelVersion, v6.Revision, v6.Addition}

// Schema is the version of a file's schema. Model counts changes that no older reader can read.
// Revision counts changes that an older reader may misread. Addition counts changes that older
// readers ignore.
type Schema struct{ Model, Revision, Addition int }

// String returns the form that parseSchema parses.
func (s Schema) String() string { return fmt.Sprintf("%d.%d.%d", s.Model, s.Revision, s.Addition) }

// compare orders schemas.
func (s Schema) compare(other Schema) int {
	return cmp.Or(cmp.Compare(s.Model, other.Model), cmp.Compare(s.Revision, other.Revision), cmp.Compare(s.Addition, other.Addition))
}

// newer reports whether s is newer than this version can read.
func (s Schema) newer() bool {
	return s.Model > Library.Model || s.Model == Library.Model && s.Revision > Library.Revision
}

// check returns an error unless this version can read s.
func (s Schema) check() error {
	switch {
	case s.newer():
		return oci.Errorf(vulndb.ReasonTooNew, "", "its schema is %s, but this version of Revet reads up to %s; %s", s, Library, vulndb.CureTooNew)
	case s.Model != Library.Model:
		return oci.Errorf(vulndb.ReasonFormat, "", "its schema is %s, but this version of Revet reads %d.x; mirror a newer one", s, Library.Model)
	}
	return nil
}

// CheckSchema returns an error unless this version can read the schema that text names.
func CheckSchema(text string) error {
	s, err := parseSchema(text)
	if err != nil {
		return oci.Errorf(vulndb.ReasonBroken, "", "%w; %s", err, vulndb.CureBroken)
	}
	return s.check()
}

func parseSchema(text string) (Schema, error) {
	var s Schema
	parts := strings.Split(strings.TrimPrefix(text, "v"), ".")
	numbers := []*int{&s.Model, &s.Revision, &s.Addition}
	if len(parts) != len(numbers) {
		return Schema{}, fmt.Errorf("its schema is %.80q; expected a version like 6.1.10", text)
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return Schema{}, fmt.Errorf("its schema is %.80q; expected a version like 6.1.10", text)
		}
		*numbers[i] = int(n)
	}
	return s, nil
}

// File is a database's file, opened for reading.
type File struct {
	path   string
	reader v6.Reader
	// Schema and Built come from the file itself.
	Schema Schema
	Built  time.Time
}

// OpenFile opens a file that nothing changes while it is open.
func OpenFile(path string) (f *File, err error) {
	defer recovered(&err)
	if err := checkHeader(path); err != nil {
		return nil, err
	}
	if filepath.Base(path) != v6.VulnerabilityDBFileName {
		return nil, fmt.Errorf("the file of a database must be named %s, but this is %s", v6.VulnerabilityDBFileName, path)
	}
	schema, built, err := describe(path)
	if err != nil {
		return nil, err
	}
	reader, err := v6.NewReader(v6.Config{DBDirPath: filepath.Dir(path)})
	if err != nil {
		return nil, oci.Errorf(vulndb.ReasonBroken, "", "cannot open its file: %w; %s", err, vulndb.CureBroken)
	}
	return &File{path: path, reader: reader, Schema: schema, Built: built}, nil
}

// Close closes the file.
func (f *File) Close() error {
	if err := f.reader.Close(); err != nil {
		return fmt.Errorf("close the database: %w", err)
	}
	return nil
}

// agrees returns an error unless the file matches the config.
func (f *File) agrees(c vulndb.Config) error {
	if f.Schema.String() != c.Schema || !f.Built.Equal(c.AsOf) {
		return oci.Errorf(vulndb.ReasonBroken, "", "its file has the schema %s and is from %s, but its config says %.20s and %s; %s",
			f.Schema, f.Built.Format(time.RFC3339), c.Schema, c.AsOf.Format(time.RFC3339), vulndb.CureBroken)
	}
	return nil
}

// Agrees returns an error unless the file at path matches the config.
func Agrees(path string, c vulndb.Config) error {
	f, err := OpenFile(path)
	if err != nil {
		return err
	}
	return errors.Join(f.agrees(c), f.Close())
}

// Says returns an error unless the file at path has the schema and build time from its listing.
func Says(path, schema string, built time.Time) error {
	return Agrees(path, vulndb.Config{Schema: strings.TrimPrefix(schema, "v"), AsOf: built})
}

// describe reads the file's description of itself, before anything relies on it.
func describe(path string) (Schema, time.Time, error) {
	db, err := v6.NewLowLevelDB(path, false, false, false)
	if err != nil {
		return Schema{}, time.Time{}, oci.Errorf(vulndb.ReasonBroken, "", "cannot open its file: %w; %s", err, vulndb.CureBroken)
	}
	inner, err := db.DB()
	if err != nil {
		return Schema{}, time.Time{}, fmt.Errorf("open the database: %w", err)
	}
	var m v6.DBMetadata
	err = errors.Join(db.First(&m).Error, inner.Close())
	if err != nil || m.BuildTimestamp == nil {
		return Schema{}, time.Time{}, oci.Errorf(vulndb.ReasonBroken, "", "its file does not describe itself (%w); %s",
			errors.Join(err, errors.New("it has no build time")), vulndb.CureBroken)
	}
	s := Schema{m.Model, m.Revision, m.Addition}
	return s, m.BuildTimestamp.UTC().Truncate(time.Second), s.check()
}

// The header of an SQLite file: a magic string, and two bytes that are 2 if a log beside the file
// holds the latest changes.
const (
	magic       = "SQLite format 3\x00"
	headerSize  = 100
	logAt       = 18
	withoutALog = "\x01\x01"
)

// checkHeader returns an error unless path is an SQLite file that is complete on its own.
func checkHeader(path string) error {
	f, err := os.Open(path) //nolint:gosec // the caller's own file
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer f.Close()
	var h [headerSize]byte
	_, err = io.ReadFull(f, h[:])
	switch {
	case err != nil || !bytes.HasPrefix(h[:], []byte(magic)):
		return oci.Errorf(vulndb.ReasonBroken, "", "it is not an SQLite file; %s", vulndb.CureBroken)
	case string(h[logAt:logAt+2]) != withoutALog:
		return oci.Errorf(vulndb.ReasonBroken, "", "a part of its file is in a write-ahead log, which is missing; "+
			"let the program that wrote it finish (PRAGMA journal_mode = DELETE), and %s", vulndb.CureBroken)
	}
	return nil
}

// recovered turns a panic in the library into an error. The library has panicked on databases newer
// than itself.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = oci.Errorf(vulndb.ReasonBroken, "", "the library panics on it: %v; %s", r, vulndb.CureBroken)
	}
}
