package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
)

// Summary is what a pipeline's summary says. Pipelines are the users' own, so
// what is not understood stays as text.
type Summary struct {
	// Counts are the summary's numbers, by name.
	Counts map[string]float64 `json:"counts,omitempty"`
	// Levels count the vulnerabilities, by how bad they are.
	Levels map[string]float64 `json:"levels,omitempty"`
	// Findings are the rules that did not hold.
	Findings []Finding `json:"findings,omitempty"`
	// NotChecked are checks that were switched off: nothing is known of what they ask.
	NotChecked []string `json:"notChecked,omitempty"`
	// Database is what a scanner compared with.
	Database *Database `json:"database,omitempty"`
	// Signature is what is known of signatures on the digest.
	Signature string `json:"signature,omitempty"`
	// Unpublished is why there is no full report.
	Unpublished string `json:"unpublished,omitempty"`
	// Text is the summary as it came, if it is not a JSON object.
	Text string `json:"text,omitempty"`
}

// Database is that of vulnerabilities, and how old its data was.
type Database struct {
	Digest string `json:"digest"`
	AsOf   string `json:"asOf,omitempty"`
	Age    string `json:"age,omitempty"`
}

// Finding is a rule that did not hold, or a vulnerability.
type Finding struct {
	Check    string `json:"check,omitempty"`
	Rule     string `json:"rule"`
	Severity string `json:"severity,omitempty"`
	Level    string `json:"level,omitempty"`
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
	s.Levels = parseAs[map[string]float64](fields, "levels")
	s.NotChecked = parseAs[[]string](fields, "off")
	s.Database = parseAs[*Database](fields, "database")
	s.Signature = parseAs[string](fields, "signature")
	s.Unpublished = parseAs[string](fields, "unpublished")
	if s.Levels != nil {
		delete(fields, "levels")
	}
	s.count("", fields)
	for _, key := range findingKeys {
		s.Findings = append(s.Findings, parseFindings(fields[key])...)
	}
	return s
}

// parseAs reads what Revet's own pipeline has under key; where another has
// something else there, nothing is read.
func parseAs[T any](fields map[string]json.RawMessage, key string) T {
	var value, none T
	if len(fields[key]) == 0 || json.Unmarshal(fields[key], &value) != nil {
		return none
	}
	return value
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

// levelNames are the levels of vulnerabilities, worst first.
var levelNames = []string{"critical", "high", "medium", "low", "unknown"}

// vulnerabilities prints the levels, worst first; with those of a pipeline that
// has other ones after them.
func (s Summary) vulnerabilities() string {
	var parts []string
	for _, name := range append(slices.Clone(levelNames), slices.Sorted(maps.Keys(s.Levels))...) {
		part := fmt.Sprintf("%s %v", name, s.Levels[name])
		if _, ok := s.Levels[name]; ok && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

func (d *Database) line() string {
	if d == nil {
		return ""
	}
	text := d.Digest
	if d.Age != "" {
		text += ", " + d.Age + " old when the verdict was given"
	}
	if d.AsOf != "" {
		text += ", as of " + d.AsOf
	}
	return text
}

// signatureWords says what is known of signatures.
func (s Summary) signatureWords() string {
	switch s.Signature {
	case "valid":
		return "valid, by a trusted key"
	case "invalid":
		return "invalid: there are signatures, and none is by a trusted key"
	case "none":
		return "none"
	case "off":
		return "" // it is among what was not checked
	default:
		return s.Signature
	}
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
	if f.Level != "" {
		text += " (" + f.Level + ")"
	}
	if f.Platform != "" {
		text += " on " + f.Platform
	}
	if f.Message != "" {
		text += ": " + oneLine(f.Message)
	}
	return text
}
