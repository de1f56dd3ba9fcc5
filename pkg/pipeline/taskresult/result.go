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

// Result is the joined result of the checks of one Task. The zero value is not a result.
type Result struct {
	// Digest is the checked image or index.
	Digest image.Digest `json:"digest"`
	// Images are the checked images. It is missing if the check looks at the digest only, as the
	// signature check does.
	Images *Images `json:"images,omitempty"`
	// Platforms are the platforms of the first few images, one for each image, without those
	// of which the index has images that nobody looked at.
	Platforms []string `json:"platforms,omitempty"`
	Checks    []Check  `json:"checks"`
	// Errors and Warnings count all findings, Levels the vulnerabilities.
	Errors   int            `json:"errors,omitempty"`
	Warnings int            `json:"warnings,omitempty"`
	Levels   map[string]int `json:"levels,omitempty"`
	// Waived counts the warnings that somebody waived.
	Waived int `json:"waived,omitempty"`
	// Gaps counts, by rule, what no scanner could check, waived or not.
	Gaps map[string]int `json:"gaps,omitempty"`
	// Packages counts the packages that a scanner found in all images, by kind. Distributions are
	// the first few distributions that it recognised.
	Packages      map[string]int `json:"packages,omitempty"`
	Distributions []string       `json:"distributions,omitempty"`
	Findings      []Finding      `json:"findings,omitempty"`
	// Omitted is the number of findings that are counted but not listed.
	Omitted   int              `json:"omitted,omitempty"`
	Database  *result.Database `json:"database,omitempty"`
	Signature Signature        `json:"signature,omitempty"`
	// Parts are what the Task decided by. It is empty if one of its steps does not say so.
	Parts     result.Parts `json:"parts,omitempty"`
	Inventory *Inventory   `json:"inventory,omitempty"`
	// Documents is the digest of the list of documents that another Pod publishes. It is zero if
	// the Task published them itself, or has none.
	Documents image.Digest `json:"documents,omitzero"`
	// Report is the OCI reference of the full report.
	Report string `json:"report,omitempty"`
	// Unpublished says why there is no report, if there should be one.
	Unpublished string `json:"unpublished,omitempty"`
}

// Inventory identifies the list of packages that a scanner judged.
type Inventory struct {
	// Digest is that of its bytes.
	Digest image.Digest `json:"digest"`
	// Artifact is the digest of the artefact that stores it, in the repository of the report. It
	// is zero if none does.
	Artifact image.Digest `json:"artifact,omitzero"`
}

// Images identifies a set of images. It shows whether two Tasks checked the same images.
type Images struct {
	N int `json:"n"`
	// Hash is the first 128 bits of SHA-256 over the sorted digests.
	Hash string `json:"hash"`
	// Unselected is the number of images in the index that nobody selected.
	Unselected int `json:"unselected,omitempty"`
}

// Check is a check that reported.
type Check struct {
	Name string `json:"name"`
	// Rules is the number of rules that the check applied, and Unapplied the number that it could
	// not apply.
	Rules     int `json:"rules,omitempty"`
	Unapplied int `json:"unapplied,omitempty"`
	// Off says that the check was switched off and looked at nothing.
	Off bool `json:"off,omitempty"`
}

// Finding is a broken rule or a vulnerability.
type Finding struct {
	Check    string          `json:"check"`
	Rule     string          `json:"rule"`
	Severity result.Severity `json:"severity"`
	// Level is the level of a vulnerability.
	Level string `json:"level,omitempty"`
	// Platform lists the platforms that have the finding.
	Platform string `json:"platform,omitempty"`
	Message  string `json:"message"`
	// Times is the number of findings that this one stands for; 0 means one.
	Times int `json:"times,omitempty"`
	// Waiver says why the finding fails nothing, if somebody waived it.
	Waiver *Waiver `json:"waiver,omitempty"`
}

// Waiver says who waived a finding and why, clipped.
type Waiver struct {
	Reason  string    `json:"reason"`
	Owner   string    `json:"owner,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
	By      string    `json:"by"`
}

// Signature is the result of the signature check.
type Signature string

// The results of the signature check. The zero value says nothing.
const (
	// SignatureValid: a trusted key signed the digest.
	SignatureValid Signature = "valid"
	// SignatureInvalid: the digest has signatures, but none by a trusted key.
	SignatureInvalid Signature = "invalid"
	// SignatureNone: the digest has no signature.
	SignatureNone Signature = "none"
	// SignatureOff: signatures were not checked.
	SignatureOff Signature = "off"
)

// Input is what the result of a Task is made of.
type Input struct {
	Tree oci.Tree
	// Expected are the checks that must have reported, unless they are in Off.
	Expected, Off []string
	Reports       []result.Report
	// Parts are what the steps decided by, or nil if one of them does not say so.
	Parts result.Parts
}

// Of joins the reports of the checks on tree, without what the steps decided by: see [Make].
func Of(tree oci.Tree, expected, off []string, reports []result.Report) (Result, error) {
	return Make(Input{Tree: tree, Expected: expected, Off: off, Reports: reports})
}

// Make joins the reports of checks.
func Make(in Input) (Result, error) {
	tree, expected, off, reports := in.Tree, in.Expected, in.Off, in.Reports
	if len(expected) == 0 {
		return Result{}, errors.New("no check is expected; an image that nothing checked does not pass")
	}
	o := Result{Digest: tree.Root.Digest, Images: imagesOf(tree), Platforms: platforms(tree), Parts: in.Parts}
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

// covers returns an error unless r covers all of tree, and nothing else.
func covers(r result.Report, tree oci.Tree) error {
	if r.Digest != tree.Root.Digest {
		return fmt.Errorf("it checked %s, but fetch pulled %s", r.Digest, tree.Root.Digest)
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
			return fmt.Errorf("it did not check image %s (%s)", i.Manifest.Digest, i.Config.Platform)
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

// platforms returns the platforms of the images that were looked at, one for each image. In an
// index it is the one that the index says, as runtimes go by that and an image claims what it
// likes. Whoever reads of a platform takes everything for it as looked at, so that one is left
// out if the index names another image for it, or for what can be taken for it, that nobody
// looked at.
func platforms(tree oci.Tree) []string {
	unseen := map[string]bool{}
	for _, d := range tree.Unselected {
		if d.Platform.IsPlaced() {
			unseen[asRead(*d.Platform)] = true
		}
	}
	var all []string
	for _, i := range tree.Images {
		p := i.Config.Platform
		if placed := i.Manifest.Platform; placed.IsPlaced() {
			p = *placed
		} else if len(tree.Unselected) > 0 {
			continue
		}
		if len(all) < maxPlatforms && !unseen[asRead(p)] {
			all = append(all, platform(p.String()))
		}
	}
	return all
}

// asRead is how a platform reads for whoever gets its name.
func asRead(p image.Platform) string {
	if read, ok := image.ParsePlatform(p.String()); ok {
		return read.Normalize().String()
	}
	return p.String()
}
