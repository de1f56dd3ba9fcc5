package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
)

// maxRedirects is how many hops lead from a registry to its storage at most.
const maxRedirects = 5

// Options say how registries are spoken to.
type Options struct {
	// Trust lists insecure hosts and holds authorities.
	Trust Trust
	// Keychain holds credentials; nil for none.
	Keychain authn.Keychain
	// Stall is how long a registry may send nothing; 0 stands for a minute.
	Stall time.Duration
	// Answer is the most bytes that the registry may answer a request with; 0 for
	// any number. Fetch bounds what it reads itself.
	Answer int64
}

// Registry is the Source of one repository.
type Registry struct {
	repository name.Repository
	client     *http.Client
}

// NewRegistry shakes hands with the registry of repository.
func NewRegistry(ctx context.Context, repository image.Repository, o Options) (*Registry, error) {
	named, guarded, err := Guarded(repository, o)
	if err != nil {
		return nil, err
	}
	registry := named.Registry
	r := &Registry{repository: named}
	auth := authn.Anonymous
	if o.Keychain != nil {
		if auth, err = authn.Resolve(ctx, o.Keychain, r.repository); err != nil {
			return nil, content.Errorf(content.ReasonDenied, "registry "+repository.Host(), "its credentials cannot be read: %w", err)
		}
	}
	retrying := transport.NewRetry(guarded, transport.WithRetryStatusCodes(
		http.StatusRequestTimeout, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout))
	rt, err := transport.NewWithContext(ctx, registry, auth, retrying, []string{r.repository.Scope(transport.PullScope)})
	if err != nil {
		return nil, explain(ctx, classify("registry "+repository.Host(), err))
	}
	r.client = &http.Client{Transport: rt, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return content.Errorf(content.ReasonRefused, "", "it redirects more than %d times", maxRedirects)
		}
		return nil
	}}
	return r, nil
}

// Guarded returns how the registry of repository is named and reached, for other
// clients of it: with TLS unless it is listed, and never longer than Stall without
// an answer.
func Guarded(repository image.Repository, o Options) (name.Repository, http.RoundTripper, error) {
	// Not by parsing the whole name: that would take a host without a dot for
	// a namespace of Docker Hub.
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
	return registry.Repo(repository.Path()), &guard{
		inner:    newTransport(o.Trust),
		registry: registry.RegistryStr(),
		insecure: o.Trust.insecure,
		stall:    o.Stall,
		answer:   o.Answer,
	}, nil
}

func newTransport(trust Trust) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       30 * time.Second,
		ForceAttemptHTTP2:     true,
		// Digests are of what is sent, and nothing is unpacked unbounded.
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig:        &tls.Config{RootCAs: trust.roots, MinVersion: tls.VersionTLS12},
	}
}

// Manifest opens a manifest.
func (r *Registry) Manifest(ctx context.Context, d image.Digest) (io.ReadCloser, error) {
	return r.get(ctx, "manifests", d.String(), strings.Join(content.ManifestTypes(), ","))
}

// Tagged opens the manifest that a tag names now. What it is, only its bytes say.
func (r *Registry) Tagged(ctx context.Context, tag string) (io.ReadCloser, error) {
	if !image.ValidTag(tag) {
		return nil, fmt.Errorf("%.80q is not a tag", tag)
	}
	return r.get(ctx, "manifests", tag, strings.Join(content.ManifestTypes(), ","))
}

// Blob opens a blob.
func (r *Registry) Blob(ctx context.Context, d image.Digest) (io.ReadCloser, error) {
	return r.get(ctx, "blobs", d.String(), "")
}

func (r *Registry) get(ctx context.Context, kind, name, accept string) (io.ReadCloser, error) {
	u := url.URL{
		Scheme: r.repository.Scheme(),
		Host:   r.repository.RegistryStr(),
		Path:   "/v2/" + r.repository.RepositoryStr() + "/" + kind + "/" + name,
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, classify("", err)
	}
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		_ = resp.Body.Close() // the status is what went wrong
		return nil, classify("", err)
	}
	return resp.Body, nil
}

// Classify returns err as an Error about subject, with the reason in it.
func Classify(subject string, err error) error { return classify(subject, err) }

// classify finds the reason in what went wrong.
func classify(subject string, err error) error {
	var refused *content.Error
	var status *transport.Error
	var certificate *tls.CertificateVerificationError
	switch {
	// First: for hosts that look local, the handshake is tried without TLS too,
	// and that it was refused is not the cause.
	case errors.As(err, &certificate):
		return content.Errorf(content.ReasonRefused, subject,
			"its certificate is not trusted; put the authority's into the ConfigMap revet-registries, under a key that ends in .crt: %w", certificate)
	case errors.As(err, &refused):
		return &content.Error{Reason: refused.Reason, Subject: subject, Err: refused.Err}
	case errors.Is(err, http.ErrSchemeMismatch):
		return content.Errorf(content.ReasonRefused, subject, "it speaks plain HTTP only; %s", insecureCure)
	case errors.As(err, &status):
		return &content.Error{Reason: statusReason(status.StatusCode), Subject: subject, Err: err}
	default:
		return &content.Error{Reason: content.ReasonUnavailable, Subject: subject, Err: err}
	}
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
