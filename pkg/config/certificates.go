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

// Certificates are authorities that may sign registries' certificates, in addition to the system's.
// The zero value adds none.
type Certificates struct {
	all   *x509.CertPool // nil: only the system's
	hosts map[string]*x509.CertPool
}

// For returns the authorities for a host; nil means the system's. It returns the same pool each
// time.
func (c Certificates) For(host string) *x509.CertPool {
	if pool, ok := c.hosts[strings.ToLower(host)]; ok {
		return pool
	}
	return c.all
}

// allHosts is the suffix of keys whose authorities apply to every registry, as in a namespace's
// ConfigMap revet-registries.
const allHosts = ".crt"

// ParseCertificates parses PEM certificates by key. A key is a host, with ".." instead of the colon
// before a port, as in the ConfigMap that OpenShift's additionalTrustedCA names. A key ending in
// .crt applies to every registry.
func ParseCertificates(data map[string]string) (Certificates, error) {
	c := Certificates{hosts: map[string]*x509.CertPool{}}
	var common []*x509.Certificate
	own := map[string][]*x509.Certificate{}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if strings.HasPrefix(key, "_") {
			continue // for humans
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

// poolOf adds certificates to the system's. It is not an error if the container image has no system
// certificates.
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

// parsePEM parses one or more certificates and refuses anything else.
func parsePEM(document string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	rest := []byte(document)
	for {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("holds a PEM block %q; only CERTIFICATE blocks belong here, because everybody who can read ConfigMaps can read them", image.Cut(block.Type, 80))
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("cannot parse certificate %d: %w", len(all)+1, err)
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
