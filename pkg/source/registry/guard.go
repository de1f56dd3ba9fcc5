package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Policy answers whether Pods' images of a host may be read for triggers of a
// namespace, and whether that host speaks plain HTTP. It is the operator's word.
type Policy func(host, namespace string) (insecure, ok bool)

// The bounds of what is read.
const (
	maxManifest = 4 << 20
	maxBlob     = 8 << 20 // an image configuration; of layers less is read
	maxOther    = 1 << 20 // pings and tokens
	maxChildren = 64
)

type notAllowedError struct{ host, namespace, why string }

func (e *notAllowedError) Error() string {
	return fmt.Sprintf("host %q %s for namespace %q; the operator lists hosts in the ConfigMap config-registries", e.host, e.why, e.namespace)
}

var errPlainHTTP = errors.New("the host is listed as plain HTTP")

// guard lets a request through only if the operator lists its host for the
// namespace, and bounds the answer. It stands under the HTTP client, so that
// redirects and token requests go through it too.
type guard struct {
	next      http.RoundTripper
	policy    Policy
	namespace string
}

func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.URL.Host
	insecure, ok := g.policy(canonical(host), g.namespace)
	switch {
	case !ok:
		return nil, &notAllowedError{host, g.namespace, "is not listed"}
	case insecure && r.URL.Scheme != "http":
		// The client library tries HTTPS first; this is how it learns not to.
		return nil, errPlainHTTP
	case !insecure && r.URL.Scheme != "https":
		return nil, &notAllowedError{host, g.namespace, "is listed as HTTPS, not as plain HTTP,"}
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: bound(r.URL.Path)}
	return resp, nil
}

// canonical undoes the client library's name for Docker Hub.
func canonical(host string) string {
	if host == "index.docker.io" {
		return "docker.io"
	}
	return host
}

func bound(path string) int64 {
	switch {
	case strings.Contains(path, "/manifests/"):
		return maxManifest
	case strings.Contains(path, "/blobs/"):
		return maxBlob
	default:
		// Redirected blobs land here too; their configurations are small.
		return maxOther
	}
}

// boundedBody fails where a limit would truncate: half a manifest is not one.
type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, fmt.Errorf("%w: the answer is larger than is read", errInvalid)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more than allowed, to tell the end from too much
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, fmt.Errorf("%w: the answer is larger than is read", errInvalid)
	}
	return n, err
}
