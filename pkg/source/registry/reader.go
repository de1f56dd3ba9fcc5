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
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/fair"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
)

// SweepRate is how many requests a second a sweep sends to a registry.
const SweepRate = 50

const (
	// credentialsTrust is how long a Reader uses the pull secrets that it read for an
	// account: a sweep reads thousands of tags with them.
	credentialsTrust = 30 * time.Second
	// maxAccounts bounds how many accounts' credentials a Reader keeps, and maxAccountsEach
	// how many of one namespace.
	maxAccounts     = 4096
	maxAccountsEach = 64
)

// Reader reads registries with the pull secrets of service accounts. The receiver, the
// sweeps, the controller and the command line all read registries through it. It is
// safe for concurrent use.
type Reader struct {
	client   *Client
	accounts *accounts
}

// NewReader returns a Reader over a Client. It reads service accounts and their secrets
// with live, which must not cache.
func NewReader(c *Client, live client.Reader, now func() time.Time) *Reader {
	return &Reader{client: c, accounts: &accounts{live: live, now: now, kept: fair.NewKept[source.Account, keptCredentials](maxAccounts, maxAccountsEach)}}
}

// Paced returns the same Reader for work that can wait: it sends each host at most that
// many requests a second.
func (r *Reader) Paced(perSecond int) *Reader {
	return &Reader{client: r.client.Paced(perSecond), accounts: r.accounts}
}

// Repositories calls each with the repositories of a host's catalogue.
func (r *Reader) Repositories(ctx context.Context, host string, as source.Account, each func(image.Repository)) error {
	return r.with(ctx, as, func(c Credentials) error { return r.client.Repositories(ctx, host, c, each) })
}

// Tags calls each with the tags of a repository.
func (r *Reader) Tags(ctx context.Context, repository image.Repository, as source.Account, each func(string)) error {
	return r.with(ctx, as, func(c Credentials) error { return r.client.Tags(ctx, repository, c, each) })
}

// Head returns the digest that the registry claims for a tag.
func (r *Reader) Head(ctx context.Context, repository image.Repository, tag string, as source.Account) (d image.Digest, err error) {
	err = r.with(ctx, as, func(c Credentials) error { d, err = r.client.Head(ctx, repository, tag, c); return err })
	return d, err
}

// Tagged returns the digest of what a tag points to, recomputed from the bytes. claimed is
// what Head claimed.
func (r *Reader) Tagged(ctx context.Context, repository image.Repository, tag string, claimed image.Digest, as source.Account) (d image.Digest, err error) {
	err = r.with(ctx, as, func(c Credentials) error { d, err = r.client.Tagged(ctx, repository, tag, claimed, c); return err })
	return d, err
}

// Content reads a manifest by digest and decides what it is.
func (r *Reader) Content(ctx context.Context, ref image.Reference, as source.Account) (content image.Content, err error) {
	err = r.with(ctx, as, func(c Credentials) error { content, err = r.client.Content(ctx, ref, c); return err })
	return content, err
}

// Facts reads what a registry says of a digest.
func (r *Reader) Facts(ctx context.Context, ref image.Reference, as source.Account, labels []string) (facts Facts, err error) {
	err = r.with(ctx, as, func(c Credentials) error { facts, err = r.client.Facts(ctx, ref, c, labels); return err })
	return facts, err
}

// with runs a read with the credentials of an account. If the registry denies the read
// with credentials that were kept, with reads them again: somebody may have just
// replaced them.
func (r *Reader) with(ctx context.Context, as source.Account, read func(Credentials) error) error {
	credentials, kept, err := r.accounts.credentials(ctx, as)
	if err != nil {
		return err
	}
	err = read(credentials)
	if !kept || source.ReasonOf(err) != source.Denied {
		return err
	}
	r.accounts.forget(as)
	if credentials, _, err = r.accounts.credentials(ctx, as); err != nil {
		return err
	}
	return read(credentials)
}

// accounts keeps the credentials of accounts for a short time.
type accounts struct {
	live client.Reader
	now  func() time.Time
	kept *fair.Kept[source.Account, keptCredentials]
}

type keptCredentials struct {
	Credentials
	at time.Time
}

// credentials returns those of an account, and whether they were kept from before.
func (a *accounts) credentials(ctx context.Context, as source.Account) (c Credentials, kept bool, err error) {
	have, ok := a.kept.Get(as.Namespace, as)
	// After the clock is set back, an entry must not last longer.
	if age := a.now().Sub(have.at); ok && age >= 0 && age < credentialsTrust {
		return have.Credentials, true, nil
	}
	keychain, err := keychain(ctx, a.live, as)
	if err != nil {
		return Credentials{}, false, err
	}
	c = Credentials{Namespace: as.Namespace, Keychain: keychain, sessions: &sessions{}}
	a.kept.Put(as.Namespace, as, keptCredentials{c, a.now()})
	return c, false, nil
}

func (a *accounts) forget(as source.Account) { a.kept.Delete(as.Namespace, as) }

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
	auth, whose := authn.Anonymous, ""
	if as.Keychain != nil {
		var err error
		if auth, err = authn.Resolve(ctx, as.Keychain, target); err != nil {
			return nil, fmt.Errorf("choosing the credentials: %w", err)
		}
	}
	if auth != authn.Anonymous {
		whose = as.Namespace
	}
	s.plain = transport.NewUserAgent(&guard{
		next: &limiter{next: c.transport, rests: c.rests, scope: whose, pace: c.pace}, policy: c.policy, namespace: as.Namespace,
	}, "revet")
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
