package explain

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/revet-dev/revet/pkg/cli/command"
)

// Summary is the parsed summary of a pipeline. Users write their own pipelines, so Text
// keeps what is not understood.
type Summary struct {
	// Counts are the summary's numbers, by name.
	Counts map[string]float64 `json:"counts,omitempty"`
	// Levels count the vulnerabilities by severity.
	Levels map[string]float64 `json:"levels,omitempty"`
	// Packages count the packages of all images by kind. Distributions are the detected
	// distributions.
	Packages      map[string]float64 `json:"packages,omitempty"`
	Distributions []string           `json:"distributions,omitempty"`
	// Gaps count what the scanner could not read, by rule.
	Gaps map[string]float64 `json:"gaps,omitempty"`
	// Findings are the rules that did not hold.
	Findings []Finding `json:"findings,omitempty"`
	// NotChecked are the checks that are switched off.
	NotChecked []string `json:"notChecked,omitempty"`
	// Database is the vulnerability database that the scanner used.
	Database *Database `json:"database,omitempty"`
	// Signature is the result of checking signatures on the digest.
	Signature string `json:"signature,omitempty"`
	// Unpublished is why there is no full report.
	Unpublished string `json:"unpublished,omitempty"`
	// Text is the raw summary if it is not a JSON object.
	Text string `json:"text,omitempty"`
}

// Database is a vulnerability database, and how old its data was.
type Database struct {
	Digest string `json:"digest"`
	AsOf   string `json:"asOf,omitempty"`
	Schema string `json:"schema,omitempty"`
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
	// Waiver says why the finding does not fail the image.
	Waiver *Waiver `json:"waiver,omitempty"`
}

// Waiver is somebody's decision that a finding does not fail the image.
type Waiver struct {
	Reason  string `json:"reason"`
	Owner   string `json:"owner,omitempty"`
	Expires string `json:"expires,omitempty"`
	By      string `json:"by,omitempty"`
}

// warning is the severity that does not fail an image.
const warning = "warning"

// findingKeys are the keys under which pipelines list findings. The first one is that of
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
	s.Levels = parseCounts(fields, "levels")
	s.Packages = parseCounts(fields, "packages")
	s.Distributions = parseAs[[]string](fields, "distributions")
	s.Gaps = parseCounts(fields, "gaps")
	s.NotChecked = parseAs[[]string](fields, "off")
	s.Database = parseAs[*Database](fields, "database")
	s.Signature = parseAs[string](fields, "signature")
	s.Unpublished = parseAs[string](fields, "unpublished")
	s.count("", fields)
	for _, key := range findingKeys {
		s.Findings = append(s.Findings, parseFindings(fields[key])...)
	}
	return s
}

// parseAs reads the value under a key. It returns the zero value if a pipeline stores
// something else there.
func parseAs[T any](fields map[string]json.RawMessage, key string) T {
	var value, none T
	if len(fields[key]) == 0 || json.Unmarshal(fields[key], &value) != nil {
		return none
	}
	return value
}

// parseCounts reads numbers that get a line of their own, and removes them from fields.
func parseCounts(fields map[string]json.RawMessage, key string) map[string]float64 {
	counts := parseAs[map[string]float64](fields, key)
	if counts != nil {
		delete(fields, key)
	}
	return counts
}

// count collects numbers, up to one level deep. Those of "counts" have no prefix.
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

// line formats the counts, sorted by name.
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
func (s Summary) vulnerabilities() string { return counted(s.Levels, levelNames) }

// packages formats what the scanner read: distributions, and packages by kind.
func (s Summary) packages() string {
	parts := slices.Clone(s.Distributions)
	if kinds := counted(s.Packages, nil); kinds != "" {
		parts = append(parts, "packages: "+kinds)
	}
	return strings.Join(parts, "; ")
}

// counted formats counts: first those that first lists, then the others sorted by name.
func counted(counts map[string]float64, first []string) string {
	var parts []string
	for _, name := range append(slices.Clone(first), slices.Sorted(maps.Keys(counts))...) {
		part := fmt.Sprintf("%s %v", name, counts[name])
		if _, ok := counts[name]; ok && !slices.Contains(parts, part) {
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
		text += ", " + d.Age + " old at the time of the verdict"
	}
	if d.AsOf != "" {
		text += ", as of " + d.AsOf
	}
	if d.Schema != "" {
		text += ", schema " + d.Schema
	}
	return text
}

// signatureWords describes the result of checking signatures.
func (s Summary) signatureWords() string {
	switch s.Signature {
	case "valid":
		return "valid, by a trusted key"
	case "invalid":
		return "invalid: no signature is by a trusted key"
	case "none":
		return "none"
	case "off":
		return "" // NotChecked lists it
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

// line formats one finding.
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
		text += ": " + command.OneLine(f.Message)
	}
	return text
}

// line says who waived a finding, and why.
func (w *Waiver) line() string {
	if w == nil {
		return ""
	}
	text := fmt.Sprintf("waived by %s: %s", cmp.Or(command.OneLine(w.By), "an unnamed source"), cmp.Or(command.OneLine(w.Reason), "no reason given"))
	if w.Owner != "" {
		text += "; owner " + command.OneLine(w.Owner)
	}
	if w.Expires == "" {
		return text + "; it does not expire"
	}
	return text + "; until " + command.OneLine(w.Expires)
}
