package verdict

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/runresult"
)

// Value is pass or fail.
type Value string

// The values. The zero value is neither.
const (
	Pass Value = runresult.Pass
	Fail Value = runresult.Fail
)

// Verdict is the result of a run. The zero value is not a verdict.
type Verdict struct {
	Value   Value
	Digest  image.Digest
	Summary Summary
	// Basis is what the verdict rests on.
	Basis runresult.Basis
	// Report is the OCI reference of the full report.
	Report string
}

// Join returns the verdict on tree. expected names the checks that must have reported. reports must
// be complete.
func Join(tree oci.Tree, expected []string, reports []result.Report) (Verdict, error) {
	o, err := taskresult.Of(tree, expected, nil, reports)
	if err != nil {
		return Verdict{}, err
	}
	return Combine(expected, []taskresult.Result{o}, nil, time.Time{})
}

// Combine joins outcomes into one verdict. expected names the checks that must have reported. parts
// are what the joining step decided by; without them the verdict has no policy digest. If now is not
// zero, the verdict gives the age of the database at that time.
func Combine(expected []string, outcomes []taskresult.Result, parts result.Parts, now time.Time) (Verdict, error) {
	checks, err := checked(expected, outcomes)
	if err != nil {
		return Verdict{}, err
	}
	images, err := sameImages(outcomes)
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{Value: Pass, Digest: outcomes[0].Digest}
	for _, o := range outcomes {
		if o.Digest != v.Digest {
			return Verdict{}, fmt.Errorf("one Task checked %s and another checked %s", v.Digest, o.Digest)
		}
		if o.Errors > 0 {
			v.Value = Fail
		}
		if !o.Documents.IsZero() {
			return Verdict{}, fmt.Errorf("a Task handed on the documents %s, and nobody says what became of them", o.Documents)
		}
		if o.Report == "" {
			continue
		}
		if v.Report != "" {
			return Verdict{}, errors.New("two Tasks published a report")
		}
		v.Report = o.Report
	}
	if v.Basis, err = basisOf(checks, images, outcomes, parts); err != nil {
		return Verdict{}, err
	}
	basis, err := v.Basis.Encode()
	if err != nil {
		return Verdict{}, err
	}
	v.Summary, err = summarize(checks, images, outcomes, min(maxQuoted, MaxTogether-quotedSize(basis)), now)
	if err != nil {
		return Verdict{}, err
	}
	return v, nil
}

// checked returns all checks. It returns an error unless each expected check reported once, and no
// other did.
func checked(expected []string, outcomes []taskresult.Result) ([]taskresult.Check, error) {
	if len(expected) == 0 {
		return nil, errors.New("no check is expected; an image that nothing checked does not pass")
	}
	var all []taskresult.Check
	seen, applied := map[string]bool{}, 0
	for _, o := range outcomes {
		for _, c := range o.Checks {
			switch {
			case seen[c.Name]:
				return nil, fmt.Errorf("check %q reported twice", c.Name)
			case !slices.Contains(expected, c.Name):
				return nil, fmt.Errorf("check %q reported and is not expected; add it to --expect, or remove its Task", c.Name)
			}
			seen[c.Name] = true
			if !c.Off {
				applied++
			}
			all = append(all, c)
		}
	}
	for _, check := range expected {
		if !seen[check] {
			return nil, fmt.Errorf("check %q: %w", check, result.ErrNoReport)
		}
	}
	if applied == 0 {
		return nil, errors.New("every check was switched off; an image that nothing checked does not pass")
	}
	return all, nil
}

// sameImages returns the images that the Tasks checked. Every Task that checks images must have
// checked the same ones, and at least one Task must have checked some.
func sameImages(outcomes []taskresult.Result) (taskresult.Images, error) {
	var images *taskresult.Images
	for _, o := range outcomes {
		switch {
		case o.Images == nil:
		case images == nil:
			images = o.Images
		case *images != *o.Images:
			return taskresult.Images{}, fmt.Errorf("one Task checked %d images and another checked %d, or different ones", images.N, o.Images.N)
		}
	}
	if images == nil {
		return taskresult.Images{}, errors.New("no Task checked an image")
	}
	return *images, nil
}
