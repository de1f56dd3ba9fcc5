package taskresult

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// Result is the joined result of the checks of one Task. The zero value is none.
type Result struct {
	// Digest is what was looked at: an image or an index.
	Digest image.Digest `json:"digest"`
	// Images are those that were looked into. It is missing where a check looks at
	// the digest alone, as that of a signature does.
	Images *Images `json:"images,omitempty"`
	// Platforms are those of the images, the first few.
	Platforms []string `json:"platforms,omitempty"`
	Checks    []Check  `json:"checks"`
	// Errors and Warnings count all findings, Levels the vulnerabilities.
	Errors   int            `json:"errors,omitempty"`
	Warnings int            `json:"warnings,omitempty"`
	Levels   map[string]int `json:"levels,omitempty"`
	// Waived is how many of the warnings fail nothing because somebody said so.
	Waived int `json:"waived,omitempty"`
	// Gaps counts, by rule, what nobody could look at, waived or not.
	Gaps map[string]int `json:"gaps,omitempty"`
	// Packages counts, by kind, what a scanner found in all images; Distributions are
	// what it took them for, the first few.
	Packages      map[string]int `json:"packages,omitempty"`
	Distributions []string       `json:"distributions,omitempty"`
	Findings      []Finding      `json:"findings,omitempty"`
	// Omitted is how many findings are counted and not listed.
	Omitted   int              `json:"omitted,omitempty"`
	Database  *result.Database `json:"database,omitempty"`
	Signature Signature        `json:"signature,omitempty"`
	// Report is an OCI reference of the full report.
	Report string `json:"report,omitempty"`
	// Unpublished is why there is no report, if there should be one.
	Unpublished string `json:"unpublished,omitempty"`
}

// Images tells of a set of images, so that Tasks that looked into different ones
// are not taken for having looked into the same.
type Images struct {
	N int `json:"n"`
	// Hash is the first 128 bits of SHA-256 over the sorted digests.
	Hash string `json:"hash"`
	// Unselected is how many images of the index nobody chose to check.
	Unselected int `json:"unselected,omitempty"`
}

// Check is a check that reported.
type Check struct {
	Name string `json:"name"`
	// Rules is how many it applied, and Unapplied how many it could not.
	Rules     int `json:"rules,omitempty"`
	Unapplied int `json:"unapplied,omitempty"`
	// Off says that it was switched off and looked at nothing.
	Off bool `json:"off,omitempty"`
}

// Finding is a rule that did not hold, or a vulnerability.
type Finding struct {
	Check    string          `json:"check"`
	Rule     string          `json:"rule"`
	Severity result.Severity `json:"severity"`
	// Level is that of a vulnerability.
	Level string `json:"level,omitempty"`
	// Platform lists the platforms that it is told of.
	Platform string `json:"platform,omitempty"`
	Message  string `json:"message"`
	// Times is how many findings it stands for; 0 stands for one.
	Times int `json:"times,omitempty"`
	// Waiver is why it fails nothing, where somebody said so.
	Waiver *Waiver `json:"waiver,omitempty"`
}

// Waiver is who says that a finding fails nothing, and why, clipped.
type Waiver struct {
	Reason  string    `json:"reason"`
	Owner   string    `json:"owner,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
	By      string    `json:"by"`
}

// Signature is what is known of signatures.
type Signature string

// The states of signatures. The zero value says nothing.
const (
	// SignatureValid: a trusted key signed the digest.
	SignatureValid Signature = "valid"
	// SignatureInvalid: there are signatures, and none is by a trusted key.
	SignatureInvalid Signature = "invalid"
	// SignatureNone: there is no signature.
	SignatureNone Signature = "none"
	// SignatureOff: nobody looked.
	SignatureOff Signature = "off"
)

// Of joins the reports of the checks on tree. Each of expected must have
// reported, unless off switches it off.
func Of(tree oci.Tree, expected, off []string, reports []result.Report) (Result, error) {
	if len(expected) == 0 {
		return Result{}, errors.New("no check is expected; an image that nothing checked does not pass")
	}
	o := Result{Digest: tree.Root.Digest, Images: imagesOf(tree), Platforms: platforms(tree)}
	seen := map[string]bool{}
	for _, r := range reports {
		switch {
		case seen[r.Check]:
			return Result{}, fmt.Errorf("check %q reported twice", r.Check)
		case !slices.Contains(expected, r.Check):
			return Result{}, fmt.Errorf("check %q reported and is not expected; add it to --expect, or remove its step", r.Check)
		}
		seen[r.Check] = true
		if err := covers(r, tree); err != nil {
			return Result{}, fmt.Errorf("check %q: %w", r.Check, err)
		}
		o.Checks = append(o.Checks, Check{Name: r.Check, Rules: r.Rules, Unapplied: len(r.Unapplied)})
	}
	for _, check := range expected {
		switch {
		case seen[check]:
		case slices.Contains(off, check):
			o.Checks = append(o.Checks, Check{Name: check, Off: true})
		default:
			return Result{}, fmt.Errorf("check %q: %w", check, result.ErrNoReport)
		}
	}
	if err := o.add(reports); err != nil {
		return Result{}, err
	}
	return o, nil
}

// covers reports an error unless r looked at all of tree, and at that only.
func covers(r result.Report, tree oci.Tree) error {
	if r.Digest != tree.Root.Digest {
		return fmt.Errorf("it looked at %s, and %s was fetched", r.Digest, tree.Root.Digest)
	}
	if r.Rules <= 0 {
		return errors.New("it applied no rule")
	}
	looked := map[image.Digest]bool{}
	for _, i := range r.Images {
		looked[i.Digest] = true
	}
	for _, i := range tree.Images {
		if !looked[i.Manifest.Digest] {
			return fmt.Errorf("it did not look at the image %s (%s)", i.Manifest.Digest, i.Config.Platform)
		}
	}
	return nil
}

func imagesOf(tree oci.Tree) *Images {
	var digests []string
	for _, i := range tree.Images {
		digests = append(digests, i.Manifest.Digest.String())
	}
	slices.Sort(digests)
	sum := sha256.Sum256([]byte(strings.Join(digests, "\n")))
	return &Images{N: len(tree.Images), Hash: hex.EncodeToString(sum[:hashSize]), Unselected: len(tree.Unselected)}
}

func platforms(tree oci.Tree) []string {
	var all []string
	for _, i := range tree.Images {
		if len(all) == maxPlatforms {
			break
		}
		all = append(all, platform(i.Config.String()))
	}
	return all
}
