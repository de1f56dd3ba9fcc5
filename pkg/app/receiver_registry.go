package app

import (
	"github.com/revet-dev/revet/pkg/config"
)

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
