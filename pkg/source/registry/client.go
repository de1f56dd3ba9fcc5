package registry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/revet-dev/revet/pkg/image"
)

// The times within which a registry answers at all; callers' deadlines are
// shorter or longer than their sum.
const (
	dialTimeout   = 2 * time.Second
	headerTimeout = 10 * time.Second
)

// Client reads from the registries that a policy lists.
type Client struct {
	policy    Policy
	transport http.RoundTripper
	rests     *rests
	pace      *pace
	proven    *proven
}

// New returns a client. It keeps connections, which registries ask to be left
// alone, and what it proved of digests, and nothing else; so there should be one of it.
func New(policy Policy) *Client {
	return &Client{policy: policy, rests: newRests(), proven: newProven(), transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: headerTimeout,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       time.Minute,
		ForceAttemptHTTP2:     true,
	}}
}

// Paced returns the same client for work that can wait: it sends each host at most that
// many requests a second.
func (c *Client) Paced(perSecond int) *Client {
	paced := *c
	paced.pace = newPace(perSecond)
	return &paced
}

// Credentials are what a Client reads with.
type Credentials struct {
	// Namespace is the trigger's. It decides which hosts the operator allows.
	Namespace string
	// Keychain holds the account's credentials. Nil reads anonymously.
	Keychain authn.Keychain
}

// Head returns the digest that the registry claims for a tag, in one round trip
// and without reading content.
func (c *Client) Head(ctx context.Context, r image.Repository, tag string, as Credentials) (claimed image.Digest, err error) {
	what := fmt.Sprintf("%s:%s", r, tag)
	repository, err := c.repository(r, as)
	if err != nil {
		return image.Digest{}, classify(what, err)
	}
	desc, err := remote.Head(repository.Tag(tag), c.options(ctx, as)...)
	if err != nil {
		return image.Digest{}, classify(what, err)
	}
	claimed, err = image.ParseDigest(desc.Digest.String())
	if err != nil {
		return image.Digest{}, classify(what, fmt.Errorf("%w: %w", errInvalid, err))
	}
	return claimed, nil
}

// repository refuses a host before there is any connection to it.
func (c *Client) repository(r image.Repository, as Credentials) (name.Repository, error) {
	insecure, ok := c.policy(r.Host(), as.Namespace)
	if !ok {
		return name.Repository{}, &notAllowedError{r.Host(), as.Namespace, "is not listed"}
	}
	options := []name.Option{name.StrictValidation}
	if insecure {
		options = append(options, name.Insecure)
	}
	repository, err := name.NewRepository(r.String(), options...)
	if err != nil {
		return name.Repository{}, fmt.Errorf("%w: %w", errInvalid, err)
	}
	return repository, nil
}

func (c *Client) options(ctx context.Context, as Credentials) []remote.Option {
	options := []remote.Option{
		remote.WithContext(ctx),
		remote.WithUserAgent("revet"),
		remote.WithTransport(&guard{next: &limiter{next: c.transport, rests: c.rests, pace: c.pace}, policy: c.policy, namespace: as.Namespace}),
		remote.WithRetryPredicate(func(error) bool { return false }),
		remote.WithRetryStatusCodes(),
	}
	if as.Keychain != nil {
		options = append(options, remote.WithAuthFromKeychain(as.Keychain))
	}
	return options
}
