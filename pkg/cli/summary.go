package cli

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

// Summary is what a pipeline's summary says. Pipelines are the users' own, so
// what is not understood stays as text.
type Summary struct {
	// Counts are the summary's numbers, by name.
	Counts map[string]float64 `json:"counts,omitempty"`
	// Findings are the rules that did not hold.
	Findings []Finding `json:"findings,omitempty"`
	// Text is the summary as it came, if it is not a JSON object.
	Text string `json:"text,omitempty"`
}

// Finding is a rule that did not hold.
type Finding struct {
	Check    string `json:"check,omitempty"`
	Rule     string `json:"rule"`
	Severity string `json:"severity,omitempty"`
	Platform string `json:"platform,omitempty"`
	Message  string `json:"message,omitempty"`
}

// warning is the severity that fails nothing.
const warning = "warning"

// findingKeys name lists of rules that did not hold: the first is that of
// Revet's own pipeline.
var findingKeys = []string{"findings", "failed", "failures", "violations"}

func parseSummary(raw string) Summary {
	if strings.TrimSpace(raw) == "" {
		return Summary{}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(raw), &fields); err != nil || fields == nil {
		return Summary{Text: raw}
	}
	var s Summary
	s.count("", fields)
	for _, key := range findingKeys {
		s.Findings = append(s.Findings, parseFindings(fields[key])...)
	}
	return s
}

// count collects numbers, one level of objects deep; those of "counts" are
// known by their own names.
func (s *Summary) count(prefix string, fields map[string]json.RawMessage) {
	for name, value := range fields {
		var number float64
		var nested map[string]json.RawMessage
		switch {
		case string(value) == "null":
		case json.Unmarshal(value, &number) == nil:
			if s.Counts == nil {
				s.Counts = map[string]float64{}
			}
			s.Counts[strings.TrimPrefix(prefix+name, "counts.")] = number
		case prefix == "" && json.Unmarshal(value, &nested) == nil:
			s.count(name+".", nested)
		}
	}
}

// parseFindings reads a list of findings, or of the rules' names.
func parseFindings(raw json.RawMessage) []Finding {
	if len(raw) == 0 {
		return nil
	}
	var findings []Finding
	if json.Unmarshal(raw, &findings) == nil {
		return findings
	}
	var names []string
	if json.Unmarshal(raw, &names) != nil {
		return nil
	}
	findings = nil
	for _, name := range names {
		findings = append(findings, Finding{Rule: name})
	}
	return findings
}

// line prints the counts in one line, in the order of their names.
func (s Summary) line() string {
	var parts []string
	for name, n := range s.Counts {
		parts = append(parts, fmt.Sprintf("%s %v", name, n))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

// failed and warnings split the findings by whether they fail the image.
func (s Summary) failed() []Finding {
	return s.only(func(f Finding) bool { return f.Severity != warning })
}

func (s Summary) warnings() []Finding {
	return s.only(func(f Finding) bool { return f.Severity == warning })
}

func (s Summary) only(keep func(Finding) bool) []Finding {
	var kept []Finding
	for _, f := range s.Findings {
		if keep(f) {
			kept = append(kept, f)
		}
	}
	return kept
}

// line prints one finding.
func (f Finding) line() string {
	text := f.Rule
	if f.Check != "" {
		text = f.Check + "/" + f.Rule
	}
	if f.Platform != "" {
		text += " on " + f.Platform
	}
	if f.Message != "" {
		text += ": " + oneLine(f.Message)
	}
	return text
}
