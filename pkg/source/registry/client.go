package registry

import (
	"crypto/x509"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
)

// Client reads from the registries that a policy lists.
type Client struct {
	policy    Policy
	transport http.RoundTripper
	rests     *rests
	pace      *pace
	proven    *proven
	lists     listBounds
}

// Authorities returns the certificate authorities that a host's certificate may be signed
// by. Nil means the system's. It returns the same pool until the operator changes it.
type Authorities func(host string) *x509.CertPool

// New returns a Client. It keeps connections, which hosts asked for patience, and what it
// proved of digests, so that a process should have one.
func New(policy Policy) *Client {
	return &Client{policy: policy, rests: newRests(), proven: newProven(), transport: newTransports(nil), lists: defaultListBounds}
}

// Trusting returns the same client with the operator's certificate authorities.
func (c *Client) Trusting(authorities Authorities) *Client {
	trusting := *c
	trusting.transport = newTransports(authorities)
	return &trusting
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

	// sessions keeps what registries answered to these credentials; nil keeps nothing.
	sessions *sessions
}
