package signature

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
	"io/fs"
	"os"
	"strings"

	"github.com/revet-dev/revet/pkg/pipeline/result"
)

const (
	keySuffix  = ".pub"
	maxKeys    = 32
	maxKeyFile = 64 << 10
	minRSA     = 2048
)

// Key is a trusted public key. The zero value verifies nothing.
type Key struct {
	// Name identifies the key in messages. It is the name of its file.
	Name   string
	public crypto.PublicKey
}

// LoadKeys reads all files ending in .pub in a directory. The directory may be missing or have no
// such files.
func LoadKeys(dir string) ([]Key, error) {
	files := os.DirFS(dir)
	names, err := fs.Glob(files, "*"+keySuffix)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	var keys []Key
	for _, name := range names {
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
		parsed, err := ParseKeys(strings.TrimSuffix(name, keySuffix), raw)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", name, err)
		}
		keys = append(keys, parsed...)
	}
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("found %d keys; the limit is %d", len(keys), maxKeys)
	}
	return keys, nil
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

// Part returns the digest of keys, whose order does not count.
func Part(keys []Key) (string, error) {
	values := map[string]string{}
	for _, k := range keys {
		der, err := x509.MarshalPKIXPublicKey(k.public)
		if err != nil {
			return "", fmt.Errorf("key %q: %w", k.Name, err)
		}
		values[string(der)] = "" // a name decides nothing
	}
	return result.PartOf(values), nil
}

func parsePublic(block *pem.Block) (crypto.PublicKey, error) {
	if block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("it holds a %q; use a PUBLIC KEY, like cosign.pub", block.Type)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("cannot read it: %w", err)
	}
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return nil, fmt.Errorf("it is on the curve %s; the only supported curve for ECDSA is P-256", k.Params().Name)
		}
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSA {
			return nil, fmt.Errorf("it is an RSA key of %d bits; use at least %d", k.N.BitLen(), minRSA)
		}
	case ed25519.PublicKey:
	default:
		return nil, fmt.Errorf("it is a %T; supported are ECDSA on P-256, RSA and Ed25519", public)
	}
	return public, nil
}

// verify reports whether k made sig over message.
func (k Key) verify(message, sig []byte) bool {
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

// signer returns the name of the first of keys that made sig over message.
func signer(keys []Key, message, sig []byte) (string, error) {
	for _, k := range keys {
		if k.verify(message, sig) {
			return k.Name, nil
		}
	}
	return "", errUntrusted
}

var errUntrusted = errors.New("no trusted key made it")
