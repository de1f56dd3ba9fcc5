package registry

import (
	"context"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
)

// SweepRate is how many requests a second a sweep sends to a registry.
const SweepRate = 50

const (
	// credentialsTrust is how long a Reader uses the pull secrets that it read for an
	// account: a sweep reads thousands of tags with them.
	credentialsTrust = 30 * time.Second
	// maxAccounts bounds how many accounts' credentials a Reader keeps.
	maxAccounts = 4096
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
	return &Reader{client: c, accounts: &accounts{live: live, now: now, kept: map[source.Account]keptCredentials{}}}
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

	mu   sync.Mutex
	kept map[source.Account]keptCredentials
}

type keptCredentials struct {
	Credentials
	at time.Time
}

// credentials returns those of an account, and whether they were kept from before.
func (a *accounts) credentials(ctx context.Context, as source.Account) (c Credentials, kept bool, err error) {
	a.mu.Lock()
	have, ok := a.kept[as]
	a.mu.Unlock()
	// After the clock is set back, an entry must not last longer.
	if age := a.now().Sub(have.at); ok && age >= 0 && age < credentialsTrust {
		return have.Credentials, true, nil
	}
	keychain, err := keychain(ctx, a.live, as)
	if err != nil {
		return Credentials{}, false, err
	}
	c = Credentials{Namespace: as.Namespace, Keychain: keychain, sessions: &sessions{}}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.kept) >= maxAccounts {
		clear(a.kept) // each account's credentials are read once more
	}
	a.kept[as] = keptCredentials{c, a.now()}
	return c, false, nil
}

func (a *accounts) forget(as source.Account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.kept, as)
}
