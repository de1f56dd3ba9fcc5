package result

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
)

// The names of the parts that Revet's own steps decide by.
const (
	// PartRules is the file of validation rules.
	PartRules = "rules"
	// PartPolicy is the scan policy with its exceptions, and the OpenVEX documents.
	PartPolicy = "policy"
	// PartKeys are the trusted keys for signatures.
	PartKeys = "keys"
	// PartParameters are the parameters of the Tasks.
	PartParameters = "parameters"
	// PartDatabase is the vulnerability database.
	PartDatabase = "database"
	// PartSteps are the images and versions of the steps.
	PartSteps = "steps"
)

const (
	decidedFolder = "decided"
	maxDecided    = 64 << 10
	maxParts      = 8
	partSize      = 16
)

var (
	partName   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,19}$`)
	partDigest = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// Parts are what a step decided by: the digest of each part's content, by the part's name. A digest
// is the first 128 bits of SHA-256, in hexadecimal: a whole one is too long for a Task's result.
type Parts map[string]string

// PartOf returns the digest of values, whose order does not count. It hashes each name and each
// value after its length, so that no two sets of values are the same text.
func PartOf(values map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(h, "%d:%s=%d:%s\n", len(name), name, len(values[name]), values[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:partSize])
}

// PartOfDigest returns the digest of content whose own digest is known.
func PartOfDigest(d image.Digest) string { return d.Hex()[:min(2*partSize, len(d.Hex()))] }

// JoinParts joins what several steps or Tasks decided by, by their names. Whoever joins them has the
// empty name. If they differ in a part, its digest is that of what each tells, by the names. The part
// PartSteps always is that of each one's own, followed by the names of its parts. So two that exchange
// what they decide by, or one that decides by what another did, change the result.
func JoinParts(all map[string]Parts) Parts {
	told, tellers := map[string]map[string]string{}, map[string]string{}
	for who, parts := range all {
		for name, digest := range parts {
			if told[name] == nil {
				told[name] = map[string]string{}
			}
			told[name][who] = digest
		}
		tellers[who] = strings.Join(append([]string{parts[PartSteps]}, slices.Sorted(maps.Keys(parts))...), " ")
	}
	out := Parts{}
	for name, by := range told {
		if different := slices.Compact(slices.Sorted(maps.Values(by))); len(different) == 1 {
			out[name] = different[0]
		} else {
			out[name] = PartOf(by)
		}
	}
	if len(all) > 0 {
		out[PartSteps] = PartOf(tellers)
	}
	return out
}

// Digest returns the digest over p: SHA-256 over a line "NAME DIGEST" for each part, sorted by
// name.
func (p Parts) Digest() image.Digest {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s %s\n", name, p[name])
	}
	return image.DigestOf([]byte(b.String()))
}

// Check returns an error unless every name and digest has its form, and there are few.
func (p Parts) Check() error {
	if len(p) > maxParts {
		return fmt.Errorf("it names %d parts that it decided by; the limit is %d", len(p), maxParts)
	}
	for name, digest := range p {
		if !partName.MatchString(name) || !partDigest.MatchString(digest) {
			return fmt.Errorf("it decided by the part %q with the digest %q", Clip(name, 40), Clip(digest, 40))
		}
	}
	return nil
}

// ErrUndecided means that a step does not say what it decided by.
var ErrUndecided = errors.New("its step does not say what it decided by")

// WriteParts stores in the layout in dir what the step named step decided by. A step that makes a
// check goes by the name of the check.
func WriteParts(dir, step string, p Parts) error {
	path, err := partsPath(dir, step)
	if err != nil {
		return err
	}
	if err := p.Check(); err != nil {
		return fmt.Errorf("step %q: %w", step, err)
	}
	return partsFile(step).write(path, p)
}

// ReadParts returns what the step named step decided by, from the layout in dir. The error is
// ErrUndecided if it does not say so.
func ReadParts(dir, step string) (Parts, error) {
	path, err := partsPath(dir, step)
	if err != nil {
		return nil, err
	}
	var p Parts
	if err := partsFile(step).read(path, &p); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%q: %w", step, ErrUndecided)
	} else if err != nil {
		return nil, err
	}
	if len(p) == 0 {
		return nil, fmt.Errorf("%q: %w", step, ErrUndecided)
	}
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("step %q: %w", step, err)
	}
	return p, nil
}

func partsFile(step string) document {
	return document{Name: fmt.Sprintf("what step %q decided by", step), Limit: maxDecided}
}

func partsPath(dir, step string) (string, error) {
	if !checkPattern.MatchString(step) {
		return "", fmt.Errorf("%q is not the name of a step; it must match %s", step, checkPattern)
	}
	return filepath.Join(dir, decidedFolder, step+reportSuffix), nil
}
