package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/osv"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// Options say what is mirrored, and where to.
type Options struct {
	// From names the source; see the package's documentation.
	From string
	// To is the database's tag.
	To vulndb.Reference
	// Ecosystems chooses them, as OSV names them without a release. A URL needs some,
	// a directory has all if there are none, and a mirror is copied whole.
	Ecosystems []string
	Registry   fetch.Options
	Now        time.Time
	// Dir is where downloads are stored meanwhile; empty for the system's.
	Dir string
	// MaxDownload bounds a file of a source.
	MaxDownload int64
	// MaxUnreadable is how many records of an ecosystem may be none.
	MaxUnreadable int
	// AllowSmaller lets a database take the place of a larger or newer one.
	AllowSmaller bool
}

// Result is what Run did.
type Result struct {
	Digest image.Digest
	Config vulndb.Config
	// Changed is whether anything was written.
	Changed bool
	// Kept are ecosystems whose file had not changed.
	Kept []string
	// Notes are for the log: what was ignored, and what was in the place.
	Notes []string
}

// next is a database before it is written.
type next struct {
	artifact vulndb.Artifact
	layers   map[string]io.ReaderAt // by ecosystem
	kept     []string
	notes    []string
	// exact is of a copy, whose digest must be its source's.
	exact bool
}

// Run mirrors once.
func Run(ctx context.Context, o Options) (Result, error) {
	source, err := parseSource(o)
	if err != nil {
		return Result{}, err
	}
	dir, err := os.MkdirTemp(o.Dir, "revet-mirror-")
	if err != nil {
		return Result{}, fmt.Errorf("make a place for downloads: %w", err)
	}
	defer os.RemoveAll(dir)
	o.Dir = dir
	before, note, err := previous(ctx, o)
	if err != nil {
		return Result{}, err
	}
	made, done, err := source(ctx, o, before)
	if err != nil {
		return Result{}, err
	}
	defer done()
	out := Result{Digest: made.artifact.Digest, Config: made.artifact.Config, Kept: made.kept, Notes: append(note, made.notes...)}
	if before != nil {
		if !o.AllowSmaller {
			if err := guard(before.Config, made.artifact.Config); err != nil {
				return Result{}, fmt.Errorf("the database %s is left as it is: %w; if that is meant, give --allow-smaller", o.To, err)
			}
		}
		if before.Digest == made.artifact.Digest || !made.exact && same(before.Config, made.artifact.Config) {
			out.Digest, out.Config = before.Digest, before.Config
			return out, nil
		}
	}
	if err := push(ctx, o, made); err != nil {
		return Result{}, err
	}
	out.Changed = true
	return out, nil
}

// previous looks at what the tag names now; nil if that is nothing, or nothing that
// is worth keeping.
func previous(ctx context.Context, o Options) (*vulndb.Artifact, []string, error) {
	a, err := vulndb.Inspect(ctx, o.To, o.Registry)
	var e *content.Error
	switch {
	case err == nil:
		return &a, nil, nil
	case !errors.As(err, &e):
		return nil, nil, err
	}
	switch e.Reason {
	case vulndb.ReasonMissing:
		return nil, nil, nil
	case vulndb.ReasonBroken, vulndb.ReasonTampered, vulndb.ReasonEmpty:
		return nil, []string{"replaced is what was no good database: " + e.Error()}, nil
	case vulndb.ReasonFormat:
		return nil, nil, fmt.Errorf("%s is left as it is, as it may be needed; choose another tag, or delete it: %w", o.To, err)
	default:
		return nil, nil, err
	}
}

// guard reports an error if after has lost what before has.
func guard(before, after vulndb.Config) error {
	for _, b := range before.Ecosystems {
		a, ok := after.Ecosystem(b.Name)
		switch {
		case !ok:
			return fmt.Errorf("the new one has no records of %s, of which the old one has %d", b.Name, b.Records)
		case 4*a.Records < 3*b.Records:
			return fmt.Errorf("the new one has %d records of %s, and the old one %d", a.Records, b.Name, b.Records)
		}
	}
	if after.AsOf.Before(before.AsOf) {
		return fmt.Errorf("the new one is of %s, and the old one of %s", after.AsOf.Format(time.RFC3339), before.AsOf.Format(time.RFC3339))
	}
	return nil
}

// same reports whether two differ in nothing but the time at which they were
// mirrored. That alone gives no new digest: who pins one would have to follow.
func same(a, b vulndb.Config) bool {
	return a.Source == b.Source && a.AsOf.Equal(b.AsOf) &&
		slices.EqualFunc(a.Ecosystems, b.Ecosystems, func(a, b vulndb.Ecosystem) bool {
			return a.Digest == b.Digest && a.Unreadable == b.Unreadable && a.Origin.ETag == b.Origin.ETag && a.Origin.Modified.Equal(b.Origin.Modified)
		})
}

// collector makes a database of what a source has.
type collector func(ctx context.Context, o Options, before *vulndb.Artifact) (next, func(), error)

// parseSource finds out what o.From is, and whether the rest fits.
func parseSource(o Options) (collector, error) {
	switch {
	case o.To.Tag() == "":
		return nil, errors.New("the database is written under a tag, and --to names none")
	case o.MaxDownload <= 0 || o.MaxUnreadable < 0:
		return nil, errors.New("--max-download must be positive, and --max-unreadable not negative")
	}
	for _, e := range o.Ecosystems {
		if err := osv.CheckBase(e); err != nil {
			return nil, fmt.Errorf("ecosystem %w", err)
		}
	}
	switch {
	case strings.HasPrefix(o.From, "/"), o.From == ".", strings.HasPrefix(o.From, "./"), strings.HasPrefix(o.From, "../"):
		return fromDirectory, nil
	case strings.Contains(o.From, "://"):
		if len(o.Ecosystems) == 0 {
			return nil, errors.New("a URL does not tell which ecosystems there are; name some by --ecosystems")
		}
		return fromURL, nil
	default:
		if len(o.Ecosystems) > 0 {
			return nil, errors.New("another mirror is copied whole, so that its digest stays; leave --ecosystems out")
		}
		if _, err := vulndb.ParseReference(o.From); err != nil {
			return nil, fmt.Errorf("the source is no directory (/path or ./path), no URL, and no mirror: %w", err)
		}
		return fromMirror, nil
	}
}
