package attestation

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/sigstore"
)

// Signer signs statements. A key in memory is one; a key management service would be another.
type Signer interface {
	// ID identifies the key, its material included.
	ID() string
	// Sign returns the signature of message. The same message has to give the same signature,
	// or a statement that was recorded before a crash is replaced and not sent again.
	Sign(ctx context.Context, message []byte) ([]byte, error)
}

const (
	keySuffix  = ".pem"
	maxKeys    = 16
	maxKeyFile = 16 << 10
	dayFormat  = "2006-01-02"
	// idDigits of a key's fingerprint tell two keys of one name apart.
	idDigits = 12
)

// namePattern is that of a key: the day from which it signs, and what people add to it.
var namePattern = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2})(\.[A-Za-z0-9][A-Za-z0-9._-]{0,62})?$`)

// PrivateKey is a key that signs from a day on.
type PrivateKey struct {
	name   string
	from   time.Time
	id     string
	signer crypto.Signer
}

var _ Signer = PrivateKey{}

// ID implements Signer: the key's name, and the beginning of its fingerprint.
func (k PrivateKey) ID() string { return k.id }

// Sign implements Signer. Both kinds sign without randomness: ECDSA as RFC 6979 says, and
// Ed25519 the message itself. "cosign attest" signs a hash with Ed25519, but "cosign verify",
// given the public key, takes only what signs the message, as DSSE asks.
func (k PrivateKey) Sign(_ context.Context, message []byte) ([]byte, error) {
	switch k.signer.(type) {
	case *ecdsa.PrivateKey:
		sum := sha256.Sum256(message)
		return k.signer.Sign(nil, sum[:], crypto.SHA256)
	case ed25519.PrivateKey:
		return k.signer.Sign(nil, message, crypto.Hash(0))
	default:
		return nil, errors.New("there is no key")
	}
}

// Public returns the key by which others verify.
func (k PrivateKey) Public() (sigstore.Key, error) {
	if k.signer == nil {
		return sigstore.Key{}, errors.New("there is no key")
	}
	return sigstore.NewKey(k.id, k.signer.Public())
}

// Ring holds the keys whose signatures count. It is immutable; the zero value has none.
type Ring struct{ keys []PrivateKey }

// ParseRing reads keys by file name: 2026-11-30.pem holds the key that signs from that day on,
// 00:00 UTC. What stands between the day and .pem is for people. A file of another name, or
// one that holds anything but one key, is an error, and not one key less: its signatures would
// be removed.
func ParseRing(files map[string][]byte) (Ring, error) {
	var r Ring
	for _, file := range slices.Sorted(maps.Keys(files)) {
		k, err := parsePrivate(file, files[file])
		if err != nil {
			return Ring{}, fmt.Errorf("key %.80q: %w", file, err)
		}
		r.keys = append(r.keys, k)
	}
	if len(r.keys) > maxKeys {
		return Ring{}, fmt.Errorf("found %d keys; the limit is %d", len(r.keys), maxKeys)
	}
	return r, nil
}

func parsePrivate(file string, raw []byte) (PrivateKey, error) {
	name, ok := strings.CutSuffix(file, keySuffix)
	parts := namePattern.FindStringSubmatch(name)
	if !ok || parts == nil {
		return PrivateKey{}, errors.New("its name is not the day from which it signs, like 2026-11-30.pem")
	}
	from, err := time.Parse(dayFormat, parts[1])
	if err != nil {
		return PrivateKey{}, errors.New("its name does not begin with a day, like 2026-11-30.pem")
	}
	if len(raw) > maxKeyFile {
		return PrivateKey{}, fmt.Errorf("it is larger than %d bytes", maxKeyFile)
	}
	signer, err := decodePrivate(raw)
	if err != nil {
		return PrivateKey{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return PrivateKey{}, errors.New("it has no public key")
	}
	return PrivateKey{name, from, fmt.Sprintf("%s:%x", name, sha256.Sum256(der))[:len(name)+1+idDigits], signer}, nil
}

// decodePrivate reads one key. Its errors never quote what it read.
func decodePrivate(raw []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(raw)
	switch {
	case block == nil || strings.TrimSpace(string(rest)) != "":
		return nil, errors.New("it must hold one private key in PEM and nothing else; make one with: openssl genpkey -algorithm ED25519")
	case block.Type != "PRIVATE KEY":
		return nil, errors.New("it is no unencrypted PKCS#8 key (PRIVATE KEY); convert it: openssl pkcs8 -topk8 -nocrypt")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it cannot be read as PKCS#8")
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() {
			return nil, errors.New("the only supported curve for ECDSA is P-256")
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	default:
		return nil, errors.New("supported are ECDSA on P-256 and Ed25519")
	}
}

// Empty reports whether the ring has no key. What an empty ring does not have is not known to
// be revoked: the Secret may just be missing.
func (r Ring) Empty() bool { return len(r.keys) == 0 }

// Current returns the key that signs now: the newest one whose day has come.
func (r Ring) Current(now time.Time) (PrivateKey, bool) {
	for _, k := range slices.Backward(r.keys) {
		if !k.from.After(now) {
			return k, true
		}
	}
	return PrivateKey{}, false
}

// Find returns the key with an id.
func (r Ring) Find(id string) (PrivateKey, bool) {
	i := slices.IndexFunc(r.keys, func(k PrivateKey) bool { return k.id == id })
	if i < 0 {
		return PrivateKey{}, false
	}
	return r.keys[i], true
}

// IDs returns the ids of all keys, for messages.
func (r Ring) IDs() []string {
	ids := make([]string, len(r.keys))
	for i := range r.keys {
		ids[i] = r.keys[i].id
	}
	return ids
}
