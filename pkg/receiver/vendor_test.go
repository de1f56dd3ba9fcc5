package receiver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

// acme is a vendor that exists in this test only: it signs its notifications, and tells
// images in a way of its own.
type acme struct{}

func (acme) Proof(r webhook.Request) (webhook.Proof, error) {
	sum, err := hex.DecodeString(r.Header.Get("X-Acme-Signature"))
	if err != nil || len(sum) == 0 {
		return webhook.Proof{}, errors.New("send the HMAC of the body as X-Acme-Signature")
	}
	return webhook.Signature(sha256.New, sum), nil
}

func (acme) Decode(_ webhook.Request, body []byte) ([]webhook.Claim, error) {
	var pushed struct{ Image, By string }
	if err := json.Unmarshal(body, &pushed); err != nil {
		return nil, &webhook.DecodeError{Reason: webhook.Malformed, Err: err}
	}
	path, tag, _ := strings.Cut(pushed.Image, ":")
	return []webhook.Claim{{Repository: path, Tag: tag, Actor: pushed.By}}, nil
}

// A vendor is one implementation of webhook.Vendor. Everything after it is shared.
func TestAVendorIsOneImplementation(t *testing.T) {
	sign := func(secret, body string) string {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(body))
		return hex.EncodeToString(mac.Sum(nil))
	}
	const body = `{"image":"team/app:v1","by":"somebody"}`
	for _, test := range []struct {
		name, signature, body string
		status, recorded      int
	}{
		{"signed", sign(fuzzToken, body), body, http.StatusAccepted, 1},
		{"not signed", "", body, http.StatusUnauthorized, 0},
		{"signed by somebody else", sign("another-token-of-nobody", body), body, http.StatusForbidden, 0},
		{"changed after it was signed", sign(fuzzToken, body), strings.Replace(body, "v1", "v2", 1), http.StatusForbidden, 0},
		{"not what the vendor sends", sign(fuzzToken, "x"), "x", http.StatusBadRequest, 0},
		{"not a push", sign(fuzzToken, "{}"), "{}", http.StatusAccepted, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, w, _ := witnessed(t)
			w.vendor = acme{}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/registries/hub", strings.NewReader(test.body))
			r.Header.Set("X-Acme-Signature", test.signature)
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			if answer.Code != test.status || w.recorded != test.recorded || len(w.invented) > 0 {
				t.Errorf("%d %q, %d recorded, %q invented; want %d, %d", answer.Code, answer.Body, w.recorded, w.invented, test.status, test.recorded)
			}
		})
	}
}

// A pushOf is a vendor's notification that team/app:v1 was pushed, with the header that a
// secret proves it by.
type pushOf func(secret string) (headers, body string)

// pushes has a push of each vendor in webhook.Vendors.
var pushes = map[string]pushOf{
	"distribution": func(secret string) (string, string) {
		return "Content-Type: " + webhook.DistributionV2 + "\nAuthorization: Bearer " + secret,
			`{"events":[{"action":"push","target":{"repository":"team/app","tag":"v1"}}]}`
	},
}

// Property: a push that any vendor tells is recorded, if one of the registry's tokens
// proves it, and only then.
func TestEveryVendorsPushIsRecorded(t *testing.T) {
	for _, name := range webhook.Vendors() {
		pushed, ok := pushes[name]
		if !ok {
			t.Errorf("pushes has no row for the vendor %q: add one", name)
			continue
		}
		for _, test := range []struct {
			secret           string
			status, recorded int
		}{
			{fuzzToken, http.StatusAccepted, 1},
			{"another-token-of-nobody", http.StatusForbidden, 0},
		} {
			t.Run(name+" with "+test.secret, func(t *testing.T) {
				h, w, _ := witnessed(t)
				w.vendor, _ = webhook.VendorOf(name)
				headers, body := pushed(test.secret)
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/registries/hub",
					strings.NewReader(body))
				r.Header = header(headers)
				answer := httptest.NewRecorder()
				h.ServeHTTP(answer, r)
				if answer.Code != test.status || w.recorded != test.recorded || len(w.invented) > 0 {
					t.Errorf("%d %q, %d recorded, %q invented; want %d, %d",
						answer.Code, answer.Body, w.recorded, w.invented, test.status, test.recorded)
				}
			})
		}
	}
}
