package image

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// digestPrefix is the only algorithm that registries and OpenShift use for manifests. Parsing
// refuses all others.
const digestPrefix = "sha256:"

// Digest is the SHA-256 of a manifest or blob. The zero value is not a digest.
type Digest struct {
	hex string // 64 lower-case hexadecimal digits, or empty
}

// ParseDigest parses "sha256:" followed by 64 lower-case hexadecimal digits.
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

// isLowerHex avoids the allocation of encoding/hex for the many digests in an event.
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

// IsZero reports whether d is the zero value.
func (d Digest) IsZero() bool { return d.hex == "" }

// Hex returns the 64 hexadecimal digits, or "" for the zero value.
func (d Digest) Hex() string { return d.hex }

// String returns "sha256:<hex>", or "" for the zero value.
func (d Digest) String() string {
	if d.IsZero() {
		return ""
	}
	return digestPrefix + d.hex
}

// MarshalText returns the same text as String.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText accepts the same text as ParseDigest.
func (d *Digest) UnmarshalText(b []byte) error {
	parsed, err := ParseDigest(string(b))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// clip bounds how much a hostile value can add to an error message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
