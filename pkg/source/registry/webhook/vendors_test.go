package webhook_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/http"
	"slices"
	"testing"

	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

// Every vendor of the table can be named by an operator, and asks for a proof.
func TestVendors(t *testing.T) {
	if names := webhook.Vendors(); !slices.Contains(names, webhook.DefaultVendor) {
		t.Errorf("vendors %q, want %q among them", names, webhook.DefaultVendor)
	}
	for _, name := range webhook.Vendors() {
		v, ok := webhook.VendorOf(name)
		if !ok {
			t.Errorf("vendor %q cannot be found", name)
		}
		if _, err := v.Proof(webhook.Request{Header: http.Header{}}); err == nil {
			t.Errorf("vendor %q takes a request that shows nothing", name)
		}
	}
	if _, ok := webhook.VendorOf("nobody"); ok {
		t.Error("a vendor that is not in the table was found")
	}
}

func TestProofs(t *testing.T) {
	old, current, body := []byte("old-token-of-the-registry"), []byte("new-token-of-the-registry"), []byte(`{"events":[]}`)
	secrets := [][]byte{old, nil, current}
	sign := func(h func() hash.Hash, secret []byte) []byte {
		mac := hmac.New(h, secret)
		mac.Write(body)
		return mac.Sum(nil)
	}
	for _, test := range []struct {
		name   string
		proof  webhook.Proof
		body   []byte
		ofBody bool
		want   bool
	}{
		{"the current token", webhook.Token(string(current)), nil, false, true},
		{"the old token, while both are listed", webhook.Token(string(old)), nil, false, true},
		{"another token", webhook.Token("guessed"), nil, false, false},
		{"the beginning of a token", webhook.Token(string(current[:10])), nil, false, false},
		{"no token", webhook.Token(""), nil, false, false},
		{"a signature with SHA-256", webhook.Signature(sha256.New, sign(sha256.New, current)), body, true, true},
		{"a signature with SHA-1", webhook.Signature(sha1.New, sign(sha1.New, old)), body, true, true},
		{"a signature of another body", webhook.Signature(sha256.New, sign(sha256.New, current)), []byte("{}"), true, false},
		{"a signature with another secret", webhook.Signature(sha256.New, sign(sha256.New, []byte("guessed"))), body, true, false},
		{"a signature with no secret", webhook.Signature(sha256.New, sign(sha256.New, nil)), body, true, false},
		{"an empty signature", webhook.Signature(sha256.New, nil), body, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.proof.OfBody() != test.ofBody {
				t.Errorf("of the body: %t, want %t", test.proof.OfBody(), test.ofBody)
			}
			if got := test.proof.Valid(secrets, test.body); got != test.want {
				t.Errorf("valid: %t, want %t", got, test.want)
			}
			if test.proof.Valid(nil, test.body) {
				t.Error("valid without any secret")
			}
		})
	}
}

func TestDistributionProvesByItsAuthorizationHeader(t *testing.T) {
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for header, want := range map[string]bool{
		"Bearer the-token": true, "bearer  the-token ": true, basic("any:the-token"): true, basic(":the-token"): true,
		"Bearer other": false, basic("the-token:"): false, "the-token": false, "Token the-token": false, "": false, "Bearer ": false,
	} {
		v, _ := webhook.VendorOf(webhook.DefaultVendor)
		proof, err := v.Proof(webhook.Request{Header: http.Header{"Authorization": {header}}})
		if got := err == nil && proof.Valid([][]byte{[]byte("the-token")}, nil); got != want {
			t.Errorf("%q: %t (%v), want %t", header, got, err, want)
		}
	}
}
