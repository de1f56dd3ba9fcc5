package match

import (
	"fmt"
	"slices"
	"strings"

	"github.com/anchore/grype/grype/vulnerability"

	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// rate sets the level of a vulnerability: the worst of its records, which for a distribution's
// package are the distribution's own, or else the NVD's level for its names.
func (m *Matcher) rate(v *result.Vulnerability, o *one) error {
	for _, found := range o.matches {
		if about := found.Vulnerability.Metadata; about != nil {
			m.describe(v, about)
			take(v, level(about), score(about))
		}
	}
	if err := m.related(v, o); err != nil {
		return err
	}
	if v.Malware {
		v.Level = result.LevelCritical
	}
	return nil
}

// take keeps the worse of two levels, with its score.
func take(v *result.Vulnerability, l result.Level, score float64) {
	if worse(l, v.Level) {
		v.Level, v.Score = l, score
	} else if l == v.Level {
		v.Score = max(v.Score, score)
	}
}

// related asks for further records about the names of a vulnerability. They give the level if the
// matching records give none, and whether it is exploited.
func (m *Matcher) related(v *result.Vulnerability, o *one) error {
	provider := m.records.Provider()
	asked := map[string]bool{}
	for _, found := range o.matches {
		for _, r := range found.Vulnerability.RelatedVulnerabilities {
			if asked[r.ID] || !strings.HasPrefix(r.ID, "CVE-") {
				continue
			}
			asked[r.ID] = true
			about, err := metadata(provider, r)
			if err != nil {
				return err
			}
			if about == nil {
				continue
			}
			m.describe(v, about)
			if v.Level == result.LevelUnknown {
				take(v, level(about), score(about))
			}
		}
	}
	return nil
}

// metadata returns a record's metadata, or nil if there is none.
func metadata(p vulnerability.Provider, r vulnerability.Reference) (*vulnerability.Metadata, error) {
	//nolint:staticcheck // there is no other way to ask by name, and Grype itself asks so
	about, err := p.VulnerabilityMetadata(vulnerability.Reference{ID: r.ID, Namespace: "nvd:cpe"})
	if err != nil {
		return nil, fmt.Errorf("ask the database for %s: %w", r.ID, err)
	}
	return about, nil
}

// describe fills in missing fields.
func (m *Matcher) describe(v *result.Vulnerability, about *vulnerability.Metadata) {
	v.KnownExploited = v.KnownExploited || len(about.KnownExploited) > 0
	if v.URL == "" {
		v.URL = about.DataSource
	}
	if v.Summary == "" {
		first, _, _ := strings.Cut(strings.TrimSpace(about.Description), "\n")
		v.Summary = cut(first)
	}
}

const maxSummary = 300

func cut(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxSummary {
		return s
	}
	return strings.ToValidUTF8(s[:maxSummary], "") + "..."
}

// level returns Grype's severity in the words of CVSS, or else the level for its score.
func level(about *vulnerability.Metadata) result.Level {
	l := result.Level(strings.ToLower(about.Severity))
	switch {
	case l != result.LevelUnknown && slices.Contains(result.Levels(), l):
		return l
	case l == "negligible":
		return result.LevelLow
	}
	switch s := score(about); {
	case s >= 9:
		return result.LevelCritical
	case s >= 7:
		return result.LevelHigh
	case s >= 4:
		return result.LevelMedium
	case s > 0:
		return result.LevelLow
	}
	return result.LevelUnknown
}

func score(about *vulnerability.Metadata) (worst float64) {
	for _, c := range about.Cvss {
		worst = max(worst, c.Metrics.BaseScore)
	}
	return worst
}

func worse(a, b result.Level) bool {
	levels := result.Levels()
	return slices.Index(levels, a) < slices.Index(levels, b)
}
