package remote

import (
	"context"
	"errors"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/registry"
	"github.com/revet-dev/revet/pkg/sweep"
)

const (
	// pace is how many requests a second a sweep sends to a registry.
	pace = 50
	// credentialsTrust is how long an account's pull secrets are believed: a sweep
	// reads thousands of tags with them.
	credentialsTrust = 30 * time.Second
)

// Registries is what sweeps see of registries. It is safe for concurrent use.
type Registries struct {
	client *registry.Client
	live   client.Reader
	now    func() time.Time

	mu       sync.Mutex
	accounts map[source.Account]readAccount
}

type readAccount struct {
	registry.Account
	at time.Time
}

// New returns Registries over a client, which it paces. Credentials are read live.
func New(c *registry.Client, live client.Reader, now func() time.Time) *Registries {
	return &Registries{client: c.Paced(pace), live: live, now: now, accounts: map[source.Account]readAccount{}}
}

var _ sweep.Registry = (*Registries)(nil)

// Repositories lists a host's catalogue.
func (r *Registries) Repositories(ctx context.Context, host string, as source.Account, each func(image.Repository)) error {
	account, err := r.account(ctx, as)
	if err != nil {
		return err
	}
	return lasting(r.client.Repositories(ctx, host, account, each))
}

// Tags lists a repository's tags; one that is not there has none.
func (r *Registries) Tags(ctx context.Context, repository image.Repository, as source.Account, each func(string)) error {
	account, err := r.account(ctx, as)
	if err != nil {
		return err
	}
	err = r.client.Tags(ctx, repository, account, each)
	if registry.ReasonOf(err) == registry.NotFound {
		return nil
	}
	return lasting(err)
}

// Head returns the digest that a registry claims for a tag; none for one that is gone.
func (r *Registries) Head(ctx context.Context, repository image.Repository, tag string, as source.Account) (image.Digest, error) {
	account, err := r.account(ctx, as)
	if err != nil {
		return image.Digest{}, err
	}
	digest, err := r.client.Head(ctx, repository, tag, account)
	if registry.ReasonOf(err) == registry.NotFound {
		return image.Digest{}, nil
	}
	return digest, lasting(err)
}

// Content reads a manifest by digest.
func (r *Registries) Content(ctx context.Context, ref image.Reference, as source.Account) (image.Content, error) {
	account, err := r.account(ctx, as)
	if err != nil {
		return image.Content{}, err
	}
	content, err := r.client.Content(ctx, ref, account)
	return content, lasting(err)
}

func (r *Registries) account(ctx context.Context, as source.Account) (registry.Account, error) {
	r.mu.Lock()
	have, ok := r.accounts[as]
	r.mu.Unlock()
	if now := r.now(); ok && now.Sub(have.at) < credentialsTrust {
		return have.Account, nil
	}
	keychain, err := registry.Keychain(ctx, r.live, as.Namespace, as.Name)
	account := registry.Account{Namespace: as.Namespace, Keychain: keychain}
	if err != nil {
		return account, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accounts[as] = readAccount{account, r.now()}
	return account, nil
}

// lasting marks what asking again does not cure, and what is to be put off.
func lasting(err error) error {
	var limited *registry.Limited
	if errors.As(err, &limited) {
		return &sweep.PutOff{Host: limited.Host, Until: limited.Until, Err: err}
	}
	switch reason := registry.ReasonOf(err); reason {
	case registry.NotFound, registry.Denied, registry.NotAllowed, registry.Invalid:
		return &sweep.Refusal{Reason: string(reason), Err: err}
	default:
		return err
	}
}
