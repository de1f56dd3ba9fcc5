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

// Config describes the contents of a database.
type Config struct {
	Format int `json:"format"`
	// Schema is the version of the schema of the file, as MODEL.REVISION.ADDITION.
	Schema string `json:"schema"`
	// Indexed is the schema version of the library that built the file's indices.
	Indexed string `json:"indexed"`
	// Source is the place that the records were mirrored from.
	Source string `json:"source"`
	// AsOf is the time at which the records were built, according to their source.
	AsOf time.Time `json:"asOf"`
	// Mirrored is the time at which the mirror took the records from the source.
	Mirrored time.Time `json:"mirrored"`
	// Origins identify the downloads, in the words of their sources.
	Origins []Origin `json:"origins,omitempty"`
	// Providers are the sources of the records. Ecosystems are the kinds of packages that the
	// records name. Both are sorted by name.
	Providers  []Provider  `json:"providers"`
	Ecosystems []Ecosystem `json:"ecosystems"`
	// File is the file that the parts add up to. Parts are in order.
	File  File   `json:"file"`
	Parts []Part `json:"parts"`
}

// Origin identifies one download, in the words of its source.
type Origin struct {
	// Source is the URL.
	Source string `json:"source"`
	// Checksum, ETag and Modified tell one version of the download from another.
	Checksum string    `json:"checksum,omitempty"`
	ETag     string    `json:"etag,omitempty"`
	Modified time.Time `json:"modified,omitzero"`
}

// Provider is a source of records in a database.
type Provider struct {
	Name string `json:"name"`
	// Records is the number of vulnerabilities it reports.
	Records int `json:"records"`
	// AsOf is the time at which its records were captured, if it says so.
	AsOf time.Time `json:"asOf,omitzero"`
}

// Ecosystem is a kind of packages, under the scanner's name for it.
type Ecosystem struct {
	Name string `json:"name"`
	// Records is the number of statements about packages.
	Records int `json:"records"`
}

// File is the database's file.
type File struct {
	Digest image.Digest `json:"digest"`
	Size   int64        `json:"size"`
}

// Part is one compressed part of the file.
type Part struct {
	Digest image.Digest `json:"digest"`
	Size   int64        `json:"size"`
	// Unpacked is the size in bytes of this part before compression.
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

// skew is the clock difference that Revet tolerates.
const skew = 10 * time.Minute

// CheckAge returns an error if the data is older than most, or from the future. A most of zero
// accepts any age.
func (c Config) CheckAge(most time.Duration, now time.Time) error {
	age := now.Sub(c.AsOf)
	switch {
	case age < -skew:
		// Data from the future would never become too old.
		return oci.Errorf(ReasonBroken, "", "it claims to be of %s, which is in the future; %s", c.AsOf.UTC().Format(time.RFC3339), CureBroken)
	case most > 0 && age > most:
		return oci.Errorf(ReasonTooOld, "", "its data is from %s and %s old; the limit is %s; %s",
			c.AsOf.UTC().Format(time.RFC3339), age.Round(time.Minute), most, cureTooOld)
	}
	return nil
}

// decodeConfig reads a config and checks everything that needs nothing but the config.
func decodeConfig(raw []byte) (Config, error) {
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(raw, &version); err != nil {
		return Config{}, oci.Errorf(ReasonBroken, "", "cannot read its config: %w; %s", err, CureBroken)
	}
	if version.Format != Format {
		return Config{}, oci.Errorf(ReasonFormat, "", "its format is %d, but this version of Revet reads %d; %s", version.Format, Format, cureFormat)
	}
	var c Config
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return Config{}, oci.Errorf(ReasonBroken, "", "cannot read its config: %w; %s", err, CureBroken)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Config{}, oci.Errorf(ReasonBroken, "", "more data follows its config; %s", CureBroken)
	}
	if err := c.check(); err != nil {
		return Config{}, oci.Errorf(ReasonBroken, "", "its config contradicts itself: %w; %s", err, CureBroken)
	}
	// Each count is between 0 and MaxRecords, so the sum cannot overflow.
	if c.Records() == 0 {
		return Config{}, oci.Errorf(ReasonEmpty, "", "it holds no records; %s", cureEmpty)
	}
	return c, nil
}

func (c Config) check() error {
	switch {
	case c.Schema == "" || len(c.Schema) > maxName || c.Indexed == "" || len(c.Indexed) > maxName:
		return fmt.Errorf("its schema is %.80q, indexed by %.80q", c.Schema, c.Indexed)
	case c.AsOf.IsZero() || c.Mirrored.IsZero():
		return errors.New("it does not give its age")
	case c.AsOf.After(c.Mirrored.Add(skew)):
		return fmt.Errorf("its data is from %s, later than its mirroring at %s", c.AsOf.Format(time.RFC3339), c.Mirrored.Format(time.RFC3339))
	case len(c.Origins) > maxNames:
		return fmt.Errorf("it names %d origins; the limit is %d", len(c.Origins), maxNames)
	}
	if err := checkNames("providers", c.Providers, func(p Provider) (string, int) { return p.Name, p.Records }); err != nil {
		return err
	}
	if err := checkNames("ecosystems", c.Ecosystems, func(e Ecosystem) (string, int) { return e.Name, e.Records }); err != nil {
		return err
	}
	return c.checkParts()
}

// checkNames returns an error unless the names are sorted and unique, and their counts are
// possible.
func checkNames[T any](what string, all []T, of func(T) (string, int)) error {
	if len(all) > maxNames {
		return fmt.Errorf("it names %d %s; the limit is %d", len(all), what, maxNames)
	}
	last := ""
	for i, x := range all {
		name, records := of(x)
		switch {
		case len(name) > maxName, records < 0, records > MaxRecords:
			return fmt.Errorf("it claims %d records for the %s %.80q; the limit is %d", records, what, name, MaxRecords)
		case i > 0 && name <= last:
			return fmt.Errorf("its %s are not sorted and unique", what)
		}
		last = name
	}
	return nil
}

func (c Config) checkParts() error {
	switch {
	case c.File.Digest.IsZero() || c.File.Size <= 0 || c.File.Size > MaxFile:
		return fmt.Errorf("its file is %s of %d bytes; the limit is %d", c.File.Digest, c.File.Size, int64(MaxFile))
	case len(c.Parts) == 0 || len(c.Parts) > maxParts:
		return fmt.Errorf("its file has %d parts; write 1 to %d", len(c.Parts), maxParts)
	}
	var sum int64
	for i, p := range c.Parts {
		if p.Digest.IsZero() || p.Size <= 0 || p.Size > maxPart || p.Unpacked <= 0 || p.Unpacked > PartSize {
			return fmt.Errorf("its part %d is %s of %d bytes, %d unpacked; the limits are %d and %d", i, p.Digest, p.Size, p.Unpacked, maxPart, PartSize)
		}
		sum += p.Unpacked
	}
	if sum != c.File.Size {
		return fmt.Errorf("its parts add up to %d bytes, but its file has %d", sum, c.File.Size)
	}
	return nil
}

// Same reports whether two configs differ in nothing but the mirroring time. A new mirroring time
// alone does not justify a new digest, because everyone who pins the digest would have to follow
// it.
func Same(a, b Config) bool {
	a, b = a.sorted(), b.sorted()
	a.Mirrored, b.Mirrored = time.Time{}, time.Time{}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// SameOrigins reports whether two databases come from the same versions of the same downloads, as
// far as the sources identify versions.
func SameOrigins(a, b []Origin) bool {
	return len(a) > 0 && slices.EqualFunc(a, b, func(x, y Origin) bool {
		told := x.Checksum != "" || x.ETag != "" || !x.Modified.IsZero()
		return told && x.Source == y.Source && x.Checksum == y.Checksum && x.ETag == y.ETag && x.Modified.Equal(y.Modified)
	})
}

// sorted returns c in its stored form: names in order, times in UTC.
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
