package config

import (
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

// The objects that the Store reads, in Revet's own namespace.
const (
	RegistriesConfigMap   = "config-registries"
	RegistriesKey         = "registries.yaml"
	SinksConfigMap        = "config-sinks"
	SinksKey              = "sinks.yaml"
	CertificatesConfigMap = "registry-certificates"
	GateConfigMap         = "config-gate"
	ExcludeKey            = "exclude.yaml"
	ControllersKey        = "controllers.yaml"
	AttestationConfigMap  = "config-attestation"
	AttestedKey           = "triggers.yaml"
	TokensSecret          = "registry-webhooks"
)

// keysOf returns the keys that a ConfigMap may have, besides those that begin with _.
func keysOf(configMap string) []string {
	switch configMap {
	case RegistriesConfigMap:
		return []string{RegistriesKey}
	case SinksConfigMap:
		return []string{SinksKey}
	case GateConfigMap:
		return []string{ExcludeKey, ControllersKey}
	case AttestationConfigMap:
		return []string{AttestedKey}
	default:
		return nil
	}
}

// Store holds the latest good configuration. Until it has read an object, it allows nothing.
type Store struct {
	namespace string
	changed   func(object string, err error)

	mu           sync.RWMutex
	registries   Registries
	sinks        Sinks
	tokens       Tokens
	certificates Certificates
	exclusion    Exclusion
	controllers  Controllers
	attested     Attested
	problems     map[string]error
}

// NewStore returns a Store for the objects of a namespace. The Store calls changed, which may be
// nil, after each object that it read, or refused with an error.
func NewStore(namespace string, changed func(object string, err error)) *Store {
	if changed == nil {
		changed = func(string, error) {}
	}
	return &Store{namespace: namespace, changed: changed, exclusion: DefaultExclusion(), problems: map[string]error{}}
}

// Registries returns the latest good list.
func (s *Store) Registries() Registries {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.registries
}

// Policy answers like the latest good list's Registries.Policy. It is a registry.Policy.
func (s *Store) Policy(host, namespace string) (insecure, ok bool) {
	return s.Registries().Policy(host, namespace)
}

// Sinks returns the latest good list.
func (s *Store) Sinks() Sinks {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sinks
}

// Exclusion returns the latest good list of namespaces that no gate gates.
func (s *Store) Exclusion() Exclusion {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.exclusion
}

// Controllers returns the latest good list of users whose copies of templates count for
// break-glass; nil means the default.
func (s *Store) Controllers() Controllers {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.controllers
}

// Attested returns the latest good list of triggers whose verdicts may be signed.
func (s *Store) Attested() Attested {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.attested
}

// Tokens returns the latest good tokens.
func (s *Store) Tokens() Tokens {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tokens
}

// Authorities returns the latest good certificate authorities for a host; nil means the system's.
func (s *Store) Authorities(host string) *x509.CertPool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.certificates.For(host)
}

// Problems returns the errors of the objects in their present state.
func (s *Store) Problems() []error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(s.problems)) {
		problems = append(problems, s.problems[name])
	}
	return problems
}

// Handler feeds the store. Add it to informers for the namespace's ConfigMaps and for the Secret.
func (s *Store) Handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { s.observe(obj, false) },
		UpdateFunc: func(_, obj any) { s.observe(obj, false) },
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			s.observe(obj, true)
		},
	}
}

func (s *Store) observe(obj any, deleted bool) {
	switch o := obj.(type) {
	case *corev1.ConfigMap:
		if o.Namespace == s.namespace {
			s.observeConfigMap(o, deleted)
		}
	case *corev1.Secret:
		if o.Namespace == s.namespace && o.Name == TokensSecret {
			s.observeTokens(o.Data, deleted)
		}
	}
}

func (s *Store) observeConfigMap(o *corev1.ConfigMap, deleted bool) {
	name, data, binary := o.Name, o.Data, o.BinaryData
	if deleted {
		data, binary = nil, nil
	}
	switch name {
	case CertificatesConfigMap:
		certificates, err := ParseCertificates(data)
		for key := range binary {
			err = fmt.Errorf("key %q is binary; convert it: openssl x509 -inform der -in ca.der -out ca.crt", key)
		}
		s.accept(name, "", err, func() { s.certificates = certificates })
	case RegistriesConfigMap:
		document, err := document(name, data, RegistriesKey)
		var registries Registries
		if err == nil {
			registries, err = ParseRegistries(document)
		}
		s.accept(name, RegistriesKey, err, func() { s.registries = registries })
	case SinksConfigMap:
		document, err := document(name, data, SinksKey)
		var sinks Sinks
		if err == nil {
			sinks, err = ParseSinks(document)
		}
		s.accept(name, SinksKey, err, func() { s.sinks = sinks })
	case GateConfigMap:
		exclusion, err := ExclusionIn(data)
		if err != nil {
			s.accept(name, ExcludeKey, err, nil)
			return
		}
		controllers, err := ControllersIn(data)
		s.accept(name, ControllersKey, err, func() { s.exclusion, s.controllers = exclusion, controllers })
	case AttestationConfigMap:
		attested, err := AttestedIn(data)
		s.accept(name, AttestedKey, err, func() { s.attested = attested })
	}
}

// document returns the value of key. It refuses keys that the ConfigMap has no use for, because a
// misspelt key would silently allow nothing. Keys starting with _ are for humans.
func document(configMap string, data map[string]string, key string) (string, error) {
	known := keysOf(configMap)
	for _, other := range slices.Sorted(maps.Keys(data)) {
		if !slices.Contains(known, other) && !strings.HasPrefix(other, "_") {
			return "", fmt.Errorf("unknown key %q; Revet reads only %s", other, strings.Join(known, " and "))
		}
	}
	return data[key], nil
}

func (s *Store) observeTokens(data map[string][]byte, deleted bool) {
	if deleted {
		data = nil
	}
	tokens, err := ParseTokens(data)
	s.accept(TokensSecret, "", err, func() { s.tokens = tokens })
}

// accept stores the new content. On an error it keeps the last good content, and the error.
func (s *Store) accept(object, key string, err error, store func()) {
	if err != nil {
		where := object
		if key != "" {
			where += ", key " + key
		}
		err = fmt.Errorf("%s in namespace %s is not valid, and the last valid content stays in force: %w", where, s.namespace, err)
	}
	s.mu.Lock()
	if err != nil {
		s.problems[object] = err
	} else {
		delete(s.problems, object)
		store()
	}
	s.mu.Unlock()
	s.changed(object, err)
}
