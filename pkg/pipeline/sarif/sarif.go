package sarif

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// MediaType is the media type of a SARIF file.
const MediaType = "application/sarif+json"

const home = "https://github.com/revet-dev/revet"

// Input is the content of a SARIF file.
type Input struct {
	Reference image.Reference
	Reports   []result.Report
	// Scan holds a scanner's findings. It is nil if no scanner ran. Its findings replace those in
	// the report of ScanCheck.
	Scan      *result.Findings
	ScanCheck string
	// Parts are what the steps decided by, if all of them say so.
	Parts result.Parts
	Now   time.Time
}

// Make returns the encoded file.
func Make(in Input) ([]byte, error) {
	l := log{Schema: schema, Version: version, Runs: []run{}}
	if len(in.Parts) > 0 {
		l.Properties = map[string]any{"parts": in.Parts}
	}
	for _, r := range in.Reports {
		if in.Scan != nil && r.Check == in.ScanCheck {
			l.Runs = append(l.Runs, scanned(in, r))
			continue
		}
		l.Runs = append(l.Runs, checked(in, r))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(l); err != nil {
		return nil, fmt.Errorf("encode SARIF: %w", err)
	}
	return b.Bytes(), nil
}

// checked returns the run of a check that applies rules.
func checked(in Input, r result.Report) run {
	out := newRun(in, "revet-"+r.Check, r)
	rules := map[string]int{}
	for _, f := range r.Findings {
		out.add(in, r.Check, f, rules)
	}
	return out
}

// scanned returns the run of a scanner.
func scanned(in Input, r result.Report) run {
	out := newRun(in, "revet-"+r.Check, r)
	if name := result.Line(in.Scan.Scanner.Name); name != "" {
		out.Tool.Driver.Name, out.Tool.Driver.Version = name, result.Line(in.Scan.Scanner.Version)
		out.Tool.Driver.InformationURI = ""
	}
	database := in.Scan.Database
	out.Properties["database"] = map[string]any{
		"reference": result.Line(database.Reference), "digest": database.Digest.String(), "asOf": database.AsOf.UTC(),
	}
	if v := result.Line(database.Schema); v != "" {
		out.Properties["databaseSchema"] = v
	}
	type judged struct {
		rule   string
		digest image.Digest
	}
	levels := map[judged]result.Severity{}
	for _, f := range r.Findings {
		key := judged{result.Line(f.Rule), f.Digest}
		if levels[key] != result.SeverityError {
			levels[key] = f.Severity
		}
	}
	rules, told := map[string]int{}, map[judged]bool{}
	for _, v := range in.Scan.Vulnerabilities {
		id := result.Line(v.ID)
		at, ok := rules[id]
		if !ok {
			at = len(out.Tool.Driver.Rules)
			rules[id] = at
			out.Tool.Driver.Rules = append(out.Tool.Driver.Rules, ruleOf(v))
		}
		res, key := resultOf(in.Reference, v, at), judged{id, v.Digest}
		if s, ok := levels[key]; ok && v.Ignored == nil {
			res.Level, told[key] = string(s), true
		}
		out.Results = append(out.Results, res)
	}
	// Add the check's findings that are not vulnerabilities.
	for _, f := range r.Findings {
		if !told[judged{result.Line(f.Rule), f.Digest}] {
			out.add(in, r.Check, f, rules)
		}
	}
	return out
}

// add adds a finding of a check. It adds the rule too, with the rule's first finding.
func (r *run) add(in Input, check string, f result.Finding, rules map[string]int) {
	id := result.Line(f.Rule)
	at, ok := rules[id]
	if !ok {
		at = len(r.Tool.Driver.Rules)
		rules[id] = at
		r.Tool.Driver.Rules = append(r.Tool.Driver.Rules, rule{ID: id})
	}
	res := sarifResult{
		RuleID: id, RuleIndex: at, Level: string(f.Severity), // SARIF uses the same words
		Message:      text{result.Line(f.Message)},
		Locations:    located(in.Reference, f.Platform, f.Digest, "", ""),
		Fingerprints: map[string]any{"finding/v1": check + "/" + id + "/" + result.Line(f.Platform)},
	}
	switch {
	case f.Waiver == nil:
	case f.Gap:
		res.Suppressions = suppressedBy(*f.Waiver)
	default:
		// This result reports on suppressed ones, and must not be hidden with them.
		res.Properties = map[string]any{"waiver": why(*f.Waiver)}
	}
	r.Results = append(r.Results, res)
}

// why says in words who waived a finding.
func why(w result.Waiver) string {
	said := result.Line(w.Reason) + ", says " + result.Line(w.By)
	if w.Owner != "" {
		said += " (" + result.Line(w.Owner) + ")"
	}
	if !w.Expires.IsZero() {
		said += ", until " + w.Expires.UTC().Format(time.RFC3339)
	}
	return said
}

func suppressedBy(w result.Waiver) []suppression {
	return []suppression{{Kind: "external", Justification: why(w)}}
}

func newRun(in Input, name string, r result.Report) run {
	var images []string
	packages, distributions := map[string]any{}, map[string]any{}
	for _, i := range r.Images {
		images = append(images, result.Line(i.Platform)+" "+i.Digest.String())
		if len(i.Packages) > 0 {
			packages[i.Digest.String()] = i.Packages
		}
		if i.Distribution != "" {
			distributions[i.Digest.String()] = result.Line(i.Distribution)
		}
	}
	properties := map[string]any{"reference": in.Reference.String(), "images": images, "rulesApplied": r.Rules}
	if len(r.Unapplied) > 0 {
		properties["rulesNotApplied"] = r.Unapplied
	}
	if len(packages) > 0 {
		properties["packages"] = packages
	}
	if len(distributions) > 0 {
		properties["distributions"] = distributions
	}
	return run{
		Tool:        tool{driver{Name: name, InformationURI: home, Rules: []rule{}}},
		Invocations: []invocation{{ExecutionSuccessful: true, EndTimeUTC: in.Now.UTC().Truncate(time.Second)}},
		Results:     []sarifResult{},
		Properties:  properties,
	}
}

func ruleOf(v result.Vulnerability) rule {
	r := rule{ID: result.Line(v.ID), Properties: map[string]any{"level": string(v.Level), "tags": []string{"security", "vulnerability"}}}
	if s := result.Line(v.Summary); s != "" {
		r.ShortDescription = &text{s}
	}
	if u, err := url.Parse(v.URL); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		r.HelpURI = u.String()
	}
	if v.Score > 0 {
		r.Properties["security-severity"] = fmt.Sprintf("%.1f", v.Score) // the field that GitHub reads
	}
	return r
}

func resultOf(ref image.Reference, v result.Vulnerability, at int) sarifResult {
	name, id := result.Line(v.Package.Name+" "+v.Package.Version), result.Line(v.ID)
	said := fmt.Sprintf("%s has %s (%s)", name, id, v.Level)
	if s := result.Line(v.Summary); s != "" {
		said += ": " + s
	}
	if len(v.FixedIn) > 0 {
		said += "; fixed in " + result.Line(strings.Join(v.FixedIn, ", "))
	}
	file := ""
	if len(v.Package.Locations) > 0 {
		file = v.Package.Locations[0]
	}
	r := sarifResult{
		RuleID: id, RuleIndex: at, Level: "note", Message: text{result.Line(said)},
		Locations:    located(ref, v.Platform, v.Digest, file, name),
		Fingerprints: map[string]any{"finding/v1": id + "/" + name + "/" + result.Line(v.Platform)},
		Properties:   map[string]any{"level": string(v.Level), "purl": result.Line(v.Package.PURL), "fixedIn": v.FixedIn, "aliases": v.Aliases},
	}
	if v.KnownExploited {
		r.Properties["knownExploited"] = true
	}
	if v.Malware {
		r.Properties["malware"] = true
	}
	if v.Ignored != nil {
		r.Suppressions = suppressedBy(result.Waiver{Reason: v.Ignored.Reason, Owner: v.Ignored.Owner, By: v.Ignored.By, Expires: v.Ignored.Expires})
	}
	return r
}

// located returns the location of a finding: the file in the image if it is known, or else the
// image.
func located(ref image.Reference, platform string, d image.Digest, file, inside string) []location {
	uri := "oci://" + ref.Repository().String() + "@" + d.String()
	if file != "" {
		uri = (&url.URL{Path: strings.TrimLeft(file, "/")}).String()
	}
	name := result.Line(platform)
	if inside != "" {
		name += "/" + inside
	}
	return []location{{Physical: physical{artifact{uri}}, Logical: []logical{{name}}}}
}
