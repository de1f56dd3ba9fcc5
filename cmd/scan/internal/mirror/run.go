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

// Options say what to mirror, and where to.
type Options struct {
	// From names the source; see the package documentation.
	From string
	// Malware names the source of records of malicious packages, or is empty for none.
	Malware string
	// Ecosystems are the ecosystems, in OSV's names, whose malicious packages Run takes from a URL.
	Ecosystems []string
	// To is the tag of the database.
	To       vulndb.Reference
	Registry fetch.Options
	Now      time.Time
	// Dir is the working directory; empty means the system's temporary directory.
	Dir string
	// MaxDownload bounds a file of a source.
	MaxDownload int64
	// MaxUnreadable is the number of invalid records that Run may leave out.
	MaxUnreadable int
	// AllowSmaller allows a database to replace a larger or newer one.
	AllowSmaller bool
}

// Result is the result of Run.
type Result struct {
	Digest image.Digest
	Config vulndb.Config
	// Changed says whether Run wrote anything.
	Changed bool
	// Notes are for the log: what Run ignored, and what it replaced.
	Notes []string
}

// next is a database that is not written yet.
type next struct {
	// config lacks what only the file tells.
	config vulndb.Config
	// artifact and parts belong to a copy, which must keep its source's digest.
	artifact *vulndb.Artifact
	parts    string
	// unchanged means that the source has nothing new.
	unchanged bool
	notes     []string
}

// run is one run of a mirror.
type run struct {
	Options
	// before is what the tag names; nil if that is not worth keeping.
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
		return Result{}, fmt.Errorf("create a directory for the database: %w", err)
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
			return Result{}, fmt.Errorf("%w; find out why and, if this is expected, pass --allow-smaller", r.left(err))
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

// left adds to err that the existing database stays.
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

// file returns the path at which the source stores the database's file.
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

// previous reads what the tag names now.
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
		return []string{"replaced something that was not a good database: " + e.Error()}, nil
	case vulndb.ReasonFormat:
		return nil, fmt.Errorf("%s is left as it is, because it may be needed; choose another tag, or delete it: %w", r.To, err)
	default:
		return nil, err
	}
}

// collector stores a database's file.
type collector func(context.Context, run) (next, error)

// parseSource finds out what o.From is, and checks the other options.
func parseSource(o Options) (collector, error) {
	switch {
	case o.To.Tag() == "":
		return nil, errors.New("the database needs a tag to be written to, and --to has none")
	case o.MaxDownload <= 0 || o.MaxUnreadable < 0:
		return nil, errors.New("--max-download must be positive, and --max-unreadable must not be negative")
	case o.Malware != "" && !isPath(o.Malware) && !isURL(o.Malware):
		return nil, fmt.Errorf("the source of malicious packages %.300q is neither a directory (/path or ./path) nor a URL", o.Malware)
	case isURL(o.Malware) && len(o.Ecosystems) == 0:
		return nil, errors.New("a URL does not show which ecosystems have malicious packages; name some with --malware-ecosystems")
	case isPath(o.From):
		return fromDirectory, nil
	case isURL(o.From):
		return fromListing, nil
	case o.Malware != "":
		return nil, errors.New("a mirror of another mirror keeps its digest, so nothing can be added; leave out --malware")
	}
	if _, err := vulndb.ParseReference(o.From); err != nil {
		return nil, fmt.Errorf("the source is not a directory (/path or ./path), a URL or a mirror: %w", err)
	}
	return fromMirror, nil
}

func isPath(s string) bool {
	return strings.HasPrefix(s, "/") || s == "." || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../")
}

func isURL(s string) bool { return strings.Contains(s, "://") }

// fromMirror uses another mirror's database unchanged.
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

// of adds a subject to an error that has none.
func of(err error, subject string) error {
	var e *oci.Error
	if errors.As(err, &e) && e.Subject == "" {
		return &oci.Error{Reason: e.Reason, Subject: subject, Err: e.Err}
	}
	return oci.Within(err, subject)
}
