package app

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/intake"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/registry"
)

// registryReader reads registries with the pull secrets of accounts.
type registryReader struct {
	client *registry.Client
	live   client.Reader
}

// Head returns the digest that a registry claims for a tag.
func (r *registryReader) Head(ctx context.Context, repository image.Repository, tag string, as source.Account) (image.Digest, intake.Refusal, error) {
	account, err := r.account(ctx, as)
	if err != nil {
		return image.Digest{}, refusal(err), err
	}
	digest, err := r.client.Head(ctx, repository, tag, account)
	return digest, refusal(err), err
}

// Content reads a manifest by digest.
func (r *registryReader) Content(ctx context.Context, ref image.Reference, as source.Account) (image.Content, intake.Refusal, error) {
	account, err := r.account(ctx, as)
	if err != nil {
		return image.Content{}, refusal(err), err
	}
	content, err := r.client.Content(ctx, ref, account)
	return content, refusal(err), err
}

func (r *registryReader) account(ctx context.Context, as source.Account) (registry.Account, error) {
	keychain, err := registry.Keychain(ctx, r.live, as.Namespace, as.Name)
	return registry.Account{Namespace: as.Namespace, Keychain: keychain}, err
}

// refusal is empty for what a retry may cure.
func refusal(err error) intake.Refusal {
	switch registry.ReasonOf(err) {
	case registry.NotFound:
		return intake.TagGone
	case registry.Denied:
		return intake.RegistryDenied
	case registry.NotAllowed:
		return intake.RegistryNotAllowed
	case registry.Invalid:
		return intake.RegistryUnreadable
	default:
		return ""
	}
}

// webhooks is the operator's configuration as the receiver asks it.
type webhooks struct{ store *config.Store }

// Host returns the host of the registry of a name.
func (w webhooks) Host(name string) (string, bool) {
	r, ok := w.store.Registries().Named(name)
	return r.Host, ok
}

// Allows reports whether triggers of a namespace may use the registry.
func (w webhooks) Allows(name, namespace string) bool {
	r, ok := w.store.Registries().Named(name)
	return ok && r.Allows(namespace)
}

// Authentic reports whether a token is valid for the registry's webhooks.
func (w webhooks) Authentic(name, token string) bool { return w.store.Tokens().Valid(name, token) }
