package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// How often content is asked for again whose transfer broke off.
const (
	maxResumes  = 32 // for one content
	maxStuck    = 3  // without a further byte
	maxRestarts = 3  // from its first byte, where the registry knows no ranges
)

// resumed reads one content over as many connections as it takes. Whether the
// parts fit, only the digest of the whole says, which its reader recomputes.
type resumed struct {
	ctx      context.Context
	registry *Registry
	what     resource
	size     int64 // -1 where it is not known

	body io.ReadCloser // nil: to be opened
	end  int64         // where the registry says that the content ends; -1 if it does not
	at   int64         // bytes that were given to the reader

	resumes, stuck, restarts int
}

// openResumed opens what, so that the first error of a registry is an error here.
func openResumed(ctx context.Context, r *Registry, what resource, size int64) (*resumed, error) {
	b := &resumed{ctx: ctx, registry: r, what: what, size: size}
	return b, b.open()
}

// Read implements io.Reader.
func (b *resumed) Read(p []byte) (int, error) {
	n, err := b.read(p)
	return n, explain(b.ctx, err)
}

func (b *resumed) read(p []byte) (int, error) {
	for len(p) > 0 {
		if b.body == nil {
			if err := b.open(); err != nil {
				return 0, err
			}
		}
		n, err := b.body.Read(p)
		if n > 0 {
			b.at += int64(n)
			b.stuck = 0
		}
		ended := errors.Is(err, io.EOF)
		switch {
		case err == nil, ended && b.complete():
			return n, err
		case !ended && !passing(err):
			return n, err
		}
		b.close()
		if err := b.pause(err); err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, nil
}

// complete reports whether an answer that ended was the end of the content, too. A
// connection that is closed early looks the same where no length was announced.
func (b *resumed) complete() bool {
	if b.end >= 0 {
		return b.at >= b.end
	}
	return b.at >= b.size
}

// pause waits before what broke off is asked for again, and returns why it is not.
func (b *resumed) pause(cause error) error {
	b.resumes++
	b.stuck++
	if b.resumes > maxResumes || b.stuck > maxStuck {
		var typed *oci.Error
		if errors.Is(cause, io.EOF) || errors.As(cause, &typed) {
			return cause // its reader compares what came with what should
		}
		return oci.Errorf(oci.ReasonUnavailable, "", "it broke off %d times, at last after %d bytes: %w", b.resumes, b.at, cause)
	}
	return sleep(b.ctx, b.registry.patience.pause(b.stuck-1))
}

// open asks for what is missing.
func (b *resumed) open() error {
	// Manifests are small, and few registries know ranges of them.
	ranged := b.at > 0 && b.what.kind == kindBlobs && !b.registry.noRange.Load()
	resp, err := b.registry.request(b.ctx, b.what, b.at, ranged)
	if err != nil {
		return err
	}
	end, fits := b.part(resp)
	switch {
	case ranged && fits:
		b.body, b.end = resp.Body, end
		return nil
	case resp.StatusCode == http.StatusOK:
		return b.skip(resp)
	case ranged && noRanges(resp.StatusCode):
		discard(resp)
		b.registry.noRange.Store(true)
		return b.open()
	}
	err = transport.CheckError(resp, 0)
	_ = resp.Body.Close() // the status is what went wrong
	return classify("", err)
}

// noRanges reports whether a status means that the same may be had without a range.
func noRanges(status int) bool {
	switch status {
	case http.StatusPartialContent, // of something else
		http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusPreconditionFailed,
		http.StatusRequestedRangeNotSatisfiable, http.StatusNotImplemented:
		return true
	default:
		return false
	}
}

// part reports whether resp is the part of the content that the reader lacks, and
// where the content ends.
func (b *resumed) part(resp *http.Response) (end int64, fits bool) {
	unit, of, _ := strings.Cut(strings.TrimSpace(resp.Header.Get("Content-Range")), " ")
	span, total, _ := strings.Cut(of, "/")
	first, _, _ := strings.Cut(span, "-")
	start, err := strconv.ParseInt(strings.TrimSpace(first), 10, 64)
	if resp.StatusCode != http.StatusPartialContent || !strings.EqualFold(unit, "bytes") || err != nil || start != b.at {
		return 0, false
	}
	if total = strings.TrimSpace(total); total == "*" {
		return -1, true
	}
	end, err = strconv.ParseInt(total, 10, 64)
	return end, err == nil && end > b.at && (b.size < 0 || end == b.size)
}

// skip passes over what the reader has, where the registry begins anew.
func (b *resumed) skip(resp *http.Response) error {
	if b.at > 0 {
		if b.restarts++; b.restarts > maxRestarts {
			_ = resp.Body.Close() // no more of it is wanted
			return oci.Errorf(oci.ReasonUnavailable, "",
				"it broke off %d times, and the registry sends no part of it (Range), so that each time all of it is sent again", b.restarts)
		}
	}
	b.body, b.end = resp.Body, resp.ContentLength
	n, err := io.CopyN(io.Discard, resp.Body, b.at)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF) && b.end >= 0:
		b.close()
		return oci.Errorf(oci.ReasonCorrupted, "", "it had %d bytes first, and ends after %d now", b.at, n)
	case !errors.Is(err, io.EOF) && !passing(err):
		b.close()
		return err
	}
	b.close()
	if err := b.pause(fmt.Errorf("begin anew: %w", err)); err != nil {
		return err
	}
	return b.open()
}

// distrust reports whether the content was put together from parts, and lets no
// content of the registry be from now on: its ranges are wrong.
func (b *resumed) distrust() bool {
	parts := b.resumes > 0 && !b.registry.noRange.Load()
	if parts {
		b.registry.noRange.Store(true)
	}
	return parts
}

func (b *resumed) close() {
	if b.body != nil {
		_ = b.body.Close() // it broke off, or was read
		b.body = nil
	}
}

// Close implements io.Closer.
func (b *resumed) Close() error {
	if b.body == nil {
		return nil
	}
	body := b.body
	b.body = nil
	return body.Close()
}
