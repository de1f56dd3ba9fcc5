package vulndb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Format is the version of the artefact's format that this package reads and writes.
const Format = 2

// Config says what is in a database.
type Config struct {
	Format int `json:"format"`
	// Schema is the version of the schema of the file, as MODEL.REVISION.ADDITION.
	Schema string `json:"schema"`
	// Indexed is the schema of the library that made the file's indices.
	Indexed string `json:"indexed"`
	// Source is where the records were mirrored from.
	Source string `json:"source"`
	// AsOf is when the records were built, as their source says it.
	AsOf time.Time `json:"asOf"`
	// Mirrored is when they were taken from the source.
	Mirrored time.Time `json:"mirrored"`
	// Origins are what was downloaded, as its sources identify it.
	Origins []Origin `json:"origins,omitempty"`
	// Providers are those that the records come from, and Ecosystems those that the
	// packages are of that they name; both are sorted by name.
	Providers  []Provider  `json:"providers"`
	Ecosystems []Ecosystem `json:"ecosystems"`
	// File is what the parts make, in their order.
	File  File   `json:"file"`
	Parts []Part `json:"parts"`
}

// Origin is what a source says of what it sent.
type Origin struct {
	// Source is the URL.
	Source string `json:"source"`
	// Checksum, ETag and Modified tell one version of it from another.
	Checksum string    `json:"checksum,omitempty"`
	ETag     string    `json:"etag,omitempty"`
	Modified time.Time `json:"modified,omitzero"`
}

// Provider is a source of records inside a database.
type Provider struct {
	Name string `json:"name"`
	// Records is how many vulnerabilities it tells of.
	Records int `json:"records"`
	// AsOf is when its records were captured, if it says so.
	AsOf time.Time `json:"asOf,omitzero"`
}

// Ecosystem is a kind of packages, by the name that the scanner gives it.
type Ecosystem struct {
	Name string `json:"name"`
	// Records is how many statements about packages there are.
	Records int `json:"records"`
}

// File is the database's file.
type File struct {
	Digest image.Digest `json:"digest"`
	Size   int64        `json:"size"`
}

// Part is a part of the file, compressed.
type Part struct {
	Digest image.Digest `json:"digest"`
	Size   int64        `json:"size"`
	// Unpacked is how many bytes of the file it holds.
	Unpacked int64 `json:"unpacked"`
}

// Records counts the records of all providers.
func (c Config) Records() int {
	n := 0
	for _, p := range c.Providers {
		n += p.Records
	}
	return n
}

// skew is how far clocks may differ.
const skew = 10 * time.Minute

// CheckAge reports an error if the data is older than most, or of the future. A most
// of zero stands for any age.
func (c Config) CheckAge(most time.Duration, now time.Time) error {
	age := now.Sub(c.AsOf)
	switch {
	case age < -skew:
		// It would never be too old.
		return oci.Errorf(ReasonBroken, "", "it claims to be of %s, which is in the future; %s", c.AsOf.UTC().Format(time.RFC3339), CureBroken)
	case most > 0 && age > most:
		return oci.Errorf(ReasonTooOld, "", "its data is of %s, %s old, and may be %s old; %s",
			c.AsOf.UTC().Format(time.RFC3339), age.Round(time.Minute), most, cureTooOld)
	}
	return nil
}

// decodeConfig reads a config and checks all that it says by itself.
func decodeConfig(raw []byte) (Config, error) {
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(raw, &version); err != nil {
		return Config{}, oci.Errorf(ReasonBroken, "", "its config cannot be read: %w; %s", err, CureBroken)
	}
	if version.Format != Format {
		return Config{}, oci.Errorf(ReasonFormat, "", "it has the format %d, and this version reads %d; %s", version.Format, Format, cureFormat)
	}
	var c Config
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return Config{}, oci.Errorf(ReasonBroken, "", "its config cannot be read: %w; %s", err, CureBroken)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Config{}, oci.Errorf(ReasonBroken, "", "there is more after its config; %s", CureBroken)
	}
	if err := c.check(); err != nil {
		return Config{}, oci.Errorf(ReasonBroken, "", "its config contradicts itself: %w; %s", err, CureBroken)
	}
	// Each count is from 0 to MaxRecords, so that the sum cannot overflow.
	if c.Records() == 0 {
		return Config{}, oci.Errorf(ReasonEmpty, "", "it holds no record; %s", cureEmpty)
	}
	return c, nil
}

func (c Config) check() error {
	switch {
	case c.Schema == "" || len(c.Schema) > maxName || c.Indexed == "" || len(c.Indexed) > maxName:
		return fmt.Errorf("its schema is %.80q, indexed by %.80q", c.Schema, c.Indexed)
	case c.AsOf.IsZero() || c.Mirrored.IsZero():
		return errors.New("it does not say how old it is")
	case c.AsOf.After(c.Mirrored.Add(skew)):
		return fmt.Errorf("it is of %s and was mirrored before, at %s", c.AsOf.Format(time.RFC3339), c.Mirrored.Format(time.RFC3339))
	case len(c.Origins) > maxNames:
		return fmt.Errorf("it names %d origins, more than %d", len(c.Origins), maxNames)
	}
	if err := checkNames("providers", c.Providers, func(p Provider) (string, int) { return p.Name, p.Records }); err != nil {
		return err
	}
	if err := checkNames("ecosystems", c.Ecosystems, func(e Ecosystem) (string, int) { return e.Name, e.Records }); err != nil {
		return err
	}
	return c.checkParts()
}

// checkNames reports an error unless all are sorted, each once, with possible numbers.
func checkNames[T any](what string, all []T, of func(T) (string, int)) error {
	if len(all) > maxNames {
		return fmt.Errorf("it names %d %s, more than %d", len(all), what, maxNames)
	}
	last := ""
	for i, x := range all {
		name, records := of(x)
		switch {
		case len(name) > maxName, records < 0, records > MaxRecords:
			return fmt.Errorf("%d records are said to be of the %s %.80q; at most %d are possible", records, what, name, MaxRecords)
		case i > 0 && name <= last:
			return fmt.Errorf("its %s are not sorted, each once", what)
		}
		last = name
	}
	return nil
}

func (c Config) checkParts() error {
	switch {
	case c.File.Digest.IsZero() || c.File.Size <= 0 || c.File.Size > MaxFile:
		return fmt.Errorf("its file is %s of %d bytes; at most %d are possible", c.File.Digest, c.File.Size, int64(MaxFile))
	case len(c.Parts) == 0 || len(c.Parts) > maxParts:
		return fmt.Errorf("its file has %d parts; 1 to %d are possible", len(c.Parts), maxParts)
	}
	var sum int64
	for i, p := range c.Parts {
		if p.Digest.IsZero() || p.Size <= 0 || p.Size > maxPart || p.Unpacked <= 0 || p.Unpacked > PartSize {
			return fmt.Errorf("its part %d is %s of %d bytes, %d unpacked; at most %d and %d are possible", i, p.Digest, p.Size, p.Unpacked, maxPart, PartSize)
		}
		sum += p.Unpacked
	}
	if sum != c.File.Size {
		return fmt.Errorf("its parts have %d bytes, and its file %d", sum, c.File.Size)
	}
	return nil
}

// Same reports whether two differ in nothing but the time at which they were
// mirrored. That alone gives no new digest: who pins one would have to follow.
func Same(a, b Config) bool {
	a, b = a.sorted(), b.sorted()
	a.Mirrored, b.Mirrored = time.Time{}, time.Time{}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// SameOrigins reports whether two databases are made of the same downloads, as far as
// their sources told one version of them from another.
func SameOrigins(a, b []Origin) bool {
	return len(a) > 0 && slices.EqualFunc(a, b, func(x, y Origin) bool {
		told := x.Checksum != "" || x.ETag != "" || !x.Modified.IsZero()
		return told && x.Source == y.Source && x.Checksum == y.Checksum && x.ETag == y.ETag && x.Modified.Equal(y.Modified)
	})
}

// sorted returns c as it is stored: names in order, times in UTC.
func (c Config) sorted() Config {
	c.Format = Format
	c.AsOf, c.Mirrored = c.AsOf.UTC(), c.Mirrored.UTC()
	c.Origins = slices.Clone(c.Origins)
	for i := range c.Origins {
		c.Origins[i].Modified = c.Origins[i].Modified.UTC()
	}
	c.Providers, c.Ecosystems = slices.Clone(c.Providers), slices.Clone(c.Ecosystems)
	slices.SortFunc(c.Providers, func(a, b Provider) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Ecosystems, func(a, b Ecosystem) int { return strings.Compare(a.Name, b.Name) })
	for i := range c.Providers {
		c.Providers[i].AsOf = c.Providers[i].AsOf.UTC()
	}
	return c
}
