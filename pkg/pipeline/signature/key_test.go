package signature

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func pemOf(t *testing.T, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// A key that cannot be used is an error, and not one key less.
func TestParseKeysRefuses(t *testing.T) {
	wrong, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GODEBUG", "rsa1024min=0")
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good := string(recorded(t, "ecdsa.pub"))
	tests := []struct{ name, pem, want string }{
		{"nothing", "", "nothing but public keys"},
		{"no PEM", "cosign.pub", "nothing but public keys"},
		{"half a key after one", good + good[:60], "nothing but public keys"},
		{"a private key", strings.ReplaceAll(good, "PUBLIC KEY", "ENCRYPTED SIGSTORE PRIVATE KEY"), "use a PUBLIC KEY"},
		{"what is no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "cannot read it"},
		{"a curve that cosign does not use by default", pemOf(t, &wrong.PublicKey), "P-384"},
		{"a short RSA key", pemOf(t, &short.PublicKey), "1024 bits"},
		{"a large file", strings.Repeat(good, 1000), "larger than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if keys, err := ParseKeys("k", []byte(tt.pem)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%d keys, error %v; want %q", len(keys), err, tt.want)
			}
		})
	}
}

// All keys of a directory are trusted, several in a file too; other files, such
// as those that Kubernetes adds, are not read.
func TestLoadKeys(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old.pub", string(recorded(t, "ecdsa.pub"))+string(recorded(t, "rsa.pub")))
	write("new.pub", string(recorded(t, "ed25519.pub")))
	write("README", "no key")
	keys, err := LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, k := range keys {
		names = append(names, k.Name)
	}
	if got := strings.Join(names, " "); got != "new old old" {
		t.Errorf("keys are %q", got)
	}
	write("broken.pub", "x")
	if _, err := LoadKeys(dir); err == nil || !strings.Contains(err.Error(), "broken.pub") {
		t.Errorf("error is %v", err)
	}
	if keys, err := LoadKeys(filepath.Join(dir, "missing")); err != nil || keys != nil {
		t.Errorf("a missing directory gives %v, %v", keys, err)
	}
}

// The zero value verifies nothing.
func TestZeroKey(t *testing.T) {
	if (Key{}).verify(nil, nil) {
		t.Error("it verifies")
	}
}

// The digest of the keys changes with the keys, and neither with their order nor with their names.
func TestPart(t *testing.T) {
	keys := func(names ...string) string {
		t.Helper()
		var all []Key
		for i, name := range names {
			parsed, err := ParseKeys(strings.Repeat("k", i+1), recorded(t, name))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, parsed...)
		}
		part, err := Part(all)
		if err != nil {
			t.Fatal(err)
		}
		return part
	}
	both := keys("ecdsa.pub", "rsa.pub")
	if got := keys("rsa.pub", "ecdsa.pub"); got != both {
		t.Errorf("in another order the digest is %s, and not %s", got, both)
	}
	for _, names := range [][]string{nil, {"ecdsa.pub"}, {"rsa.pub"}, {"ecdsa.pub", "ed25519.pub"}} {
		if keys(names...) == both {
			t.Errorf("%q have the digest of others", names)
		}
	}
	if _, err := Part([]Key{{Name: "none"}}); err == nil {
		t.Error("the zero value has a digest")
	}
}
