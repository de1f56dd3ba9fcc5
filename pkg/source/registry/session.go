package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/revet-dev/revet/pkg/image"
)

// maxSessions bounds how many sessions are kept for one account.
const maxSessions = 1024

// session sends requests to one registry with the credentials that it asked for.
type session struct {
	base url.URL
	// path is the repository's, as it stands in addresses.
	path string
	http *http.Client
	// plain sends requests without credentials.
	plain http.RoundTripper
}

// sessions keeps the sessions of one account: the handshake takes two requests, and a
// sweep reads thousands of tags.
type sessions struct {
	mu   sync.Mutex
	kept map[sessionKey]*session
}

type sessionKey struct {
	target   string
	insecure bool
	pace     *pace
}

// repository begins a session to read a repository. It refuses a host that is not listed
// before there is any connection.
func (c *Client) repository(ctx context.Context, r image.Repository, as Credentials) (*session, error) {
	options, err := c.options(r.Host(), as)
	if err != nil {
		return nil, err
	}
	repository, err := name.NewRepository(r.String(), options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalid, err)
	}
	s, err := c.session(ctx, repository, repository.Registry, repository.Scope(transport.PullScope), as)
	if err != nil {
		return nil, err
	}
	s.path = "/v2/" + repository.RepositoryStr()
	return s, nil
}

// catalogue begins a session to list the repositories of a host.
func (c *Client) catalogue(ctx context.Context, host string, as Credentials) (*session, error) {
	options, err := c.options(host, as)
	if err != nil {
		return nil, err
	}
	registry, err := name.NewRegistry(host, options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalid, err)
	}
	s, err := c.session(ctx, registry, registry, registry.Scope(transport.CatalogScope), as)
	if err != nil {
		return nil, err
	}
	s.path = "/v2"
	return s, nil
}

func (c *Client) options(host string, as Credentials) ([]name.Option, error) {
	insecure, ok := c.policy(host, as.Namespace)
	if !ok {
		return nil, &notAllowedError{host, as.Namespace, "is not listed"}
	}
	if insecure {
		return []name.Option{name.StrictValidation, name.Insecure}, nil
	}
	return []name.Option{name.StrictValidation}, nil
}

// session returns a kept session, or shakes hands with the registry.
func (c *Client) session(ctx context.Context, target authn.Resource, registry name.Registry, scope string, as Credentials) (*session, error) {
	insecure, _ := c.policy(canonical(registry.RegistryStr()), as.Namespace)
	key := sessionKey{target.String(), insecure, c.pace}
	if s := as.sessions.get(key); s != nil {
		return s, nil
	}
	s := &session{base: url.URL{Scheme: "https", Host: registry.RegistryStr()}}
	// Not the registry's own idea of its scheme: it takes every private address and every
	// name that ends in .local for plain HTTP.
	if insecure {
		s.base.Scheme = "http"
	}
	s.plain = transport.NewUserAgent(&guard{
		next: &limiter{next: c.transport, rests: c.rests, pace: c.pace}, policy: c.policy, namespace: as.Namespace,
	}, "revet")
	auth := authn.Anonymous
	if as.Keychain != nil {
		var err error
		if auth, err = authn.Resolve(ctx, as.Keychain, target); err != nil {
			return nil, fmt.Errorf("choosing the credentials: %w", err)
		}
	}
	rt, err := handshake(ctx, registry, auth, s.plain, scope)
	if err != nil {
		return nil, untrusted(redacted(err))
	}
	s.http = &http.Client{Transport: rt, CheckRedirect: noLimit}
	as.sessions.put(key, s)
	return s, nil
}

// handshake finds out which credentials a registry wants. One that has nothing under /v2/
// shows that in each answer.
func handshake(ctx context.Context, registry name.Registry, auth authn.Authenticator, plain http.RoundTripper, scope string) (http.RoundTripper, error) {
	rt, err := transport.NewWithContext(ctx, registry, auth, plain, []string{scope})
	if status := (*transport.Error)(nil); errors.As(err, &status) && withoutHandshake(status) {
		return transport.FromToken(registry, auth, plain, &transport.Challenge{Insecure: registry.Scheme() == "http"}, nil)
	}
	return rt, err
}

func withoutHandshake(e *transport.Error) bool {
	if e.Request == nil || e.Request.URL.Path != "/v2/" {
		return false // a token service's answer
	}
	switch e.StatusCode {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	default:
		return false
	}
}

// noLimit leaves the number of redirects to the guard, which sees all of them.
func noLimit(*http.Request, []*http.Request) error { return nil }

func (s *sessions) get(key sessionKey) *session {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.kept[key]
	if kept == nil {
		return nil
	}
	c := *kept
	return &c
}

func (s *sessions) put(key sessionKey, made *session) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil || len(s.kept) >= maxSessions {
		s.kept = map[sessionKey]*session{}
	}
	c := *made
	s.kept[key] = &c
}

// document is an answer that was read to its end.
type document struct {
	header http.Header
	body   []byte
}

// accepted are the types that runtimes ask for. A registry that has a manifest of another
// type must not hide it.
var accepted = strings.Join(append(image.ManifestTypes(), "*/*"), ", ")

func (s *session) manifestURL(reference string) *url.URL {
	return s.base.ResolveReference(&url.URL{Path: s.path + "/manifests/" + reference})
}

// do sends a request. The caller closes the body.
func (s *session) do(ctx context.Context, method string, u *url.URL) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if strings.Contains(u.Path, "/manifests/") {
		r.Header.Set("Accept", accepted)
	}
	resp, err := s.http.Do(r)
	if err != nil {
		return nil, untrusted(redacted(err))
	}
	return resp, nil
}

// get reads a document. Any status but 200 is an error.
func (s *session) get(ctx context.Context, u *url.URL) (document, error) {
	resp, err := s.do(ctx, http.MethodGet, u)
	if err != nil {
		return document{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := s.check(ctx, resp); err != nil {
		return document{}, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return document{}, fmt.Errorf("the answer broke off: %w", err)
	}
	return document{resp.Header, body}, nil
}

// check returns an error for any status but 200. It believes a 404 only of a registry: a
// proxy says the same when the registry behind it is away.
func (s *session) check(ctx context.Context, resp *http.Response) error {
	err := transport.CheckError(resp, http.StatusOK)
	var status *transport.Error
	if !errors.As(err, &status) || status.StatusCode != http.StatusNotFound || len(status.Errors) > 0 {
		return err
	}
	ping, pingErr := s.ping(ctx)
	if pingErr != nil {
		return fmt.Errorf("the answer to %q is 404, and /v2/ does not answer: %w", resp.Request.URL.Path, pingErr)
	}
	if ping != http.StatusOK && ping != http.StatusUnauthorized {
		return &notRegistryError{resp.Request.URL.Host, ping}
	}
	return err
}

// notRegistryError means that what answers may not be the registry at all.
type notRegistryError struct {
	host   string
	status int
}

func (e *notRegistryError) Error() string {
	return fmt.Sprintf("host %q answers 404, and %d to /v2/: a proxy answers in place of the registry", e.host, e.status)
}

func (s *session) ping(ctx context.Context) (status int, err error) {
	u := s.base.ResolveReference(&url.URL{Path: "/v2/"})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, err
	}
	resp, err := (&http.Client{Transport: s.plain}).Do(r)
	if err != nil {
		return 0, untrusted(redacted(err))
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	return resp.StatusCode, nil
}

// redacted cuts the query off the address in an error: that of storage is a credential.
func redacted(err error) error {
	var failed *url.Error
	if !errors.As(err, &failed) {
		return err
	}
	address, _, _ := strings.Cut(failed.URL, "?")
	failed.URL = address
	return err
}
