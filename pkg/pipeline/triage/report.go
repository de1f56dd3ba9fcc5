package triage

import (
	"fmt"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/report"
)

// CheckName is the name of the check that a scan is.
const CheckName = "scan"

// The rules of what a scan did not look at.
const (
	// RuleUnmatched tells of packages that were not compared with the database.
	RuleUnmatched = "unmatched-packages"
	// RuleUnread tells of files that name packages and could not be read.
	RuleUnread = "unread-files"
)

// Report judges what a scan found, marks in f what is ignored, and returns the
// report of the check and notes for the log. Scanners that agree on [findings.File]
// come to the same.
func (p Policy) Report(f *findings.File, now time.Time) (report.Report, []string) {
	j := p.Judge(f.Digest, f.Vulnerabilities, now)
	f.Vulnerabilities = j.Vulnerabilities
	r := report.Report{
		Check: CheckName, Digest: f.Digest, Rules: j.Rules + 2, Findings: j.Findings, Levels: j.Levels,
		Database: &report.Database{Digest: f.Database.Digest, AsOf: f.Database.AsOf},
	}
	for _, i := range f.Images {
		r.Images = append(r.Images, report.Image{Platform: i.Platform, Digest: i.Digest})
		r.Findings = append(r.Findings, p.unlooked(i)...)
	}
	return r, j.Notes
}

// unlooked tells what of an image nobody looked at.
func (p Policy) unlooked(i findings.Image) []report.Finding {
	var out []report.Finding
	tell := func(rule string, severity report.Severity, format string, args ...any) {
		out = append(out, report.Finding{Rule: rule, Severity: severity, Platform: i.Platform, Digest: i.Digest, Message: report.Line(fmt.Sprintf(format, args...))})
	}
	for _, u := range i.Unmatched {
		examples := strings.Join(u.Examples, ", ")
		switch {
		case u.Why != findings.NoRecords:
			tell(RuleUnmatched, report.SeverityWarning, "packages of %s have no version that can be compared: %d: %s", u.Ecosystem, u.Packages, examples)
		case p.warnUnmatched:
			tell(RuleUnmatched, report.SeverityWarning, "the database has no records of %s; packages of it: %d: %s", u.Ecosystem, u.Packages, examples)
		default:
			tell(RuleUnmatched, report.SeverityError, "the database has no records of %s; add it to the mirror's ecosystems, or let it pass by unmatched in the policy; packages of it: %d: %s",
				u.Ecosystem, u.Packages, examples)
		}
	}
	if i.Unread > 0 {
		tell(RuleUnread, report.SeverityWarning, "files that name packages and could not be read: %d: %s", i.Unread, strings.Join(i.UnreadExamples, ", "))
	}
	return out
}
