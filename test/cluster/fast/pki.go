package fast

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// validity is longer than any test; clocks that differ a little are allowed for.
const (
	validity  = 7 * 24 * time.Hour
	tolerance = time.Hour
)

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key of authority %q: %w", name, err)
	}
	template, err := template(name)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate of authority %q: %w", name, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of authority %q: %w", name, err)
	}
	return &authority{certificate, key}, nil
}

func template(name string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("making a serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-tolerance), NotAfter: time.Now().Add(validity),
	}, nil
}

func (a *authority) pem() []byte { return certificatePEM(a.certificate.Raw) }

// client issues the certificate of a user in groups, as PEM.
func (a *authority) client(user string, groups []string) (certificate, key []byte, err error) {
	t, err := template(user)
	if err != nil {
		return nil, nil, err
	}
	t.Subject.Organization = groups
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.issue(t)
}

// server issues the certificate of a server on this machine, as PEM.
func (a *authority) server() (certificate, key []byte, err error) {
	t, err := template("kube-apiserver")
	if err != nil {
		return nil, nil, err
	}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	t.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(firstServiceIP)}
	return a.issue(t)
}

func (a *authority) issue(t *x509.Certificate) (certificate, key []byte, err error) {
	t.KeyUsage = x509.KeyUsageDigitalSignature
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making the key of %q: %w", t.Subject.CommonName, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.certificate, private.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("issuing the certificate of %q: %w", t.Subject.CommonName, err)
	}
	key, err = keyPEM(private)
	return certificatePEM(der), key, err
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// pki is what the API server and its clients need, in files below dir for the API server.
type pki struct {
	dir                    string
	ca                     *authority
	adminCert, adminSecret []byte
}

func newPKI(dir string) (*pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the directory of certificates: %w", err)
	}
	// A cluster that starts again on its data keeps its clients.
	if p, err := loadPKI(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	ca, err := newAuthority("fast-cluster")
	if err != nil {
		return nil, err
	}
	proxyCA, err := newAuthority("fast-cluster-front-proxy")
	if err != nil {
		return nil, err
	}
	serverCert, serverKey, err := ca.server()
	if err != nil {
		return nil, err
	}
	proxyCert, proxyKey, err := proxyCA.client(frontProxyUser, nil)
	if err != nil {
		return nil, err
	}
	adminCert, adminKey, err := ca.client("admin", []string{"system:masters"})
	if err != nil {
		return nil, err
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key of service accounts: %w", err)
	}
	signerKey, err := keyPEM(signer)
	if err != nil {
		return nil, err
	}
	caKey, err := keyPEM(ca.key)
	if err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{
		{"ca.crt", ca.pem()}, {"front-proxy-ca.crt", proxyCA.pem()},
		{"apiserver.crt", serverCert}, {"apiserver.key", serverKey},
		{"front-proxy.crt", proxyCert}, {"front-proxy.key", proxyKey},
		{"service-accounts.key", signerKey}, {adminCertFile, adminCert}, {adminKeyFile, adminKey},
		{caKeyFile, caKey}, // last: that it is there says that all are
	} {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.data, 0o600); err != nil {
			return nil, fmt.Errorf("writing certificates: %w", err)
		}
	}
	return &pki{dir, ca, adminCert, adminKey}, nil
}

// The files that only [loadPKI] reads.
const (
	caKeyFile     = "ca.key"
	adminCertFile = "admin.crt"
	adminKeyFile  = "admin.key"
)

// loadPKI reads what newPKI wrote. Its error is [fs.ErrNotExist] if that was nothing, or not all.
func loadPKI(dir string) (*pki, error) {
	files := map[string][]byte{}
	for _, name := range []string{caKeyFile, "ca.crt", adminCertFile, adminKeyFile} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("reading certificates: %w", err)
		}
		files[name] = content
	}
	pair, err := tls.X509KeyPair(files["ca.crt"], files[caKeyFile])
	if err != nil {
		return nil, fmt.Errorf("reading the authority in %q: %w", dir, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("reading the authority in %q: its key is a %T", dir, pair.PrivateKey)
	}
	return &pki{dir, &authority{pair.Leaf, key}, files[adminCertFile], files[adminKeyFile]}, nil
}

func (p *pki) file(name string) string { return filepath.Join(p.dir, name) }
