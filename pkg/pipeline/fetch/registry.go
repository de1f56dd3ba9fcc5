package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// maxRedirects is the maximum number of redirects from a registry to its storage.
const maxRedirects = 5

// Options configure how to talk to registries.
type Options struct {
	// Trust lists insecure hosts and certificate authorities.
	Trust Trust
	// Keychain holds credentials; nil for none.
	Keychain authn.Keychain
	// Stall is how long a registry may send nothing; 0 means one minute.
	Stall time.Duration
	// Patience bounds retries.
	Patience Patience
	// Answer is the maximum size of an answer in bytes; 0 means no limit. Fetch bounds its own
	// reads.
	Answer int64

	// dial replaces the dialer, for tests.
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Registry is the Source of one repository. It is safe for concurrent use.
type Registry struct {
	repository name.Repository
	options    Options
	guarded    http.RoundTripper
	patience   Patience
	// noRange means that the registry cannot send a part of a blob, or sent a wrong one.
	noRange atomic.Bool

	mu     sync.Mutex
	client *http.Client
	opened bool // it has served content to client
}

// NewRegistry opens a session with the registry of repository.
func NewRegistry(ctx context.Context, repository image.Repository, o Options) (*Registry, error) {
	named, guarded, err := Guarded(repository, o)
	if err != nil {
		return nil, err
	}
	r := &Registry{repository: named, options: o, guarded: guarded, patience: o.Patience.withDefaults()}
	return r, explain(ctx, r.shake(ctx))
}

// shake starts a session with the registry, and with its token service if it has one.
func (r *Registry) shake(ctx context.Context) error {
	subject := "registry " + r.repository.RegistryStr()
	auth := authn.Anonymous
	if r.options.Keychain != nil {
		var err error
		if auth, err = authn.Resolve(ctx, r.options.Keychain, r.repository); err != nil {
			return oci.Errorf(oci.ReasonDenied, subject, "cannot read the credentials for it: %w", err)
		}
	}
	rt, err := transport.NewWithContext(ctx, r.repository.Registry, auth, r.guarded, []string{r.repository.Scope(transport.PullScope)})
	if status := (*transport.Error)(nil); errors.As(err, &status) && withoutHandshake(status.StatusCode) {
		rt, err = transport.FromToken(r.repository.Registry, auth, r.guarded, &transport.Challenge{}, nil)
	}
	if err != nil {
		return classify(subject, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.client, r.opened = &http.Client{Transport: rt, CheckRedirect: checkRedirect}, false
	return nil
}

// withoutHandshake reports whether a registry has nothing under /v2/, where others say which
// credentials they want. Such a registry shows that in the answer to each request.
func withoutHandshake(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	default:
		return false
	}
}

func checkRedirect(_ *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return oci.Errorf(oci.ReasonRefused, "", "it redirects more than %d times", maxRedirects)
	}
	return nil
}

// Guarded returns the name of repository and a transport to its registry, for other clients. The
// transport uses TLS unless the host is listed, fails if the registry sends nothing for Stall, and
// retries requests that may succeed later.
func Guarded(repository image.Repository, o Options) (name.Repository, http.RoundTripper, error) {
	// Do not parse the whole name: the library would take a host without a dot for a namespace on
	// Docker Hub.
	var named []name.Option
	if o.Trust.insecure[repository.Host()] {
		named = append(named, name.Insecure)
	}
	registry, err := name.NewRegistry(repository.Host(), named...)
	if err != nil {
		return name.Repository{}, nil, fmt.Errorf("registry %q: %w", repository.Host(), err)
	}
	if o.Stall <= 0 {
		o.Stall = time.Minute
	}
	return registry.Repo(repository.Path()), &patient{patience: o.Patience.withDefaults(), inner: &guard{
		inner:    newTransport(o),
		registry: registry.RegistryStr(),
		insecure: o.Trust.insecure,
		stall:    o.Stall,
		answer:   o.Answer,
	}}, nil
}

func newTransport(o Options) *http.Transport {
	dial := o.dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dial,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       30 * time.Second,
		ForceAttemptHTTP2:     true,
		// Digests cover the bytes as sent, and nothing may unpack without a limit.
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig:        &tls.Config{RootCAs: o.Trust.roots, MinVersion: tls.VersionTLS12},
	}
}

const (
	kindBlobs     = "blobs"
	kindManifests = "manifests"
)

// resource names something in the repository.
type resource struct{ kind, name, accept string }

func manifestAt(reference string) resource {
	return resource{kindManifests, reference, strings.Join(oci.ManifestTypes(), ",")}
}

// Manifest opens a manifest.
func (r *Registry) Manifest(ctx context.Context, d image.Digest) (io.ReadCloser, error) {
	return r.open(ctx, manifestAt(d.String()), -1)
}

// Tagged returns the manifest that a tag names now. Only its bytes say what it is. Tagged reads the
// manifest at once, up to one byte past oci.MaxManifest. It does not resume, because after a broken
// transfer the tag may name something else.
func (r *Registry) Tagged(ctx context.Context, tag string) (io.ReadCloser, error) {
	if !image.ValidTag(tag) {
		return nil, fmt.Errorf("%.80q is not a tag", tag)
	}
	a, err := r.read(ctx, r.url(manifestAt(tag)), manifestAt(tag).accept, oci.MaxManifest)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(a.body)), nil
}

// Blob opens a blob.
func (r *Registry) Blob(ctx context.Context, d image.Digest) (io.ReadCloser, error) {
	return r.Sized(ctx, d, -1)
}

// Sized is Blob for a blob of known size. The size tells a broken transfer from the end of the
// blob, whatever length the registry announced.
func (r *Registry) Sized(ctx context.Context, d image.Digest, size int64) (io.ReadCloser, error) {
	return r.open(ctx, resource{kind: kindBlobs, name: d.String()}, size)
}

func (r *Registry) open(ctx context.Context, what resource, size int64) (io.ReadCloser, error) {
	b, err := openResumed(ctx, r, what, size)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (r *Registry) url(what resource) *url.URL {
	return &url.URL{
		Scheme: r.repository.Scheme(),
		Host:   r.repository.RegistryStr(),
		Path:   "/v2/" + r.repository.RepositoryStr() + "/" + what.kind + "/" + what.name,
	}
}

// request requests what. If ranged, it starts at byte from.
func (r *Registry) request(ctx context.Context, what resource, from int64, ranged bool) (*http.Response, error) {
	header := http.Header{}
	if ranged {
		header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	return r.get(ctx, r.url(what), what.accept, header)
}

// get sends one request. If the registry refuses a session that used to work, get starts a new one,
// once: tokens expire in the middle of a pull, and not every registry then says where to get new
// ones.
func (r *Registry) get(ctx context.Context, u *url.URL, accept string, header http.Header) (*http.Response, error) {
	for renewed := false; ; renewed = true {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, err
		}
		maps.Copy(req.Header, header)
		if accept != "" {
			req.Header.Set("Accept", accept)
		}
		r.mu.Lock()
		client, opened := r.client, r.opened
		r.mu.Unlock()
		resp, err := client.Do(req)
		if err != nil {
			return nil, explain(ctx, classify("", redacted(err)))
		}
		if resp.StatusCode != http.StatusUnauthorized || !opened || renewed {
			r.mu.Lock()
			r.opened = r.opened || resp.StatusCode < http.StatusMultipleChoices
			r.mu.Unlock()
			return resp, nil
		}
		discard(resp)
		if err := r.shake(ctx); err != nil {
			return nil, err
		}
	}
}

// redacted removes the query from the URL in err, because it can be a credential for the storage.
func redacted(err error) error {
	var failed *url.Error
	if !errors.As(err, &failed) {
		return err
	}
	address, _, _ := strings.Cut(failed.URL, "?")
	return &url.Error{Op: failed.Op, URL: address, Err: failed.Err}
}

// answer is a document that was read to its end.
type answer struct {
	status int
	body   []byte
	header http.Header
	from   *url.URL // the URL after redirects
}

// read reads a document, up to one byte past its limit. If the transfer breaks off, it starts over:
// the document may have changed, and its parts would not fit together.
func (r *Registry) read(ctx context.Context, u *url.URL, accept string, limit int64, others ...int) (answer, error) {
	for tries := 1; ; tries++ {
		a, err := r.readOnce(ctx, u, accept, limit, others)
		if err == nil || tries > maxStuck || !a.brokeOff {
			return a.answer, explain(ctx, classify("", err))
		}
		if err := sleep(ctx, r.patience.pause(tries-1)); err != nil {
			return answer{}, err
		}
	}
}

type attempt struct {
	answer
	brokeOff bool
}

func (r *Registry) readOnce(ctx context.Context, u *url.URL, accept string, limit int64, others []int) (attempt, error) {
	resp, err := r.get(ctx, u, accept, nil)
	if err != nil {
		return attempt{}, err
	}
	defer func() { _ = resp.Body.Close() }() // reading is complete
	if err := transport.CheckError(resp, append(others, http.StatusOK)...); err != nil {
		return attempt{}, err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return attempt{brokeOff: ctx.Err() == nil && passing(err)}, err
	}
	return attempt{answer: answer{resp.StatusCode, raw, resp.Header, resp.Request.URL}}, nil
}

// Classify turns err into an Error about subject, with the right reason.
func Classify(subject string, err error) error { return classify(subject, err) }

// classify finds the reason for err.
func classify(subject string, err error) error {
	if err == nil {
		return nil
	}
	var refused *oci.Error
	var status *transport.Error
	var certificate *tls.CertificateVerificationError
	switch {
	// Check this first. For hosts that look local, the library also tries the handshake without
	// TLS, and its refusal is not the cause.
	case errors.As(err, &certificate):
		return oci.Errorf(oci.ReasonRefused, subject,
			"its certificate is not trusted; put the authority's certificate into the ConfigMap revet-registries, under a key ending in .crt: %w", certificate)
	case errors.As(err, &refused):
		return &oci.Error{Reason: refused.Reason, Subject: subject, Err: refused.Err}
	case errors.Is(err, http.ErrSchemeMismatch):
		return oci.Errorf(oci.ReasonRefused, subject, "it only speaks plain HTTP; %s", insecureCure)
	case errors.As(err, &status):
		return &oci.Error{Reason: statusReason(status.StatusCode), Subject: subject, Err: err}
	default:
		return &oci.Error{Reason: oci.ReasonUnavailable, Subject: subject, Err: err}
	}
}

func statusReason(code int) oci.Reason {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return oci.ReasonDenied
	case http.StatusNotFound, http.StatusGone:
		return oci.ReasonMissing
	case http.StatusTooManyRequests:
		return oci.ReasonRateLimited
	default:
		return oci.ReasonUnavailable
	}
}
