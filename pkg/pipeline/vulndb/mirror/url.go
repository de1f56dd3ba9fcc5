package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// fromURL downloads BASE/ECOSYSTEM/all.zip.
func fromURL(ctx context.Context, o Options, before *vulndb.Artifact) (next, func(), error) {
	base, err := url.Parse(o.From)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return next{}, nil, fmt.Errorf("the source %.300q is not an https URL", o.From)
	}
	// A password would be in the database's config, for all to read.
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return next{}, nil, fmt.Errorf("the source %s must have no user, query or fragment", base.Redacted())
	}
	b := newBuilder(o, base.String())
	d := downloads{client: fetch.Client(base.Host, o.Registry), base: base, builder: b}
	// Only what came from the same source can be what it did not change.
	if before != nil && before.Config.Source == b.source {
		d.before = before.Config
	}
	made, err := d.all(ctx)
	if err != nil {
		b.close()
		return next{}, nil, err
	}
	return made, b.close, nil
}

type downloads struct {
	client  *http.Client
	base    *url.URL
	builder *builder
	before  vulndb.Config
}

func (d *downloads) all(ctx context.Context) (next, error) {
	for i, name := range d.builder.o.Ecosystems {
		if d.builder.layers[name] != nil {
			continue // named twice
		}
		before, layer := d.kept(ctx, name)
		unchanged, err := d.one(ctx, i, name, before.Origin)
		switch {
		case err != nil:
			return next{}, err
		case unchanged:
			d.builder.put(before, layer)
			d.builder.kept = append(d.builder.kept, name)
		}
	}
	return d.builder.finish()
}

// kept returns what the database under the tag has of an ecosystem, if it can be
// taken over: the source said something to ask by, and the layer is what it was.
func (d *downloads) kept(ctx context.Context, name string) (vulndb.Ecosystem, io.ReaderAt) {
	o := d.builder.o
	before, ok := d.before.Ecosystem(name)
	if !ok || before.Origin == (vulndb.Origin{}) || before.Unreadable > o.MaxUnreadable {
		return vulndb.Ecosystem{}, nil
	}
	db, err := vulndb.Open(ctx, o.To.String(), vulndb.Options{
		Registry: o.Registry, AnyAge: true, Dir: o.Dir, Only: func(other string) bool { return other == name },
	})
	if err == nil {
		d.builder.files = append(d.builder.files, db)
		if now, _ := db.Config().Ecosystem(name); now != before {
			err = errors.New("somebody else wrote the database meanwhile")
		}
	}
	if err != nil {
		d.builder.notes = append(d.builder.notes, fmt.Sprintf("not taken over: %s of the database that is there: %v", name, err))
		return vulndb.Ecosystem{}, nil
	}
	return before, db.Layer(name)
}

// one downloads the records of an ecosystem, unless they are what they were.
func (d *downloads) one(ctx context.Context, n int, ecosystem string, before vulndb.Origin) (unchanged bool, err error) {
	at := d.base.JoinPath(url.PathEscape(ecosystem), archiveName)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return false, err
	}
	if before.ETag != "" {
		req.Header.Set("If-None-Match", before.ETag)
	} else if !before.Modified.IsZero() {
		req.Header.Set("If-Modified-Since", before.Modified.UTC().Format(http.TimeFormat))
	}
	subject := "source " + at.String()
	resp, err := d.client.Do(req)
	if err != nil {
		return false, fetch.Classify(subject, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		if before != (vulndb.Origin{}) {
			return true, nil
		}
		fallthrough
	default:
		return false, content.Errorf(statusReason(resp.StatusCode), subject, "it answered %s; is %q the name of an ecosystem, as OSV writes it?", resp.Status, ecosystem)
	}
	path := filepath.Join(d.builder.o.Dir, fmt.Sprintf("download-%d.zip", n))
	if err := store(path, resp, d.builder.o.MaxDownload, subject); err != nil {
		return false, err
	}
	defer os.Remove(path) // the folder is removed anyway; this keeps it small
	a, err := openArchive(path)
	if err != nil {
		return false, content.Errorf(vulndb.ReasonBroken, subject, "what it sent is no zip file: %w", err)
	}
	defer a.Close()
	a.path = at.String()
	return false, d.builder.add(ctx, ecosystem, a, originOf(resp))
}

// store writes what a source sends to a file.
func store(path string, resp *http.Response, most int64, subject string) error {
	tooLarge := content.Errorf(content.ReasonTooLarge, subject, "it has more than %d bytes; if that is meant, raise --max-download", most)
	if resp.ContentLength > most {
		return tooLarge
	}
	f, err := os.Create(path) //nolint:gosec // the name is made here
	if err != nil {
		return fmt.Errorf("store a download: %w", err)
	}
	n, err := io.Copy(f, io.LimitReader(resp.Body, most+1))
	closeErr := f.Close()
	switch pathError := (*os.PathError)(nil); {
	case errors.As(err, &pathError), closeErr != nil:
		return fmt.Errorf("store a download: %w", errors.Join(err, closeErr))
	case err != nil:
		return fetch.Classify(subject, err)
	case n > most:
		return tooLarge
	}
	return nil
}

// originOf is what the source says of its file. A weak ETag will do: it is of the
// same records.
func originOf(resp *http.Response) vulndb.Origin {
	const longest = 200
	var o vulndb.Origin
	if tag := resp.Header.Get("ETag"); len(tag) <= longest {
		o.ETag = tag
	}
	if t, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil {
		o.Modified = t.UTC().Truncate(time.Second)
	}
	return o
}

func statusReason(code int) content.Reason {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return content.ReasonDenied
	case http.StatusNotFound, http.StatusGone:
		return content.ReasonMissing
	default:
		return content.ReasonUnavailable
	}
}
