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
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/osv"
)

// Format is the version of the format that this package reads and writes.
const Format = 1

// Config says what is in a database.
type Config struct {
	Format int `json:"format"`
	// Source is where the records were mirrored from.
	Source string `json:"source"`
	// AsOf is when the source was current, by its newest record or its own date.
	AsOf time.Time `json:"asOf"`
	// Mirrored is when the records were taken from the source.
	Mirrored time.Time `json:"mirrored"`
	// Ecosystems are sorted by name; each has a layer, in the same order.
	Ecosystems []Ecosystem `json:"ecosystems"`
}

// Ecosystem says what one layer holds.
type Ecosystem struct {
	// Name is without a release: "Debian".
	Name string `json:"name"`
	// Records is how many there are, and Packages how many names they tell of.
	Records  int `json:"records"`
	Packages int `json:"packages"`
	// Unreadable is how many records of the source were left out, as they are none.
	Unreadable int `json:"unreadable,omitempty"`
	// Modified is the time of the newest record.
	Modified time.Time `json:"modified"`
	// Digest and Size are the layer's.
	Digest image.Digest `json:"digest"`
	Size   int64        `json:"size"`
	// Origin is what the source said of what it is from.
	Origin Origin `json:"origin,omitzero"`
}

// Origin is what a source says of a file of records.
type Origin struct {
	// ETag lets the next mirror ask for what is newer only.
	ETag string `json:"etag,omitempty"`
	// Modified is the source's own date.
	Modified time.Time `json:"modified,omitzero"`
}

// Newest returns when the newest of all was modified, by its records or by its
// source's own date: what AsOf is.
func Newest(all []Ecosystem) time.Time {
	var newest time.Time
	for _, e := range all {
		for _, t := range []time.Time{e.Modified, e.Origin.Modified} {
			if t.After(newest) {
				newest = t
			}
		}
	}
	return newest
}

// Records counts all records.
func (c Config) Records() int {
	n := 0
	for _, e := range c.Ecosystems {
		n += e.Records
	}
	return n
}

// Names are those of the ecosystems.
func (c Config) Names() []string {
	var all []string
	for _, e := range c.Ecosystems {
		all = append(all, e.Name)
	}
	return all
}

// Ecosystem returns what is said of the ecosystem of that name.
func (c Config) Ecosystem(name string) (Ecosystem, bool) {
	for _, e := range c.Ecosystems {
		if e.Name == name {
			return e, true
		}
	}
	return Ecosystem{}, false
}

// decodeConfig reads a config and checks all that it says by itself.
func decodeConfig(raw []byte) (Config, error) {
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(raw, &version); err != nil {
		return Config{}, content.Errorf(ReasonBroken, "", "its config cannot be read: %w; %s", err, cureBroken)
	}
	if version.Format != Format {
		return Config{}, content.Errorf(ReasonFormat, "", "it has the format %d, and this version reads %d; %s", version.Format, Format, cureFormat)
	}
	var c Config
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return Config{}, content.Errorf(ReasonBroken, "", "its config cannot be read: %w; %s", err, cureBroken)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Config{}, content.Errorf(ReasonBroken, "", "there is more after its config; %s", cureBroken)
	}
	if c.Records() == 0 {
		return Config{}, content.Errorf(ReasonEmpty, "", "it holds no record; %s", cureEmpty)
	}
	if err := c.check(); err != nil {
		return Config{}, content.Errorf(ReasonBroken, "", "its config contradicts itself: %w; %s", err, cureBroken)
	}
	return c, nil
}

func (c Config) check() error {
	var size int64
	switch {
	case len(c.Ecosystems) > maxEcosystems:
		return fmt.Errorf("it names %d ecosystems, more than %d", len(c.Ecosystems), maxEcosystems)
	case c.AsOf.IsZero() || c.Mirrored.IsZero():
		return errors.New("it does not say how old it is")
	case !c.AsOf.Equal(Newest(c.Ecosystems)):
		return fmt.Errorf("it says that it is of %s, and its ecosystems say %s", c.AsOf.Format(time.RFC3339), Newest(c.Ecosystems).Format(time.RFC3339))
	case c.AsOf.After(c.Mirrored):
		return fmt.Errorf("it is of %s and was mirrored before, at %s", c.AsOf.Format(time.RFC3339), c.Mirrored.Format(time.RFC3339))
	case !slices.IsSortedFunc(c.Ecosystems, func(a, b Ecosystem) int { return strings.Compare(a.Name, b.Name) }):
		return errors.New("its ecosystems are not sorted")
	}
	for i, e := range c.Ecosystems {
		if err := e.check(); err != nil {
			return fmt.Errorf("ecosystem %.80q: %w", e.Name, err)
		}
		if i > 0 && c.Ecosystems[i-1].Name == e.Name {
			return fmt.Errorf("ecosystem %q is there twice", e.Name)
		}
		if size += e.Size; size > MaxDatabase {
			return fmt.Errorf("its layers have more than %d bytes", int64(MaxDatabase))
		}
	}
	return nil
}

func (e Ecosystem) check() error {
	if err := osv.CheckBase(e.Name); err != nil {
		return err
	}
	switch {
	case e.Records <= 0 || e.Records > MaxRecords:
		return fmt.Errorf("it has %d records; 1 to %d are possible", e.Records, MaxRecords)
	case e.Modified.IsZero():
		return errors.New("no record of it says when it was modified")
	case e.Packages <= 0 || e.Unreadable < 0:
		return fmt.Errorf("it has %d packages, and %d unreadable records", e.Packages, e.Unreadable)
	case e.Digest.IsZero() || e.Size <= 0 || e.Size > MaxLayer:
		return fmt.Errorf("its layer is %s of %d bytes; at most %d are possible", e.Digest, e.Size, int64(MaxLayer))
	}
	return nil
}
