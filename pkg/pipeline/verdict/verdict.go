package verdict

import (
	"errors"
	"fmt"
	"slices"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/report"
)

// Value is pass or fail.
type Value string

// The values. The zero value is none of them.
const (
	Pass Value = "pass"
	Fail Value = "fail"
)

// Verdict is what a run results in. The zero value is no verdict.
type Verdict struct {
	Value   Value
	Digest  image.Digest
	Summary Summary
	// Report is an OCI reference of the full report.
	Report string
}

// Join returns the verdict on tree. expected are the checks that must have
// reported; reports are all that there are.
func Join(tree content.Tree, expected []string, reports []report.Report) (Verdict, error) {
	if len(expected) == 0 {
		return Verdict{}, errors.New("no check is expected; an image that nothing checked does not pass")
	}
	seen := map[string]bool{}
	for _, r := range reports {
		switch {
		case seen[r.Check]:
			return Verdict{}, fmt.Errorf("check %q reported twice", r.Check)
		case !slices.Contains(expected, r.Check):
			return Verdict{}, fmt.Errorf("check %q reported and is not expected; add it to --expect, or remove its step", r.Check)
		}
		seen[r.Check] = true
		if err := covers(r, tree); err != nil {
			return Verdict{}, fmt.Errorf("check %q: %w", r.Check, err)
		}
	}
	for _, check := range expected {
		if !seen[check] {
			return Verdict{}, fmt.Errorf("check %q: %w", check, report.ErrMissing)
		}
	}
	value := Pass
	for _, r := range reports {
		for _, f := range r.Findings {
			switch f.Severity {
			case report.SeverityError:
				value = Fail
			case report.SeverityWarning:
			default:
				return Verdict{}, fmt.Errorf("check %q: rule %q has the unknown severity %q", r.Check, f.Rule, f.Severity)
			}
		}
	}
	return Verdict{Value: value, Digest: tree.Root.Digest, Summary: summarize(tree, reports)}, nil
}

// covers reports an error unless r looked at all of tree, and at that only.
func covers(r report.Report, tree content.Tree) error {
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
