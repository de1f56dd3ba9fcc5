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

// The limits on resuming one blob.
const (
	maxResumes  = 32 // in total
	maxStuck    = 3  // without receiving a further byte
	maxRestarts = 3  // from the first byte, if the registry does not support ranges
)

// resumed reads one content over as many connections as it takes. Only the digest of the whole
// shows whether the parts fit together; its reader recomputes that.
type resumed struct {
	ctx      context.Context
	registry *Registry
	what     resource
	size     int64 // -1 if unknown

	body io.ReadCloser // nil: not open
	end  int64         // where the content ends, by the registry's words; -1 if it does not say
	at   int64         // bytes given to the reader so far

	resumes, stuck, restarts int
}

// openResumed opens what, so that the registry's first error is returned here.
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

// complete reports whether the end of an answer is the end of the content. Without an announced
// length, a connection that closes early looks the same.
func (b *resumed) complete() bool {
	if b.end >= 0 {
		return b.at >= b.end
	}
	return b.at >= b.size
}

// pause waits before the next attempt. It returns an error if there is none.
func (b *resumed) pause(cause error) error {
	b.resumes++
	b.stuck++
	if b.resumes > maxResumes || b.stuck > maxStuck {
		var typed *oci.Error
		if errors.Is(cause, io.EOF) || errors.As(cause, &typed) {
			return cause // the reader checks the digest
		}
		return oci.Errorf(oci.ReasonUnavailable, "", "it broke off %d times, the last time after %d bytes: %w", b.resumes, b.at, cause)
	}
	return sleep(b.ctx, b.registry.patience.pause(b.stuck-1))
}

// open requests the missing rest.
func (b *resumed) open() error {
	// Manifests are small, and few registries support ranges for them.
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
	_ = resp.Body.Close() // the status is the error
	return classify("", err)
}

// noRanges reports whether a status means that the request may work without a range.
func noRanges(status int) bool {
	switch status {
	case http.StatusPartialContent, // a range of something else
		http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusPreconditionFailed,
		http.StatusRequestedRangeNotSatisfiable, http.StatusNotImplemented:
		return true
	default:
		return false
	}
}

// part reports whether resp is the missing part of the content, and where the content ends.
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

// skip discards what the reader already has, if the registry starts over.
func (b *resumed) skip(resp *http.Response) error {
	if b.at > 0 {
		if b.restarts++; b.restarts > maxRestarts {
			_ = resp.Body.Close() // the rest is not needed
			return oci.Errorf(oci.ReasonUnavailable, "",
				"it broke off %d times, and the registry does not support ranges, so it sends everything again each time", b.restarts)
		}
	}
	b.body, b.end = resp.Body, resp.ContentLength
	n, err := io.CopyN(io.Discard, resp.Body, b.at)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF) && b.end >= 0:
		b.close()
		return oci.Errorf(oci.ReasonCorrupted, "", "it first had %d bytes, but now ends after %d", b.at, n)
	case !errors.Is(err, io.EOF) && !passing(err):
		b.close()
		return err
	}
	b.close()
	if err := b.pause(fmt.Errorf("start over: %w", err)); err != nil {
		return err
	}
	return b.open()
}

// distrust reports whether the content was put together from parts. If so, it stops using ranges
// with this registry, because they are wrong.
func (b *resumed) distrust() bool {
	parts := b.resumes > 0 && !b.registry.noRange.Load()
	if parts {
		b.registry.noRange.Store(true)
	}
	return parts
}

func (b *resumed) close() {
	if b.body != nil {
		_ = b.body.Close() // broken off or read
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
