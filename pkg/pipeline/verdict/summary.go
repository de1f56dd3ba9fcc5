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
	// MaxTogether bounds the summary and the basis as JSON strings. Tekton passes the results of a
	// step in a message of 4096 bytes, with every quote escaped, and fails the run if they do not
	// fit. The other results take at most 680 bytes. The step may share its Pod with at most two
	// other containers: see package taskresult.
	MaxTogether      = 3400
	maxQuoted        = 2900 // of the summary
	maxPlatforms     = 8
	maxCounted       = 8
	maxDistributions = 3
)

// Summary is what a run reports about its checks.
type Summary struct {
	Counts Counts `json:"counts"`
	// Levels counts the vulnerabilities by level, including those that fail nothing.
	Levels map[string]int `json:"levels,omitempty"`
	// Packages counts the packages that a scanner found in all images, by kind. Distributions are
	// the first few distributions that it recognised.
	Packages      map[string]int `json:"packages,omitempty"`
	Distributions []string       `json:"distributions,omitempty"`
	// Gaps counts, by rule, what no scanner could check, waived or not.
	Gaps map[string]int `json:"gaps,omitempty"`
	// Findings are broken rules and the worst vulnerabilities, as many as fit. Those that fail the
	// image come first.
	Findings []taskresult.Finding `json:"findings,omitempty"`
	// Omitted is the number of findings that are not listed.
	Omitted int `json:"omitted,omitempty"`
	// Off names the checks that were switched off. The verdict says nothing about what they check.
	Off []string `json:"off,omitempty"`
	// Database is the database that the scan used.
	Database  *Database            `json:"database,omitempty"`
	Signature taskresult.Signature `json:"signature,omitempty"`
	// Platforms are the first few platforms of the images.
	Platforms []string `json:"platforms"`
	// Unpublished says why there is no full report, if there should be one.
	Unpublished string `json:"unpublished,omitempty"`
}

// Counts are the numbers of a run.
type Counts struct {
	Images int `json:"images"`
	// Unselected counts images of the index that no check looked at, because nobody selected their
	// platform.
	Unselected int `json:"unselected,omitempty"`
	Checks     int `json:"checks"`
	Rules      int `json:"rules"` // of all checks, counted once for all images
	// Unapplied counts rules that need data that no check collected.
	Unapplied int `json:"unapplied,omitempty"`
	Errors    int `json:"errors"`   // findings that fail the image
	Warnings  int `json:"warnings"` // findings that do not
	// Waived counts the warnings that somebody waived.
	Waived int `json:"waived,omitempty"`
}

// Database is the vulnerability database of a scan.
type Database struct {
	Digest image.Digest `json:"digest"`
	AsOf   time.Time    `json:"asOf"`
	// Schema is the version of the database's format.
	Schema string `json:"schema,omitempty"`
	// Age is the age of the data at the time of the verdict, in hours.
	Age string `json:"age,omitempty"`
}

// summarize counts everything, and lists as many findings as fit into room bytes, quoted.
func summarize(checks []taskresult.Check, images taskresult.Images, outcomes []taskresult.Result, room int, now time.Time) (Summary, error) {
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
		next.Findings, next.Omitted = listed, total // reserve space for the longest possible number
		return next.fits(room)
	})
	s.Omitted = total - taskresult.Stand(s.Findings)
	if !s.fits(room) {
		return Summary{}, fmt.Errorf("the summary of %d checks does not fit into %d bytes", len(checks), min(room, runresult.MaxSummary))
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
			return errors.New("two Tasks checked signatures")
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

// sum adds the counts in more to those in to, which may be nil.
func sum(to, more map[string]int) map[string]int {
	for name, n := range more {
		if to == nil {
			to = map[string]int{}
		}
		to[name] += n
	}
	return to
}

func (s Summary) fits(room int) bool {
	text, err := s.Encode()
	return err == nil && len(text) <= runresult.MaxSummary && quotedSize(text) <= room
}

// Encode returns s as JSON in one line.
func (s Summary) Encode() (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // escaping makes six bytes of one, and nobody puts this in a page
	if err := enc.Encode(s); err != nil {
		return "", fmt.Errorf("encode summary: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
