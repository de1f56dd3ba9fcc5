package mirror

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"

	"github.com/revet-dev/revet/cmd/scan/internal/database"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// Options say what is mirrored, and where to.
type Options struct {
	// From names the source; see the package's documentation.
	From string
	// Malware names the source of records of malicious packages; empty for none.
	Malware string
	// Ecosystems are those whose malicious packages are taken from a URL, as OSV names
	// them.
	Ecosystems []string
	// To is the database's tag.
	To       vulndb.Reference
	Registry fetch.Options
	Now      time.Time
	// Dir is where everything is stored meanwhile; empty for the system's.
	Dir string
	// MaxDownload bounds a file of a source.
	MaxDownload int64
	// MaxUnreadable is how many records may be none.
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
	// Notes are for the log: what was ignored, and what was in the place.
	Notes []string
}

// next is a database before it is written.
type next struct {
	// config lacks what the file tells.
	config vulndb.Config
	// artifact and parts are of a copy, whose digest must be its source's.
	artifact *vulndb.Artifact
	parts    string
	// unchanged is of a source that has nothing new.
	unchanged bool
	notes     []string
}

// run is one run of a mirror.
type run struct {
	Options
	// before is what the tag names; nil for nothing that is worth keeping.
	before *vulndb.Artifact
}

// Run mirrors once.
func Run(ctx context.Context, o Options) (Result, error) {
	source, err := parseSource(o)
	if err != nil {
		return Result{}, err
	}
	dir, err := os.MkdirTemp(o.Dir, "revet-mirror-")
	if err != nil {
		return Result{}, fmt.Errorf("make a place for the database: %w", err)
	}
	defer os.RemoveAll(dir)
	o.Dir = dir
	r := run{Options: o}
	note, err := r.previous(ctx)
	if err != nil {
		return Result{}, err
	}
	made, err := source(ctx, r)
	if err != nil {
		return Result{}, r.left(err)
	}
	out := Result{Notes: append(note, made.notes...)}
	if made.unchanged {
		out.Digest, out.Config = r.before.Digest, r.before.Config
		return out, nil
	}
	a, parts, err := r.ready(ctx, made)
	if err != nil {
		return Result{}, r.left(err)
	}
	out.Digest, out.Config = a.Digest, a.Config
	if r.before != nil {
		if err := vulndb.Guard(r.before.Config, a.Config); err != nil && !o.AllowSmaller {
			return Result{}, fmt.Errorf("%w; look why, and if that is meant, give --allow-smaller", r.left(err))
		}
		if r.before.Digest == a.Digest || made.artifact == nil && vulndb.Same(r.before.Config, a.Config) {
			out.Digest, out.Config = r.before.Digest, r.before.Config
			return out, nil
		}
	}
	if err := vulndb.Push(ctx, o.To, a, parts, o.Registry); err != nil {
		return Result{}, err
	}
	out.Changed = true
	return out, nil
}

// left says that what is there stays.
func (r run) left(err error) error {
	if r.before == nil {
		return err
	}
	var e *oci.Error
	if errors.As(err, &e) {
		return &oci.Error{Reason: e.Reason, Subject: e.Subject, Err: fmt.Errorf("%w (the database %s, of %s, is left as it is)",
			e.Err, r.To, r.before.Config.AsOf.Format(time.RFC3339))}
	}
	return fmt.Errorf("the database %s, of %s, is left as it is: %w", r.To, r.before.Config.AsOf.Format(time.RFC3339), err)
}

// file is where the source puts the database's file.
func (r run) file() string { return filepath.Join(r.Dir, v6.VulnerabilityDBFileName) }

// ready loads the database as a scan would, and packs it.
func (r run) ready(ctx context.Context, made next) (vulndb.Artifact, string, error) {
	if err := database.Check(ctx, r.file()); err != nil {
		return vulndb.Artifact{}, "", of(err, "source "+r.From)
	}
	if made.artifact != nil {
		return *made.artifact, made.parts, nil
	}
	c := made.config
	f, err := database.OpenFile(r.file())
	if err != nil {
		return vulndb.Artifact{}, "", err
	}
	c.Schema, c.Indexed, c.AsOf, c.Mirrored = f.Schema.String(), database.Library.String(), f.Built, r.Now
	if err := f.Close(); err != nil {
		return vulndb.Artifact{}, "", err
	}
	if err := c.CheckAge(0, r.Now); err != nil {
		return vulndb.Artifact{}, "", of(err, "source "+r.From)
	}
	if c.Providers, c.Ecosystems, err = database.Describe(ctx, r.file()); err != nil {
		return vulndb.Artifact{}, "", err
	}
	stored, err := vulndb.Compress(ctx, r.file(), r.Dir)
	if err != nil {
		return vulndb.Artifact{}, "", err
	}
	c.File, c.Parts = stored.File, stored.Parts
	a, err := vulndb.Pack(c)
	if err != nil {
		return vulndb.Artifact{}, "", of(err, "source "+r.From)
	}
	return a, stored.Dir, nil
}

// previous looks at what the tag names now.
func (r *run) previous(ctx context.Context) ([]string, error) {
	a, err := vulndb.Inspect(ctx, r.To, r.Registry)
	var e *oci.Error
	switch {
	case err == nil:
		r.before = &a
		return nil, nil
	case !errors.As(err, &e):
		return nil, err
	}
	switch e.Reason {
	case vulndb.ReasonMissing:
		return nil, nil
	case vulndb.ReasonBroken, vulndb.ReasonTampered, vulndb.ReasonEmpty:
		return []string{"replaced is what was no good database: " + e.Error()}, nil
	case vulndb.ReasonFormat:
		return nil, fmt.Errorf("%s is left as it is, as it may be needed; choose another tag, or delete it: %w", r.To, err)
	default:
		return nil, err
	}
}

// collector puts a database's file in its place.
type collector func(context.Context, run) (next, error)

// parseSource finds out what o.From is, and whether the rest fits.
func parseSource(o Options) (collector, error) {
	switch {
	case o.To.Tag() == "":
		return nil, errors.New("the database is written under a tag, and --to names none")
	case o.MaxDownload <= 0 || o.MaxUnreadable < 0:
		return nil, errors.New("--max-download must be positive, and --max-unreadable not negative")
	case o.Malware != "" && !isPath(o.Malware) && !isURL(o.Malware):
		return nil, fmt.Errorf("the source of malicious packages %.300q is no directory (/path or ./path) and no URL", o.Malware)
	case isURL(o.Malware) && len(o.Ecosystems) == 0:
		return nil, errors.New("a URL does not tell which ecosystems have malicious packages; name some by --malware-ecosystems")
	case isPath(o.From):
		return fromDirectory, nil
	case isURL(o.From):
		return fromListing, nil
	case o.Malware != "":
		return nil, errors.New("another mirror is copied as it is, so that its digest stays; leave --malware out")
	}
	if _, err := vulndb.ParseReference(o.From); err != nil {
		return nil, fmt.Errorf("the source is no directory (/path or ./path), no URL, and no mirror: %w", err)
	}
	return fromMirror, nil
}

func isPath(s string) bool {
	return strings.HasPrefix(s, "/") || s == "." || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../")
}

func isURL(s string) bool { return strings.Contains(s, "://") }

// fromMirror takes another mirror's database as it is.
func fromMirror(ctx context.Context, r run) (next, error) {
	ref, err := vulndb.ParseReference(r.From)
	if err != nil {
		return next{}, err
	}
	if r.before != nil {
		a, err := vulndb.Inspect(ctx, ref, r.Registry)
		if err != nil {
			return next{}, err
		}
		if a.Digest == r.before.Digest {
			return next{unchanged: true}, nil
		}
	}
	a, err := vulndb.Pull(ctx, ref, vulndb.Options{Registry: r.Registry, Now: r.Now, Accept: database.Accept, Parts: r.Dir}, r.file())
	if err != nil {
		return next{}, err
	}
	return next{artifact: &a, parts: r.Dir}, database.Agrees(r.file(), a.Config)
}

// of says what an error is about, if it does not say.
func of(err error, subject string) error {
	var e *oci.Error
	if errors.As(err, &e) && e.Subject == "" {
		return &oci.Error{Reason: e.Reason, Subject: subject, Err: e.Err}
	}
	return oci.Within(err, subject)
}
