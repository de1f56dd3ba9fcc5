package config

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// Sink is a host that a trigger's sink.uri may name.
type Sink struct {
	// Host is host[:port], as in the URI.
	Host string `json:"host"`
	// Namespaces are the namespaces whose triggers may name the host; "*" means all.
	Namespaces []string `json:"namespaces"`
}

// Sinks is an immutable list.
type Sinks []Sink

// Allows reports whether triggers of a namespace may send to a host.
func (s Sinks) Allows(host, namespace string) bool {
	for _, sink := range s {
		if strings.EqualFold(sink.Host, host) && allows(sink.Namespaces, namespace) {
			return true
		}
	}
	return false
}

// ParseSinks reads the list strictly.
func ParseSinks(document string) (Sinks, error) {
	var sinks Sinks
	if err := yaml.UnmarshalStrict([]byte(document), &sinks); err != nil {
		return nil, fmt.Errorf("expected a list of {host, namespaces}: %w", err)
	}
	for i, s := range sinks {
		if err := validHost(s.Host); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		if err := validNamespaces(s.Namespaces); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
	}
	return sinks, nil
}
