package image

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// Tags and paths follow the grammar of the OCI distribution specification. Hosts follow the
// reference grammar of CNCF Distribution, without user information.
var (
	hostPattern = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]{1,5})?$`)
	pathPattern = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagPattern  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
)

// maxRepository is the longest path that registries accept.
const maxRepository = 255

// Repository is a registry's host, with its port, and a path there.
type Repository struct {
	host string
	path string
}

// ParseRepository parses host[:port]/path. It assumes no default host.
func ParseRepository(s string) (Repository, error) {
	host, path, ok := strings.Cut(s, "/")
	if !ok || !hostPattern.MatchString(host) {
		return Repository{}, fmt.Errorf("repository %q does not begin with a registry host and a slash", clip(s))
	}
	if len(path) > maxRepository || !pathPattern.MatchString(path) {
		return Repository{}, fmt.Errorf("repository %q has no valid path after its host", clip(s))
	}
	return Repository{host: host, path: path}, nil
}

// IsZero reports whether r is the zero value.
func (r Repository) IsZero() bool { return r.path == "" }

// Host returns the registry's host, with port if it has one.
func (r Repository) Host() string { return r.host }

// Path returns the repository's path on its registry.
func (r Repository) Path() string { return r.path }

// String returns host/path, or "" for the zero value.
func (r Repository) String() string {
	if r.IsZero() {
		return ""
	}
	return r.host + "/" + r.path
}

// At returns the reference of d in r.
func (r Repository) At(d Digest) Reference { return Reference{repository: r, digest: d} }

// Reference is a repository and a digest. Revet pulls by Reference, never by tag.
type Reference struct {
	repository Repository
	digest     Digest
}

// ParseReference parses host/path@sha256:hex. It refuses a tag before the @, because a pull would
// ignore it.
func ParseReference(s string) (Reference, error) {
	name, digest, ok := strings.Cut(s, "@")
	if !ok {
		return Reference{}, fmt.Errorf("reference %q names no digest; write host/path@sha256:hex", clip(s))
	}
	r, err := ParseRepository(name)
	if err != nil {
		return Reference{}, err
	}
	d, err := ParseDigest(digest)
	if err != nil {
		return Reference{}, err
	}
	return Reference{repository: r, digest: d}, nil
}

// Repository returns the repository.
func (r Reference) Repository() Repository { return r.repository }

// Digest returns the digest.
func (r Reference) Digest() Digest { return r.digest }

// IsZero reports whether r is not a complete reference.
func (r Reference) IsZero() bool { return r.repository.IsZero() || r.digest.IsZero() }

// String returns host/path@sha256:hex, or "" for the zero value.
func (r Reference) String() string {
	if r.IsZero() {
		return ""
	}
	return r.repository.String() + "@" + r.digest.String()
}

// ValidTag reports whether s is a valid tag in the OCI distribution specification.
func ValidTag(s string) bool { return tagPattern.MatchString(s) }

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
