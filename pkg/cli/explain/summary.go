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

// Summary is what a pipeline's summary says. Pipelines are the users' own, so
// what is not understood stays as text.
type Summary struct {
	// Counts are the summary's numbers, by name.
	Counts map[string]float64 `json:"counts,omitempty"`
	// Levels count the vulnerabilities, by how bad they are.
	Levels map[string]float64 `json:"levels,omitempty"`
	// Packages count what was found in all images, by kind, and Distributions are what
	// they were taken for.
	Packages      map[string]float64 `json:"packages,omitempty"`
	Distributions []string           `json:"distributions,omitempty"`
	// Gaps count what nobody could look at, by rule.
	Gaps map[string]float64 `json:"gaps,omitempty"`
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
	// Waiver is why it fails nothing, where somebody said so.
	Waiver *Waiver `json:"waiver,omitempty"`
}

// Waiver is who says that a finding fails nothing, and why.
type Waiver struct {
	Reason  string `json:"reason"`
	Owner   string `json:"owner,omitempty"`
	Expires string `json:"expires,omitempty"`
	By      string `json:"by,omitempty"`
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

// parseAs reads what Revet's own pipeline has under key; where another has
// something else there, nothing is read.
func parseAs[T any](fields map[string]json.RawMessage, key string) T {
	var value, none T
	if len(fields[key]) == 0 || json.Unmarshal(fields[key], &value) != nil {
		return none
	}
	return value
}

// parseCounts reads numbers that have their own line, and takes them out of fields.
func parseCounts(fields map[string]json.RawMessage, key string) map[string]float64 {
	counts := parseAs[map[string]float64](fields, key)
	if counts != nil {
		delete(fields, key)
	}
	return counts
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
func (s Summary) vulnerabilities() string { return counted(s.Levels, levelNames) }

// packages prints what was looked at: distributions, and packages by kind.
func (s Summary) packages() string {
	parts := slices.Clone(s.Distributions)
	if kinds := counted(s.Packages, nil); kinds != "" {
		parts = append(parts, "packages: "+kinds)
	}
	return strings.Join(parts, "; ")
}

// counted prints counts: those that come first, and then the others by their names.
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
		text += ", " + d.Age + " old when the verdict was given"
	}
	if d.AsOf != "" {
		text += ", as of " + d.AsOf
	}
	if d.Schema != "" {
		text += ", schema " + d.Schema
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
		text += ": " + command.OneLine(f.Message)
	}
	return text
}

// line says by whose word something fails nothing.
func (w *Waiver) line() string {
	if w == nil {
		return ""
	}
	text := fmt.Sprintf("waived by %s: %s", cmp.Or(command.OneLine(w.By), "nobody who is named"), cmp.Or(command.OneLine(w.Reason), "no reason is given"))
	if w.Owner != "" {
		text += "; owner " + command.OneLine(w.Owner)
	}
	if w.Expires == "" {
		return text + "; it does not expire"
	}
	return text + "; until " + command.OneLine(w.Expires)
}
