package sigstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

const (
	maxKeyFile = 64 << 10
	minRSA     = 2048
)

// Key is a trusted public key. The zero value verifies nothing.
type Key struct {
	// Name identifies the key in messages.
	Name   string
	public crypto.PublicKey
}

// NewKey returns the key of a public key, or an error if it is of a kind that does not count.
func NewKey(name string, public crypto.PublicKey) (Key, error) {
	if err := supported(public); err != nil {
		return Key{}, err
	}
	return Key{Name: name, public: public}, nil
}

// ParseKeys reads one or more public keys in PEM.
func ParseKeys(name string, raw []byte) ([]Key, error) {
	if len(raw) > maxKeyFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxKeyFile)
	}
	var keys []Key
	for {
		block, rest := pem.Decode(raw)
		if block == nil {
			break
		}
		raw = rest
		public, err := parsePublic(block)
		if err != nil {
			return nil, err
		}
		keys = append(keys, Key{Name: name, public: public})
	}
	if len(keys) == 0 || strings.TrimSpace(string(raw)) != "" {
		return nil, errors.New("it must hold nothing but public keys in PEM, like cosign.pub")
	}
	return keys, nil
}

func parsePublic(block *pem.Block) (crypto.PublicKey, error) {
	if block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("it holds a %q; use a PUBLIC KEY, like cosign.pub", block.Type)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("cannot read it: %w", err)
	}
	return public, supported(public)
}

func supported(public crypto.PublicKey) error {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return fmt.Errorf("it is on the curve %s; the only supported curve for ECDSA is P-256", k.Params().Name)
		}
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSA {
			return fmt.Errorf("it is an RSA key of %d bits; use at least %d", k.N.BitLen(), minRSA)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("it is a %T; supported are ECDSA on P-256, RSA and Ed25519", public)
	}
	return nil
}

// DER returns the key as a SubjectPublicKeyInfo.
func (k Key) DER() ([]byte, error) { return x509.MarshalPKIXPublicKey(k.public) }

// Verify reports whether k made sig over message.
func (k Key) Verify(message, sig []byte) bool {
	switch public := k.public.(type) {
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(message)
		return ecdsa.VerifyASN1(public, sum[:], sig)
	case *rsa.PublicKey:
		sum := sha256.Sum256(message)
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], sig) == nil
	case ed25519.PublicKey:
		// cosign signs the hash since version 2, and signed the message before.
		sum := sha512.Sum512(message)
		return ed25519.Verify(public, message, sig) ||
			ed25519.VerifyWithOptions(public, sum[:], sig, &ed25519.Options{Hash: crypto.SHA512}) == nil
	default:
		return false
	}
}

// Signer returns the name of the first of keys that made sig over message.
func Signer(keys []Key, message, sig []byte) (string, error) {
	for _, k := range keys {
		if k.Verify(message, sig) {
			return k.Name, nil
		}
	}
	return "", ErrUntrusted
}

// ErrUntrusted means that no trusted key made a signature.
var ErrUntrusted = errors.New("no trusted key made it")
