package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash"
	"net/http"
	"strings"
)

// Proof is what a request shows to prove who sent it: a token, or a signature of the body.
type Proof struct {
	token string
	hash  func() hash.Hash
	sum   []byte
}

// Token is a Proof by a secret that the request carries.
func Token(presented string) Proof { return Proof{token: presented} }

// Signature is a Proof by the HMAC of the body with a secret.
func Signature(hash func() hash.Hash, sum []byte) Proof { return Proof{hash: hash, sum: sum} }

// OfBody reports whether the body is needed to check the Proof. A token is checked before
// the body is read.
func (p Proof) OfBody() bool { return p.hash != nil }

// Valid reports whether one of the secrets made the Proof. It takes the same time
// whichever of them it is, if any.
func (p Proof) Valid(secrets [][]byte, body []byte) bool {
	found := 0
	for _, secret := range secrets {
		if len(secret) > 0 {
			found |= p.by(secret, body)
		}
	}
	return found == 1
}

func (p Proof) by(secret, body []byte) int {
	if p.OfBody() {
		mac := hmac.New(p.hash, secret)
		mac.Write(body)
		return subtle.ConstantTimeCompare(mac.Sum(nil), p.sum)
	}
	// Hashes are of one length, whatever the lengths of the tokens.
	want, got := sha256.Sum256(secret), sha256.Sum256([]byte(p.token))
	return subtle.ConstantTimeCompare(want[:], got[:])
}

var errNoAuthorization = errors.New("send an Authorization header: Bearer with the token, or Basic with the token as the password")

// authorization is the Proof in an Authorization header, for the vendors that can send one
// of the operator's choice.
func authorization(h http.Header) (Proof, error) {
	r := http.Request{Header: h}
	if _, password, ok := r.BasicAuth(); ok {
		return Token(password), nil
	}
	scheme, token, ok := strings.Cut(h.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return Proof{}, errNoAuthorization
	}
	return Token(strings.TrimSpace(token)), nil
}
