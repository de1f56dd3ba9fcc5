package triage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/report"
)

// The rules of findings that are no vulnerability.
const (
	// RuleIgnored tells of vulnerabilities that fail nothing as somebody said so.
	RuleIgnored = "ignored-vulnerabilities"
	// RuleExpired tells of entries that would hold if they had not expired.
	RuleExpired = "expired-ignore"

	byPolicy  = "policy"
	maxQuoted = 10 // vulnerabilities that a warning names
)

// Judgement is what a policy makes of what was found.
type Judgement struct {
	// Vulnerabilities are all that were given; Ignored is set where they are.
	Vulnerabilities []findings.Vulnerability
	// Findings are of those that are not ignored, and of RuleIgnored and RuleExpired.
	Findings []report.Finding
	// Levels counts all vulnerabilities by level, the ignored ones included.
	Levels map[string]int
	// Suppressed counts the ignored ones.
	Suppressed int
	// Rules is how many rules were applied: one for each level.
	Rules int
	// Notes are for the log: every entry that expired.
	Notes []string
}

// Judge applies p to what a scan found in the images of root.
func (p Policy) Judge(root image.Digest, found []findings.Vulnerability, now time.Time) Judgement {
	j := Judgement{Vulnerabilities: slices.Clone(found), Levels: map[string]int{}, Rules: len(findings.Levels())}
	for _, i := range p.ignores {
		if i.expired(now) {
			j.Notes = append(j.Notes, fmt.Sprintf("policy: the entry of ignore on line %d (%s) %s, and does not hold; renew it, or take it away", i.line, i.id, i.since()))
		}
	}
	images := map[imageKey]*told{}
	var order []imageKey
	for n := range j.Vulnerabilities {
		v := &j.Vulnerabilities[n]
		v.Ignored = nil // whatever it says, this policy is asked
		j.Levels[string(v.Level)]++
		key := imageKey{v.Platform, v.Digest}
		if images[key] == nil {
			images[key], order = &told{expired: map[int][]string{}}, append(order, key)
		}
		of := images[key]
		ignored, expired := p.ignored(*v, root, now)
		for _, e := range expired {
			of.expired[e] = append(of.expired[e], v.ID)
		}
		if v.Ignored = ignored; ignored != nil {
			j.Suppressed++
			of.ignored = append(of.ignored, *v)
			continue
		}
		j.Findings = append(j.Findings, report.Finding{
			Rule: v.ID, Severity: p.severity(*v), Level: string(v.Level), Platform: v.Platform, Digest: v.Digest, Message: message(*v),
		})
	}
	for _, key := range order {
		j.Findings = append(j.Findings, images[key].findings(key, p.ignores)...)
	}
	return j
}

// severity is what a vulnerability that is not ignored comes to.
func (p Policy) severity(v findings.Vulnerability) report.Severity {
	if p.warn[v.Level] || p.ifFixed[v.Level] && len(v.FixedIn) == 0 {
		return report.SeverityWarning
	}
	return report.SeverityError
}

// ignored returns why v is ignored, or nil, and which entries would have ignored it
// and have expired, by their place in the list.
func (p Policy) ignored(v findings.Vulnerability, root image.Digest, now time.Time) (*findings.Ignored, []int) {
	var expired []int
	for n, i := range p.ignores {
		switch {
		case !i.covers(v):
		case i.expired(now):
			expired = append(expired, n)
		default:
			return &findings.Ignored{Reason: i.reason, By: byPolicy, Expires: i.expires}, nil
		}
	}
	if s := p.stated(v, root); s != nil && s.suppresses {
		return &findings.Ignored{Reason: s.reason, By: s.by}, nil
	}
	return nil, expired
}

func message(v findings.Vulnerability) string {
	text := report.Line(v.Package.Name + " " + v.Package.Version)
	if s := report.Line(v.Summary); s != "" {
		text += ": " + s
	}
	if len(v.FixedIn) == 0 {
		return report.Line(text + "; there is no fix yet")
	}
	return report.Line(text + "; fixed in " + strings.Join(v.FixedIn, ", "))
}

// since says, for messages, when an entry ended.
func (i ignore) since() string { return "expired " + i.expires.Format(time.RFC3339) }

type imageKey struct {
	platform string
	digest   image.Digest
}

// told is what there is to tell of an image beside its vulnerabilities.
type told struct {
	ignored []findings.Vulnerability
	expired map[int][]string // vulnerabilities by entry
}

func (t *told) findings(key imageKey, ignores []ignore) []report.Finding {
	var out []report.Finding
	warn := func(rule, text string) {
		out = append(out, report.Finding{Rule: rule, Severity: report.SeverityWarning, Platform: key.platform, Digest: key.digest, Message: report.Line(text)})
	}
	if len(t.ignored) > 0 {
		var quoted []string
		sources := map[string]int{}
		var by []string
		for _, v := range t.ignored {
			quoted = append(quoted, v.ID+" of "+v.Package.Name)
			if sources[v.Ignored.By]++; sources[v.Ignored.By] == 1 {
				by = append(by, v.Ignored.By)
			}
		}
		slices.Sort(by)
		for i, source := range by {
			by[i] = fmt.Sprintf("%d by %s", sources[source], source)
		}
		warn(RuleIgnored, fmt.Sprintf("vulnerabilities that are ignored: %s: %s", strings.Join(by, ", "), quote(quoted)))
	}
	for n, i := range ignores {
		if ids := t.expired[n]; len(ids) > 0 {
			warn(RuleExpired, fmt.Sprintf("the policy's entry for %s on line %d %s, so that these count again: %s", i.id, i.line, i.since(), quote(ids)))
		}
	}
	return out
}

// quote lists the first few, each once.
func quote(all []string) string {
	all = slices.Clone(all)
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) > maxQuoted {
		return strings.Join(all[:maxQuoted], ", ") + fmt.Sprintf(" and %d more", len(all)-maxQuoted)
	}
	return strings.Join(all, ", ")
}
