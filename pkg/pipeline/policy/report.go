package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// CheckName is the name of the scan's check.
const CheckName = "scan"

// RuleExpiredException reports exceptions that would apply if they had not expired.
const RuleExpiredException = "expired-exception"

// otherKind counts packages of unknown kind.
const otherKind = "other"

// Report judges a scan's findings and marks the ignored ones in f. It returns the report of the
// check, and notes for the log. Two scanners that return equal [result.Findings] get equal reports.
// reference is the image's, for exceptions.
func (p Policy) Report(f *result.Findings, reference string, now time.Time) (result.Report, []string) {
	j := p.Judge(f.Digest, f.Vulnerabilities, now)
	f.Vulnerabilities = j.Vulnerabilities
	r := result.Report{
		Check: CheckName, Digest: f.Digest, Rules: j.Rules + len(Rules()) - 1 /* the layers are another check */, Findings: j.Findings, Levels: j.Levels,
		Database:  &result.Database{Digest: f.Database.Digest, AsOf: f.Database.AsOf, Schema: f.Database.Schema},
		Inventory: f.Inventory,
	}
	for _, i := range f.Images {
		img := result.CheckedImage{Platform: i.Platform, Digest: i.Digest, Distribution: i.Distribution, Packages: kinds(i)}
		r.Images = append(r.Images, img)
		r.Findings = append(r.Findings, p.Gaps(img, gaps(i), reference, now)...)
	}
	return r, append(j.Notes, p.notes(reference, now)...)
}

// kinds counts the packages of an image by kind. Packages whose kind the scanner did not give count
// as otherKind.
func kinds(i result.ScannedImage) map[string]int {
	out, told := maps.Clone(i.Kinds), 0
	for _, n := range i.Kinds {
		told += n
	}
	if rest := i.Packages - told; rest > 0 {
		if out == nil {
			out = map[string]int{}
		}
		out[otherKind] += rest
	}
	return out
}

// gaps returns what no scanner could check in an image. An image without packages is always a gap,
// even if its scanner does not say so, because there was nothing to compare.
func gaps(i result.ScannedImage) []result.Gap {
	told := slices.ContainsFunc(i.Gaps, func(g result.Gap) bool { return g.Rule == result.RuleNoPackages })
	if i.Packages > 0 || told {
		return i.Gaps
	}
	return append(slices.Clone(i.Gaps), result.Gap{Rule: result.RuleNoPackages, Message: "found no packages in the image, so there was nothing to compare"})
}

// Gaps returns the findings for the gaps of an image, and the expired exceptions that would have
// waived them.
func (p Policy) Gaps(of result.CheckedImage, gaps []result.Gap, reference string, now time.Time) []result.Finding {
	about := p.about(reference)
	var out []result.Finding
	var expired []string
	for _, g := range gaps {
		d := p.decide(about, g.Rule, g.Subject, now)
		expired = append(expired, d.Expired...)
		out = append(out, result.Finding{
			Rule: g.Rule, Severity: d.Severity, Platform: of.Platform, Digest: of.Digest, Message: gapMessage(g, d), Waiver: d.Waiver, Gap: true,
		})
	}
	slices.Sort(expired)
	for _, text := range slices.Compact(expired) {
		out = append(out, result.Finding{
			Rule: RuleExpiredException, Severity: result.SeverityWarning, Platform: of.Platform, Digest: of.Digest, Message: result.Line(text),
		})
	}
	return out
}

// gapMessage says what was not checked and why, gives examples, and says what to do.
func gapMessage(g result.Gap, d Decision) string {
	text := result.Line(g.Message)
	if n := max(g.Count, len(g.Examples)); n > 0 {
		text += fmt.Sprintf(" (%d", n)
		if len(g.Examples) > 0 {
			text += ": " + strings.Join(g.Examples, ", ")
		}
		text += ")"
	}
	if d.Severity == result.SeverityError {
		// Put the advice before the examples, which may be long and get cut.
		text = result.Clip(result.Line(text), 800) + "; if this is expected, add an exception for " + g.Rule + " to the policy"
	}
	return result.Line(text)
}

// notes returns lines for the log about parts of the policy that have no effect.
func (p Policy) notes(reference string, now time.Time) []string {
	var all []string
	for _, e := range p.exceptions {
		if e.expired(now) {
			all = append(all, fmt.Sprintf("policy: the exception on line %d (%s) %s and has no effect; renew or remove it", e.line, strings.Join(e.rules, ", "), e.since()))
		}
	}
	if _, ok := repositoryOf(reference); !ok && len(p.exceptions) > 0 {
		all = append(all, "policy: no exception applies, because the image's repository is unknown; pass --reference")
	}
	return all
}
