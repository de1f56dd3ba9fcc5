package image

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// digestPrefix is the only algorithm that registries and OpenShift use for
// manifests. Others are refused, not passed on.
const digestPrefix = "sha256:"

// Digest is the SHA-256 of a manifest or blob. The zero value is no digest.
type Digest struct {
	hex string // 64 lower-case hexadecimal digits, or empty
}

// ParseDigest reads "sha256:" and 64 lower-case hexadecimal digits.
func ParseDigest(s string) (Digest, error) {
	digits, ok := strings.CutPrefix(s, digestPrefix)
	if !ok {
		return Digest{}, fmt.Errorf("digest %q does not begin with %q", clip(s), digestPrefix)
	}
	if len(digits) != 64 || !isLowerHex(digits) {
		return Digest{}, fmt.Errorf("digest %q is not 64 lower-case hexadecimal digits", clip(s))
	}
	return Digest{hex: digits}, nil
}

// isLowerHex spares the many digests of an event encoding/hex's memory.
func isLowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// DigestOf returns the digest of content.
func DigestOf(content []byte) Digest {
	sum := sha256.Sum256(content)
	return Digest{hex: hex.EncodeToString(sum[:])}
}

// IsZero reports whether d is no digest.
func (d Digest) IsZero() bool { return d.hex == "" }

// Hex returns the 64 hexadecimal digits, or "" for no digest.
func (d Digest) Hex() string { return d.hex }

// String returns "sha256:<hex>", or "" for no digest.
func (d Digest) String() string {
	if d.IsZero() {
		return ""
	}
	return digestPrefix + d.hex
}

// MarshalText returns what String returns.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDigest reads.
func (d *Digest) UnmarshalText(b []byte) error {
	parsed, err := ParseDigest(string(b))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// clip bounds what a hostile value adds to an error message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
