package runresult

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The bounds of a Basis, in entries and in bytes of an entry. They are those of the
// ledger's type Verdict, or lower.
const (
	maxChecks    = 16
	maxOff       = 8
	MaxPlatforms = 16
	maxParts     = 16
	maxName      = 32
	maxPlatform  = 64
	maxReference = 512
	// PartSize is the number of hexadecimal digits of a part's digest that Parts shows.
	PartSize = 12
)

var (
	namePattern      = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	partPattern      = regexp.MustCompile(`^[0-9a-f]{12}$`)
	digestPattern    = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	platformPattern  = regexp.MustCompile(`^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?$`)
	referencePattern = regexp.MustCompile(`^[A-Za-z0-9.:-]+/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$`)
)

// Basis is what a verdict rests on. The zero value is not a basis.
type Basis struct {
	// Policy is the digest over everything that decided, as sha256:hex. It is empty if a
	// Task or a step did not tell what it decided by.
	Policy string `json:"policy,omitempty"`
	// Parts are the first PartSize hexadecimal digits of the digest of each part of Policy,
	// by the part's name. They are missing if they did not fit.
	Parts map[string]string `json:"parts,omitempty"`
	// Checks are those that looked at the image, and Off those that were switched off.
	Checks []string `json:"checks"`
	Off    []string `json:"off,omitempty"`
	// Platforms are those of the images that were looked at, as os/architecture[/variant].
	// PlatformsOmitted counts looked-at images whose platform is not listed.
	Platforms        []string `json:"platforms,omitempty"`
	PlatformsOmitted int32    `json:"platformsOmitted,omitempty"`
	// Unselected counts images of the index that nobody looked at.
	Unselected int32 `json:"unselected,omitempty"`
	// Database is the vulnerability database. It is nil if none was used.
	Database *BasisDatabase `json:"database,omitempty"`
	// Inventory is the list of packages that was judged. It is nil if there is none.
	Inventory *BasisInventory `json:"inventory,omitempty"`
}

// BasisDatabase identifies a vulnerability database.
type BasisDatabase struct {
	// Digest is that of the database's artefact, as sha256:hex.
	Digest string `json:"digest"`
	// AsOf is the time of its data.
	AsOf time.Time `json:"asOf,omitzero"`
}

// BasisInventory identifies a list of packages.
type BasisInventory struct {
	// Digest is SHA-256 over the inventory's bytes, as sha256:hex.
	Digest string `json:"digest"`
	// Reference is the artefact that stores these bytes, as host/repository@sha256:hex. It
	// is empty if none does.
	Reference string `json:"reference,omitempty"`
}

// ParseBasis parses the result BasisResult. It ignores fields that it does not know. It
// returns an error for a text of more than MaxBasis bytes, a field of the wrong type, a
// value out of its bounds, and a basis without a check.
func ParseBasis(text string) (Basis, error) {
	if len(text) > MaxBasis {
		return Basis{}, fmt.Errorf("the basis has %d bytes; at most %d are allowed", len(text), MaxBasis)
	}
	var b Basis
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return Basis{}, fmt.Errorf("decode basis: %w", err)
	}
	if err := b.check(); err != nil {
		return Basis{}, fmt.Errorf("the basis is invalid: %w", err)
	}
	return b, nil
}

// Encode returns b as JSON in one line, which ParseBasis reads. It returns an error if
// ParseBasis would.
func (b Basis) Encode() (string, error) {
	if err := b.check(); err != nil {
		return "", fmt.Errorf("the basis is invalid: %w", err)
	}
	text, err := json.Marshal(b)
	if err != nil {
		return "", fmt.Errorf("encode basis: %w", err)
	}
	if len(text) > MaxBasis {
		return "", fmt.Errorf("the basis has %d bytes; at most %d are allowed", len(text), MaxBasis)
	}
	return string(text), nil
}

func (b Basis) check() error {
	if b.Policy != "" && !digestPattern.MatchString(b.Policy) {
		return fmt.Errorf("policy %q is no digest", clip(b.Policy))
	}
	if err := b.checkNames(); err != nil {
		return err
	}
	if err := entries("platforms", b.Platforms, MaxPlatforms, maxPlatform, platformPattern); err != nil {
		return err
	}
	if b.PlatformsOmitted < 0 || b.Unselected < 0 {
		return errors.New("it has a negative count")
	}
	if d := b.Database; d != nil && !digestPattern.MatchString(d.Digest) {
		return fmt.Errorf("%q is no digest of a database", clip(d.Digest))
	}
	if i := b.Inventory; i != nil {
		if !digestPattern.MatchString(i.Digest) {
			return fmt.Errorf("%q is no digest of an inventory", clip(i.Digest))
		}
		if i.Reference != "" && (len(i.Reference) > maxReference || !referencePattern.MatchString(i.Reference)) {
			return fmt.Errorf("%q is no reference of an inventory", clip(i.Reference))
		}
	}
	return nil
}

// checkNames checks the names of checks and of parts.
func (b Basis) checkNames() error {
	if len(b.Checks) == 0 {
		return errors.New("no check looked at the image")
	}
	if err := entries("checks", b.Checks, maxChecks, maxName, namePattern); err != nil {
		return err
	}
	if err := entries("off", b.Off, maxOff, maxName, namePattern); err != nil {
		return err
	}
	for _, name := range b.Off {
		if slices.Contains(b.Checks, name) {
			return fmt.Errorf("check %q both looked and was switched off", name)
		}
	}
	if len(b.Parts) > maxParts {
		return fmt.Errorf("it has %d parts; at most %d are allowed", len(b.Parts), maxParts)
	}
	for name, part := range b.Parts {
		if len(name) > maxName || !namePattern.MatchString(name) || !partPattern.MatchString(part) {
			return fmt.Errorf("part %q with the digest %q", clip(name), clip(part))
		}
	}
	return nil
}

// entries checks a list of different entries.
func entries(what string, all []string, most, size int, pattern *regexp.Regexp) error {
	if len(all) > most {
		return fmt.Errorf("it has %d %s; at most %d are allowed", len(all), what, most)
	}
	for i, s := range all {
		if len(s) > size || !pattern.MatchString(s) || slices.Contains(all[:i], s) {
			return fmt.Errorf("%s: %q is invalid, or given twice", what, clip(s))
		}
	}
	return nil
}

// IsPlatform reports whether a Basis can list the platform p.
func IsPlatform(p string) bool { return len(p) <= maxPlatform && platformPattern.MatchString(p) }

// Count returns n as a count of a Basis.
func Count(n int) int32 { return int32(min(max(n, 0), math.MaxInt32)) }

// clip keeps what an error quotes short.
func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "..."
	}
	return s
}
