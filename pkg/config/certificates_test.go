package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/config"
)

// authority makes a certificate authority.
func authority(t *testing.T, name string) (*x509.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return made, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
}

func trusts(pool *x509.CertPool, c *x509.Certificate) bool {
	if pool == nil {
		return false
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

// An authority counts for the hosts that its key names, and for no other.
func TestCertificatesAreByHost(t *testing.T) {
	own, ownPEM := authority(t, "own")
	all, allPEM := authority(t, "all")
	c, err := config.ParseCertificates(map[string]string{
		"registry.example.com..5000": "made by ops\n" + ownPEM, "company.crt": allPEM, "_about": "ask ops",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		host     string
		own, all bool
	}{
		{"registry.example.com:5000", true, true},
		{"Registry.Example.com:5000", true, true},
		{"registry.example.com", false, true},
		{"registry.example.com:5001", false, true},
		{"other.example.com", false, true},
	} {
		pool := c.For(test.host)
		if trusts(pool, own) != test.own || trusts(pool, all) != test.all {
			t.Errorf("%s trusts its own: %t, the common one: %t; want %t, %t", test.host, trusts(pool, own), trusts(pool, all), test.own, test.all)
		}
		if pool != c.For(test.host) {
			t.Errorf("%s has another pool each time, and so no connections to use again", test.host)
		}
	}
	if (config.Certificates{}).For("registry.example.com") != nil {
		t.Error("without certificates, the system's do not count")
	}
}

func TestCertificatesThatCannotBeReadSayWhy(t *testing.T) {
	_, good := authority(t, "good")
	for name, test := range map[string]struct{ key, document, want string }{
		"nothing":               {"ca.crt", "", "holds no PEM certificate"},
		"something else":        {"ca.crt", "hello", "holds no PEM certificate"},
		"a private key":         {"ca.crt", good + "-----BEGIN PRIVATE KEY-----\nYQ==\n-----END PRIVATE KEY-----\n", `"PRIVATE KEY"`},
		"one that is cut":       {"ca.crt", good[:len(good)/2], "holds no PEM certificate"},
		"the second one is cut": {"ca.crt", good + good[:len(good)/2], "is cut or damaged after certificate 1"},
		"no certificate in it":  {"ca.crt", "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n", "cannot parse certificate 1"},
		"a key that is no host": {"my authority", good, `write ".." for the colon`},
		"a key with one dot":    {"registry_5000", good, "is not host or host:port"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.ParseCertificates(map[string]string{test.key: test.document})
			if err == nil || !strings.Contains(err.Error(), `key "`+test.key+`"`) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one naming the key and %q", err, test.want)
			}
		})
	}
}

// The operator replaces an authority while Revet runs. A broken one does not take away the
// last good one.
func TestStoreReloadsCertificates(t *testing.T) {
	first, firstPEM := authority(t, "first")
	second, secondPEM := authority(t, "second")
	s := config.NewStore("revet-system", nil)
	h := s.Handler()
	const host = "registry.example.com:5000"
	check := func(when string, trustsFirst, trustsSecond bool, problem string) {
		t.Helper()
		pool := s.Authorities(host)
		if trusts(pool, first) != trustsFirst || trusts(pool, second) != trustsSecond {
			t.Errorf("%s: trusts the first: %t, the second: %t", when, trusts(pool, first), trusts(pool, second))
		}
		problems := s.Problems()
		if (len(problems) > 0) != (problem != "") || (problem != "" && !strings.Contains(problems[0].Error(), problem)) {
			t.Errorf("%s: problems %v, want %q", when, problems, problem)
		}
	}
	object := func(document string) *corev1.ConfigMap {
		return configMap(config.CertificatesConfigMap, "registry.example.com..5000", document)
	}
	check("before", false, false, "")
	h.OnAdd(object(firstPEM), true)
	check("added", true, false, "")
	h.OnUpdate(object(firstPEM), object("broken"))
	check("broken", true, false, "registry-certificates in namespace revet-system is not valid, and the last valid content stays in force")
	binary := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: config.CertificatesConfigMap}, BinaryData: map[string][]byte{"ca.crt": first.Raw}}
	h.OnUpdate(object("broken"), binary)
	check("as DER", true, false, "openssl x509 -inform der")
	h.OnUpdate(binary, object(secondPEM))
	check("replaced", false, true, "")
	h.OnDelete(object(secondPEM))
	check("deleted", false, false, "")
}
