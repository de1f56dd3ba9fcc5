package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// site is a base URL.
type site struct {
	base   *url.URL
	client *http.Client
}

func newSite(base string, o Options) (site, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return site{}, fmt.Errorf("the source %.300q is not an https URL", base)
	}
	// The database's config would show a password to everyone.
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return site{}, fmt.Errorf("the source %s must have no user, query or fragment", u.Redacted())
	}
	return site{u, fetch.Client(u.Host, o.Registry)}, nil
}

// get requests something below the base URL, unless it has not changed.
func (s site) get(ctx context.Context, before vulndb.Origin, elements ...string) (*http.Response, error) {
	at := s.base.JoinPath(elements...)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	asked := true
	switch {
	case before.ETag != "":
		req.Header.Set("If-None-Match", before.ETag)
	case !before.Modified.IsZero():
		req.Header.Set("If-Modified-Since", before.Modified.UTC().Format(http.TimeFormat))
	default:
		asked = false
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fetch.Classify("source "+at.String(), err)
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNotModified && asked {
		return resp, nil
	}
	_ = resp.Body.Close() // the status is the error
	return nil, oci.Errorf(statusReason(resp.StatusCode), "source "+at.String(), "it answered %s", resp.Status)
}

// store writes what a source sends to a file.
func store(path string, resp *http.Response, most int64) error {
	subject := "source " + resp.Request.URL.Redacted()
	tooLarge := oci.Errorf(oci.ReasonTooLarge, subject, "it is larger than %d bytes; if that is expected, raise --max-download", most)
	if resp.ContentLength > most {
		return tooLarge
	}
	f, err := os.Create(path) //nolint:gosec // the name is built here
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

// originOf returns the source's description of its file. A weak ETag is enough, because it
// identifies the same records.
func originOf(source string, resp *http.Response) vulndb.Origin {
	const longest = 200
	o := vulndb.Origin{Source: source}
	if tag := resp.Header.Get("ETag"); len(tag) <= longest {
		o.ETag = tag
	}
	if t, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil {
		o.Modified = t.UTC().Truncate(time.Second)
	}
	return o
}

func statusReason(code int) oci.Reason {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return oci.ReasonDenied
	case http.StatusNotFound, http.StatusGone:
		return oci.ReasonMissing
	default:
		return oci.ReasonUnavailable
	}
}
