package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
)

// Policy returns whether triggers of a namespace may read a host, and whether the host
// speaks plain HTTP. The operator decides that.
type Policy func(host, namespace string) (insecure, ok bool)

// The bounds of one answer.
const (
	maxManifest = image.MaxManifest
	maxBlob     = image.MaxConfig // of layers less is read
	maxPage     = 8 << 20         // 30,000 tags of the longest names
	maxOther    = 1 << 20         // pings, tokens and errors
	maxChildren = 64
	maxHops     = 5
)

type notAllowedError struct{ host, namespace, why string }

func (e *notAllowedError) Error() string {
	return fmt.Sprintf("host %q %s for namespace %q; the operator lists hosts in the ConfigMap config-registries", e.host, e.why, e.namespace)
}

var errPlainHTTP = errors.New("the host is listed as plain HTTP")

// guard lets a request through only if the operator lists its host for the namespace, or
// if a registry redirects a blob to public storage. It bounds the answer. It stands below
// the HTTP client, so that redirects and token requests pass it too.
type guard struct {
	next      http.RoundTripper
	policy    Policy
	namespace string
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	first, hops := origin(r)
	insecure, ok := g.policy(canonical(r.URL.Host), g.namespace)
	switch {
	case hops > maxHops:
		return nil, fmt.Errorf("%w: the registry redirects more than %d times", errInvalid, maxHops)
	case !ok:
		var err error
		if r, err = g.elsewhere(r, first); err != nil {
			return nil, err
		}
	case insecure && r.URL.Scheme != "http":
		// The client library tries HTTPS first. This is how it learns not to.
		return nil, errPlainHTTP
	case !insecure && r.URL.Scheme != "https":
		return nil, &notAllowedError{r.URL.Host, g.namespace, "is listed as HTTPS, not as plain HTTP,"}
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if unreadableRedirect(resp) {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("host %q redirects to what is no address", r.URL.Host)
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: bound(first.URL.Path)}
	return resp, nil
}

// unreadableRedirect reports whether a redirect leads to what is no address. The HTTP client
// would show all of it in its error, and with it a signature.
func unreadableRedirect(resp *http.Response) bool {
	_, err := resp.Location()
	return resp.StatusCode/100 == 3 && err != nil && !errors.Is(err, http.ErrNoLocation)
}

// elsewhere lets a blob come from a host that is not listed, as registries keep blobs in
// the storage of a cloud. Such a host gets no credentials, and is public.
func (g *guard) elsewhere(r, first *http.Request) (*http.Request, error) {
	switch {
	case r == first || !isBlob(first.URL.Path):
		return nil, &notAllowedError{r.URL.Host, g.namespace, "is not listed"}
	case r.URL.Scheme != "https":
		return nil, &notAllowedError{r.URL.Host, g.namespace, "is where the registry redirects by plain HTTP, and is not listed"}
	case image.PrivateHost(r.URL.Hostname()):
		return nil, &privateAddressError{r.URL.Host}
	}
	r = public(r)
	r.Header = r.Header.Clone()
	r.Header.Del("Authorization")
	return r, nil
}

// origin returns the request that a chain of redirects began with, and its length.
func origin(r *http.Request) (first *http.Request, hops int) {
	for first = r; first.Response != nil && first.Response.Request != nil && hops <= maxHops; hops++ {
		first = first.Response.Request
	}
	return first, hops
}

// canonical undoes the client library's name for Docker Hub.
func canonical(host string) string {
	if host == "index.docker.io" {
		return "docker.io"
	}
	return host
}

func isBlob(path string) bool {
	return strings.HasPrefix(path, "/v2/") && strings.Contains(path, "/blobs/")
}

func bound(path string) int64 {
	switch {
	case strings.Contains(path, "/manifests/"):
		return maxManifest
	case isBlob(path):
		return maxBlob
	case strings.HasSuffix(path, "/tags/list"), strings.HasSuffix(path, "/_catalog"):
		return maxPage
	default:
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
