package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

// Registry is a registry that Revet may read.
type Registry struct {
	// Name is the last path segment of the URL for its webhooks.
	Name string `json:"name"`
	// Host is host[:port], as in references.
	Host string `json:"host"`
	// Insecure means plain HTTP.
	Insecure bool `json:"insecure,omitempty"`
	// Vendor says in which format the registry notifies; empty means webhook.DefaultVendor.
	Vendor string `json:"vendor,omitempty"`
	// Namespaces are the namespaces whose triggers may use the registry; "*" means all.
	Namespaces []string `json:"namespaces"`
}

// Allows reports whether triggers of a namespace may use the registry.
func (r Registry) Allows(namespace string) bool { return allows(r.Namespaces, namespace) }

// Registries is an immutable list.
type Registries []Registry

// Named returns the registry with a name.
func (rs Registries) Named(name string) (Registry, bool) {
	i := slices.IndexFunc(rs, func(r Registry) bool { return r.Name == name })
	if i < 0 {
		return Registry{}, false
	}
	return rs[i], true
}

// Policy reports whether Revet may read a host for triggers of a namespace, and whether the host
// uses plain HTTP.
func (rs Registries) Policy(host, namespace string) (insecure, ok bool) {
	for _, r := range rs {
		if strings.EqualFold(r.Host, host) && r.Allows(namespace) {
			return r.Insecure, true
		}
	}
	return false, false
}

// Hosts returns the hosts that triggers of a namespace may use, for messages.
func (rs Registries) Hosts(namespace string) []string {
	var hosts []string
	for _, r := range rs {
		if r.Allows(namespace) {
			hosts = append(hosts, r.Host)
		}
	}
	return hosts
}

var (
	namePattern      = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	namespacePattern = namePattern
	triggerPattern   = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$`)
)

// ParseRegistries reads the list strictly.
func ParseRegistries(document string) (Registries, error) {
	var rs Registries
	if err := yaml.UnmarshalStrict([]byte(document), &rs); err != nil {
		return nil, fmt.Errorf("expected a list of {name, host, insecure, vendor, namespaces}: %w", err)
	}
	for i, r := range rs {
		if err := r.validate(); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		for j, other := range rs[:i] {
			if other.Name == r.Name {
				return nil, fmt.Errorf("entries %d and %d have the same name %q; webhooks are told apart by it", j+1, i+1, r.Name)
			}
			if strings.EqualFold(other.Host, r.Host) && other.Insecure != r.Insecure {
				return nil, fmt.Errorf("entries %d and %d disagree on whether %q is insecure", j+1, i+1, r.Host)
			}
		}
	}
	return rs, nil
}

func (r Registry) validate() error {
	if !namePattern.MatchString(r.Name) {
		return fmt.Errorf("name %q is not a lower-case DNS label such as harbor", image.Cut(r.Name, 80))
	}
	if err := validHost(r.Host); err != nil {
		return err
	}
	if _, ok := webhook.VendorOf(r.Vendor); !ok {
		return fmt.Errorf("vendor %q is not known; Revet knows %s", image.Cut(r.Vendor, 80), strings.Join(webhook.Vendors(), ", "))
	}
	return validNamespaces(r.Namespaces)
}

func validHost(host string) error {
	if _, err := image.ParseRepository(host + "/x"); err != nil || strings.Contains(host, "/") {
		return fmt.Errorf("host %q is not host or host:port, without scheme or path", image.Cut(host, 80))
	}
	return nil
}

func validNamespaces(namespaces []string) error {
	if len(namespaces) == 0 {
		return fmt.Errorf(`namespaces is empty; list namespaces, or ["*"] for all`)
	}
	for _, n := range namespaces {
		if n != everyNamespace && !namespacePattern.MatchString(n) {
			return fmt.Errorf(`namespace %q is neither a namespace's name nor "*"`, image.Cut(n, 80))
		}
	}
	return nil
}

// everyNamespace means all namespaces.
const everyNamespace = "*"

func allows(namespaces []string, namespace string) bool {
	return slices.Contains(namespaces, everyNamespace) || slices.Contains(namespaces, namespace)
}
