package verdict

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/runresult"
)

const (
	// maxQuoted bounds the summary as a string within JSON. Tekton passes the
	// results of a step through a message of 4096 bytes, in which every quote
	// is escaped; what does not fit fails the run. The step must have one other
	// container beside it at most: see package taskresult.
	maxQuoted        = 2900
	maxPlatforms     = 8
	maxCounted       = 8
	maxDistributions = 3
)

// Summary is what a run tells of its checks.
type Summary struct {
	Counts Counts `json:"counts"`
	// Levels counts the vulnerabilities by level, those that fail nothing included.
	Levels map[string]int `json:"levels,omitempty"`
	// Packages counts, by kind, what a scanner found in all images; Distributions are
	// what it took them for, the first few.
	Packages      map[string]int `json:"packages,omitempty"`
	Distributions []string       `json:"distributions,omitempty"`
	// Gaps counts, by rule, what nobody could look at, waived or not.
	Gaps map[string]int `json:"gaps,omitempty"`
	// Findings are the rules that did not hold and the worst vulnerabilities, what
	// fails the image first, as many as fit.
	Findings []taskresult.Finding `json:"findings,omitempty"`
	// Omitted is how many findings are not listed.
	Omitted int `json:"omitted,omitempty"`
	// Off are the checks that were switched off: nothing is known of what they ask.
	Off []string `json:"off,omitempty"`
	// Database is what the scan compared with.
	Database  *Database            `json:"database,omitempty"`
	Signature taskresult.Signature `json:"signature,omitempty"`
	// Platforms are those of the images, the first few.
	Platforms []string `json:"platforms"`
	// Unpublished is why there is no full report, if there should be one.
	Unpublished string `json:"unpublished,omitempty"`
}

// Counts are the numbers of a run.
type Counts struct {
	Images int `json:"images"`
	// Unselected images of the index were not checked, as their platform was not
	// among those that were chosen.
	Unselected int `json:"unselected,omitempty"`
	Checks     int `json:"checks"`
	Rules      int `json:"rules"` // of all checks, counted once for all images
	// Unapplied rules ask for what nobody looked for.
	Unapplied int `json:"unapplied,omitempty"`
	Errors    int `json:"errors"`   // findings that fail the image
	Warnings  int `json:"warnings"` // findings that do not
	// Waived are those of the warnings of which somebody said so.
	Waived int `json:"waived,omitempty"`
}

// Database is the vulnerability database of a scan.
type Database struct {
	Digest image.Digest `json:"digest"`
	AsOf   time.Time    `json:"asOf"`
	// Schema is the version of its format.
	Schema string `json:"schema,omitempty"`
	// Age is how old it was when the verdict was given, in hours.
	Age string `json:"age,omitempty"`
}

// summarize counts everything and lists what fits.
func summarize(checks []taskresult.Check, images taskresult.Images, outcomes []taskresult.Result, now time.Time) (Summary, error) {
	s := Summary{Counts: Counts{Images: images.N, Unselected: images.Unselected}, Platforms: []string{}}
	for _, c := range checks {
		if c.Off {
			s.Off = append(s.Off, c.Name)
			continue
		}
		s.Counts.Checks++
		s.Counts.Rules += c.Rules
		s.Counts.Unapplied += c.Unapplied
	}
	var all []taskresult.Finding
	for _, o := range outcomes {
		all = append(all, o.Findings...)
		if err := s.add(o, now); err != nil {
			return Summary{}, err
		}
	}
	total := s.Counts.Errors + s.Counts.Warnings
	s.Findings = taskresult.Fill(taskresult.Worst(all), func(listed []taskresult.Finding) bool {
		next := s
		next.Findings, next.Omitted = listed, total // the longest number that it could be
		return next.fits()
	})
	s.Omitted = total - taskresult.Stand(s.Findings)
	if !s.fits() {
		return Summary{}, fmt.Errorf("the summary of %d checks does not fit %d bytes", len(checks), runresult.MaxSummary)
	}
	return s, nil
}

// add adds everything but the findings themselves.
func (s *Summary) add(o taskresult.Result, now time.Time) error {
	s.Counts.Errors += o.Errors
	s.Counts.Warnings += o.Warnings
	s.Counts.Waived += o.Waived
	s.Levels = sum(s.Levels, o.Levels)
	s.Packages = taskresult.Largest(sum(s.Packages, o.Packages), maxCounted)
	s.Gaps = taskresult.Largest(sum(s.Gaps, o.Gaps), maxCounted)
	for _, d := range o.Distributions {
		if len(s.Distributions) < maxDistributions && !slices.Contains(s.Distributions, d) {
			s.Distributions = append(s.Distributions, d)
		}
	}
	for _, p := range o.Platforms {
		if len(s.Platforms) < maxPlatforms && !slices.Contains(s.Platforms, p) {
			s.Platforms = append(s.Platforms, p)
		}
	}
	if o.Unpublished != "" {
		s.Unpublished = o.Unpublished
	}
	if o.Signature != "" {
		if s.Signature != "" {
			return errors.New("two Tasks looked for signatures")
		}
		s.Signature = o.Signature
	}
	if o.Database == nil {
		return nil
	}
	if s.Database != nil {
		return errors.New("two Tasks used a database")
	}
	s.Database = &Database{Digest: o.Database.Digest, AsOf: o.Database.AsOf, Schema: o.Database.Schema}
	if !now.IsZero() {
		s.Database.Age = taskresult.Age(*o.Database, now)
	}
	return nil
}

// sum adds counts to others, which may be nil.
func sum(to, more map[string]int) map[string]int {
	for name, n := range more {
		if to == nil {
			to = map[string]int{}
		}
		to[name] += n
	}
	return to
}

func (s Summary) fits() bool {
	text, err := s.Encode()
	if err != nil || len(text) > runresult.MaxSummary {
		return false
	}
	quoted, err := json.Marshal(text)
	return err == nil && len(quoted) <= maxQuoted
}

// Encode returns s as JSON in one line.
func (s Summary) Encode() (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // it would make six bytes of one, and goes into no page
	if err := enc.Encode(s); err != nil {
		return "", fmt.Errorf("encode summary: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
