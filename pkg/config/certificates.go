package config

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
)

// Certificates are the authorities that registries' certificates may be signed by, beside
// the system's. The zero value adds none.
type Certificates struct {
	all   *x509.CertPool // nil: the system's only
	hosts map[string]*x509.CertPool
}

// For returns the authorities of a host; nil means the system's. It returns the same pool
// each time.
func (c Certificates) For(host string) *x509.CertPool {
	if pool, ok := c.hosts[strings.ToLower(host)]; ok {
		return pool
	}
	return c.all
}

// allHosts ends the keys whose authorities count for every registry, as in the ConfigMap
// revet-registries of a namespace.
const allHosts = ".crt"

// ParseCertificates reads PEM certificates by key. A key is a host, with ".." in place of
// the colon before a port, as in the ConfigMap that OpenShift's additionalTrustedCA names.
// A key that ends in .crt counts for every registry.
func ParseCertificates(data map[string]string) (Certificates, error) {
	c := Certificates{hosts: map[string]*x509.CertPool{}}
	var common []*x509.Certificate
	own := map[string][]*x509.Certificate{}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if strings.HasPrefix(key, "_") {
			continue // for people
		}
		certificates, err := parsePEM(data[key])
		if err != nil {
			return Certificates{}, fmt.Errorf("key %q: %w", image.Cut(key, 80), err)
		}
		if strings.HasSuffix(key, allHosts) {
			common = append(common, certificates...)
			continue
		}
		host := strings.ToLower(strings.ReplaceAll(key, "..", ":"))
		if err := validHost(host); err != nil {
			return Certificates{}, fmt.Errorf(`key %q: %w; write ".." for the colon, or end the key in .crt to trust the authority for every registry`, image.Cut(key, 80), err)
		}
		own[host] = append(own[host], certificates...)
	}
	if len(common) > 0 {
		c.all = poolOf(common)
	}
	for host, certificates := range own {
		c.hosts[host] = poolOf(append(certificates, common...))
	}
	return c, nil
}

// poolOf adds certificates to the system's. An image without the system's is no error.
func poolOf(certificates []*x509.Certificate) *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, c := range certificates {
		pool.AddCert(c)
	}
	return pool
}

// parsePEM reads one or more certificates, and nothing else.
func parsePEM(document string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	rest := []byte(document)
	for {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("holds a PEM block %q; only CERTIFICATE blocks belong here, and everybody who may read ConfigMaps can read them", image.Cut(block.Type, 80))
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be parsed: %w", len(all)+1, err)
		}
		all, rest = append(all, certificate), after
	}
	switch {
	case len(all) == 0:
		return nil, errors.New("holds no PEM certificate; it begins with -----BEGIN CERTIFICATE-----")
	case bytes.Contains(rest, []byte("-----BEGIN")):
		return nil, fmt.Errorf("is cut or damaged after certificate %d", len(all))
	default:
		return all, nil
	}
}
