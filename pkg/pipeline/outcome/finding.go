package outcome

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/pipeline/report"
)

const (
	maxText            = 120 // of a message
	maxRule            = 63
	maxPlatform        = 40
	maxPlatforms       = 6
	maxVulnerabilities = 3 // that are listed; the others are counted
)

// levels are those of vulnerabilities, worst first, after what is none.
var levels = []string{"", "critical", "high", "medium", "low", "unknown"}

func knownLevel(level string) bool { return level != "" && slices.Contains(levels, level) }

// short is f as it is told.
func short(check string, f report.Finding) Finding {
	level := f.Level
	if level != "" && !knownLevel(level) {
		level = "unknown"
	}
	return Finding{
		Check: check, Rule: Fit(report.Clip(report.Line(f.Rule), maxRule), maxRule+16), Severity: f.Severity, Level: level,
		Platform: platform(f.Platform), Message: Fit(report.Clip(report.Line(f.Message), maxText), maxText+60),
	}
}

// Fit cuts s to what takes at most most bytes in the end: it is quoted as JSON
// within JSON, where one letter can take a dozen bytes.
func Fit(s string, most int) string {
	for len(s) > 3 && cost(s) > most {
		s = report.Clip(s, len(s)*3/4)
	}
	return s
}

func cost(s string) int {
	text, err := encoded(s)
	if err != nil {
		return len(s) * 12
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return len(s) * 12
	}
	return len(quoted) - len(`"\"\""`)
}

// Worst sorts findings: what fails the image first, rules before
// vulnerabilities, and those by level. What is the same on several platforms
// becomes one, as does a vulnerability of several packages; and of vulnerabilities
// only the worst are left.
func Worst(all []Finding) []Finding {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Severity, b.Severity), // "error" comes before "warning"
			cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level)))
	})
	var out []Finding
	vulnerabilities := 0
	at := map[Finding]int{}
	for _, f := range sorted {
		key := f
		key.Platform, key.Times = "", 0
		if f.Level != "" {
			key.Message = "" // it names the package
		}
		if i, ok := at[key]; ok {
			out[i].Times = max(out[i].Times, 1) + max(f.Times, 1)
			out[i].Platform = joined(out[i].Platform, f.Platform)
			continue
		}
		if f.Level != "" {
			if vulnerabilities++; vulnerabilities > maxVulnerabilities {
				continue
			}
		}
		at[key] = len(out)
		out = append(out, f)
	}
	return out
}

func joined(known, more string) string {
	if more == "" || slices.Contains(strings.Split(known, ","), more) {
		return known
	}
	return report.Clip(strings.TrimPrefix(known+","+more, ","), maxPlatform)
}

// Fill returns the first of all, as many as fit.
func Fill(all []Finding, fits func(listed []Finding) bool) []Finding {
	var listed []Finding
	for _, f := range all {
		next := append(slices.Clone(listed), f)
		if !fits(next) {
			break
		}
		listed = next
	}
	return listed
}

// Stand returns how many findings the listed ones stand for.
func Stand(listed []Finding) int {
	n := 0
	for _, f := range listed {
		n += max(f.Times, 1)
	}
	return n
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
