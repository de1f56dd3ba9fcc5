package publish

import (
	"bytes"
	"io"
	"net/http"
	"strings"
)

// lenient answers in the words that the client library knows, for registries that
// know less than others: that they have no HEAD, or no referrers API, is told by
// them in several ways, and means that something has to be written.
type lenient struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (l lenient) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(req)
	if err != nil || !strings.HasPrefix(req.URL.Path, "/v2/") {
		return resp, err
	}
	head := req.Method == http.MethodHead && strings.Contains(req.URL.Path, "/blobs/")
	list := req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/referrers/")
	switch resp.StatusCode {
	case http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusNotAcceptable:
	default:
		return resp, nil
	}
	if head || list {
		_ = resp.Body.Close() // only the status is asked for
		resp.StatusCode, resp.Status = http.StatusNotFound, "404 Not Found"
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(nil)), 0
	}
	return resp, nil
}
