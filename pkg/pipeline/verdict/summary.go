package verdict

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/report"
)

const (
	// MaxSummary bounds the summary.
	MaxSummary = 2048
	// maxQuoted bounds the summary as a string within JSON. Tekton passes the
	// results of a step through a message of 4096 bytes, in which every quote
	// is escaped; what does not fit fails the run.
	maxQuoted = 2900

	maxText      = 160 // of a message
	maxRule      = 63
	maxPlatform  = 40
	maxPlatforms = 16
)

// Summary is what a run tells of its checks.
type Summary struct {
	Counts Counts `json:"counts"`
	// Findings are the rules that did not hold, errors first, as many as fit.
	Findings []Finding `json:"findings,omitempty"`
	// Omitted is how many findings did not fit.
	Omitted int `json:"omitted,omitempty"`
	// Platforms are those of the images, the first 16.
	Platforms []string `json:"platforms"`
}

// Counts are the numbers of a run.
type Counts struct {
	Images   int `json:"images"`
	Checks   int `json:"checks"`
	Rules    int `json:"rules"`    // of all checks, counted once for all images
	Errors   int `json:"errors"`   // findings that fail the image
	Warnings int `json:"warnings"` // findings that do not
}

// Finding is one rule that did not hold.
type Finding struct {
	Check    string          `json:"check"`
	Rule     string          `json:"rule"`
	Severity report.Severity `json:"severity"`
	Platform string          `json:"platform"`
	Message  string          `json:"message"`
}

// summarize counts everything and lists what fits.
func summarize(tree content.Tree, reports []report.Report) Summary {
	s := Summary{Counts: Counts{Images: len(tree.Images), Checks: len(reports)}, Platforms: []string{}}
	for _, i := range tree.Images {
		if len(s.Platforms) == maxPlatforms {
			break
		}
		s.Platforms = append(s.Platforms, platform(i.Config.String()))
	}
	var failing, warning []Finding
	for _, r := range reports {
		s.Counts.Rules += r.Rules
		for _, f := range r.Findings {
			short := Finding{
				Check: r.Check, Rule: report.Clip(report.Line(f.Rule), maxRule), Severity: f.Severity,
				Platform: platform(f.Platform), Message: report.Clip(report.Line(f.Message), maxText),
			}
			if f.Severity == report.SeverityError {
				failing = append(failing, short)
			} else {
				warning = append(warning, short)
			}
		}
	}
	s.Counts.Errors, s.Counts.Warnings = len(failing), len(warning)
	all := slices.Concat(failing, warning)
	s.Omitted = len(all) // so that each look at the size counts the longest number
	for _, f := range all {
		next := s
		next.Findings = slices.Concat(s.Findings, []Finding{f})
		if !next.fits() {
			break
		}
		s = next
	}
	s.Omitted = len(all) - len(s.Findings)
	return s
}

// platform keeps what platforms are made of: an image claims its own, and
// anything else would take up to twelve bytes a character once it is quoted.
func platform(p string) string {
	return report.Clip(strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("/._-", r):
			return r
		default:
			return '?'
		}
	}, p), maxPlatform)
}

func (s Summary) fits() bool {
	text, err := s.Encode()
	if err != nil || len(text) > MaxSummary {
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
