package sigstore

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

// recorded is what cosign wrote, kept beside the code that reads signatures.
func recorded(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "pipeline", "signature", "testdata", "cosign", file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

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

// The zero value verifies nothing.
func TestZeroKey(t *testing.T) {
	if (Key{}).Verify(nil, nil) {
		t.Error("it verifies")
	}
}

// The encoding that is signed is that of the example in the DSSE protocol.
func TestPreAuthentication(t *testing.T) {
	const want = "DSSEv1 29 http://example.com/HelloWorld 11 hello world"
	if got := PreAuthentication("http://example.com/HelloWorld", []byte("hello world")); string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A bundle that lacks something is not written, and the same input gives the same bytes.
func TestNewBundle(t *testing.T) {
	whole, err := NewBundle("hint", StatementPayload, []byte("{}"), []byte("sig"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"hint"}},` +
		`"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"c2ln"}]}}`
	if string(whole) != want {
		t.Errorf("got %s, want %s", whole, want)
	}
	for _, b := range []struct{ hint, kind, payload, sig string }{
		{"", "t", "p", "s"}, {"h", "", "p", "s"}, {"h", "t", "", "s"}, {"h", "t", "p", ""},
	} {
		if raw, err := NewBundle(b.hint, b.kind, []byte(b.payload), []byte(b.sig)); err == nil {
			t.Errorf("%+v gives %s", b, raw)
		}
	}
}
