package attestation

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

const (
	// ReportLease is the name of the Lease, in Revet's namespace, by which the attestor that
	// leads reports. It renews it every minute.
	ReportLease = "attestor.report"
	// ReportAnnotation of that Lease holds its Report in JSON.
	ReportAnnotation = "revet.dev/attestor"
	// ReportEvery is the time between two reports in which nothing changed.
	ReportEvery = time.Minute
	// ReportStale is the age from which a report says nothing of now.
	ReportStale = 5 * time.Minute

	maxProblems     = 4
	maxProblemBytes = 300
)

// Report is what the attestor that leads says of itself, so that nobody needs a right to read
// its keys to know that it has some. It takes a few KB at most.
type Report struct {
	// Keys are the ids of the keys in force.
	Keys []string `json:"keys,omitempty"`
	// Signs is the id of the key that signs; empty if the day of none has come.
	Signs string `json:"signs,omitempty"`
	// Since is when an attestor first had exactly these keys.
	Since time.Time `json:"since"`
	// Triggers counts the operator's list of triggers that is in force, and List is its digest.
	Triggers int    `json:"triggers"`
	List     string `json:"list,omitempty"`
	// Problems say what of the keys or of the operator's configuration is not valid.
	Problems []string `json:"problems,omitempty"`
}

// NewReport reports the keys of a ring, and the problems, as far as there is room.
func NewReport(keys Ring, now time.Time, problems []error) Report {
	r := Report{Keys: keys.IDs(), Since: now.UTC().Truncate(time.Second)}
	if k, ok := keys.Current(now); ok {
		r.Signs = k.ID()
	}
	for _, err := range problems[:min(len(problems), maxProblems)] {
		r.Problems = append(r.Problems, image.Cut(err.Error(), maxProblemBytes))
	}
	return r
}

// After returns the report as the successor of an earlier one, from which it takes since when
// the keys are the same.
func (r Report) After(earlier Report) Report {
	if slices.Equal(r.Keys, earlier.Keys) && !earlier.Since.IsZero() && earlier.Since.Before(r.Since) {
		r.Since = earlier.Since
	}
	return r
}

// Encode returns the report as the annotation has it.
func (r Report) Encode() (string, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encoding the report: %w", err)
	}
	return string(raw), nil
}

// ParseReport reads an annotation.
func ParseReport(raw string) (Report, error) {
	var r Report
	if err := json.Unmarshal([]byte(raw), &r); err != nil {
		return Report{}, fmt.Errorf("the annotation %s is no report: %w", ReportAnnotation, err)
	}
	return r, nil
}

// Wanted reports whether the verdict of an entry is to be signed, and why not, by what is known
// without keys.
func Wanted(f Facts) (bool, Reason) { return f.wanted() }

// TooManyKept reports whether so many statements of an entry could not be removed that nothing
// more is published for it.
func TooManyKept(records int) bool { return records >= maxKept }
