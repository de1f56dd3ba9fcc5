package app

import (
	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/source/registry/webhook"
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

// Vendor returns how the registry of a name notifies.
func (w webhooks) Vendor(name string) webhook.Vendor {
	r, _ := w.store.Registries().Named(name)
	vendor, ok := webhook.VendorOf(r.Vendor)
	if !ok { // the store holds known vendors only
		vendor, _ = webhook.VendorOf(webhook.DefaultVendor)
	}
	return vendor
}

// Secrets returns what may prove a notification of the registry.
func (w webhooks) Secrets(name string) [][]byte { return w.store.Tokens().Secrets(name) }
