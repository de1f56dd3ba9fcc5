package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// The rules of findings that are not vulnerabilities.
const (
	// RuleIgnored reports vulnerabilities that fail nothing because somebody waived them.
	RuleIgnored = "ignored-vulnerabilities"
	// RuleExpired reports entries that would apply if they had not expired.
	RuleExpired = "expired-ignore"

	maxQuoted = 10 // vulnerabilities named in one warning
	maxTold   = 20 // ignoring entries that get a warning of their own
)

// Judgement is what a policy decides about a scan.
type Judgement struct {
	// Vulnerabilities are all the vulnerabilities given to Judge. Judge sets Ignored on the ignored
	// ones.
	Vulnerabilities []result.Vulnerability
	// Findings are the vulnerabilities that are not ignored, and the findings of RuleIgnored and
	// RuleExpired. A malware finding has no level, so that no list of the worst findings can leave
	// it out.
	Findings []result.Finding
	// Levels counts all vulnerabilities by level, including the ignored ones.
	Levels map[string]int
	// Rules is the number of applied rules: one for each level, and one for malware.
	Rules int
	// Notes are lines for the log. They list every expired entry.
	Notes []string
}

// Judge applies p to the vulnerabilities that a scan found in the images of root.
func (p Policy) Judge(root image.Digest, found []result.Vulnerability, now time.Time) Judgement {
	j := Judgement{Vulnerabilities: slices.Clone(found), Levels: map[string]int{}, Rules: len(result.Levels()) + 1}
	for _, i := range p.ignores {
		if i.expired(now) {
			j.Notes = append(j.Notes, fmt.Sprintf("policy: the ignore entry on line %d (%s) %s and has no effect; renew or remove it", i.line, i.id, i.since()))
		}
	}
	images := map[imageKey]*told{}
	var order []imageKey
	for n := range j.Vulnerabilities {
		v := &j.Vulnerabilities[n]
		v.Ignored = nil // only this policy decides, whatever the input says
		j.Levels[string(v.Level)]++
		key := imageKey{v.Platform, v.Digest}
		if images[key] == nil {
			images[key], order = &told{expired: map[int][]string{}}, append(order, key)
		}
		of := images[key]
		ignored, expired := p.ignored(*v, root, now)
		if malware(*v) {
			j.Findings = append(j.Findings, malicious(*v, ignored))
			continue
		}
		for _, e := range expired {
			of.expired[e] = append(of.expired[e], v.ID)
		}
		if v.Ignored = ignored.of(); v.Ignored != nil {
			of.ignored = append(of.ignored, *v)
			continue
		}
		severity := result.SeverityWarning
		if p.fails(*v) {
			severity = result.SeverityError
		}
		j.Findings = append(j.Findings, result.Finding{
			Rule: v.ID, Severity: severity, Level: string(v.Level), Platform: v.Platform, Digest: v.Digest, Message: message(*v),
		})
	}
	for _, key := range order {
		j.Findings = append(j.Findings, images[key].findings(key, p.ignores)...)
	}
	return j
}

// suppression is the reason why a vulnerability fails nothing. The zero value means that there is
// none.
type suppression struct {
	waiver Waiver
	// place says in words where the reason is written.
	place string
}

func (s suppression) of() *result.Ignored {
	if s.place == "" {
		return nil
	}
	return &result.Ignored{Reason: s.waiver.Reason, Owner: s.waiver.Owner, By: s.waiver.By, Expires: s.waiver.Expires}
}

// ignored returns the reason to ignore v, if any. It also returns the list positions of entries
// that would ignore v but have expired.
func (p Policy) ignored(v result.Vulnerability, root image.Digest, now time.Time) (suppression, []int) {
	var expired []int
	for n, i := range p.ignores {
		switch {
		case !i.covers(v):
		case i.expired(now):
			expired = append(expired, n)
		default:
			return suppression{*i.tell(), fmt.Sprintf("the policy's ignore entry on line %d", i.line)}, nil
		}
	}
	if s := p.stated(v, root); s != nil && s.suppresses {
		return suppression{Waiver{Reason: s.reason, By: s.by}, "the OpenVEX document " + s.by}, nil
	}
	return suppression{}, expired
}

// malicious returns the finding for malware. Nothing waives malware: an entry that waives its id
// was written about a vulnerability.
func malicious(v result.Vulnerability, ignored suppression) result.Finding {
	text := v.Package.Name + " " + v.Package.Version + ": known malware"
	if s := result.Line(v.Summary); s != "" {
		text += ": " + result.Clip(s, maxReason)
	}
	text += "; remove it, and replace the secrets that its build or its hosts could read"
	if ignored.place != "" {
		text += "; nothing waives malware: " + ignored.place + " does not apply"
	}
	return result.Finding{Rule: v.ID, Severity: result.SeverityError, Platform: v.Platform, Digest: v.Digest, Message: result.Line(text)}
}

// Put what a person can do before the summary, because long messages are cut.
func message(v result.Vulnerability) string {
	text := v.Package.Name + " " + v.Package.Version
	if len(v.FixedIn) == 0 {
		text += ", no fix yet"
	} else {
		text += ", fixed in " + strings.Join(v.FixedIn, ", ")
	}
	if v.KnownExploited {
		text += ", known to be exploited"
	}
	if s := result.Line(v.Summary); s != "" {
		text += ": " + s
	}
	return result.Line(text)
}

type imageKey struct {
	platform string
	digest   image.Digest
}

// told collects what to report about an image besides its vulnerabilities.
type told struct {
	ignored []result.Vulnerability
	expired map[int][]string // vulnerabilities by expired entry
}

func (t *told) findings(key imageKey, ignores []ignore) []result.Finding {
	var out []result.Finding
	warn := func(rule, text string, by *Waiver) {
		out = append(out, result.Finding{
			Rule: rule, Severity: result.SeverityWarning, Platform: key.platform, Digest: key.digest, Message: result.Line(text), Waiver: by,
		})
	}
	by, groups := t.byWaiver()
	for n, w := range by {
		quoted := groups[w]
		if n == maxTold {
			rest := 0
			for _, w := range by[n:] {
				rest += len(groups[w])
			}
			warn(RuleIgnored, fmt.Sprintf("ignored vulnerabilities: %d more by %d other entries, which the full report names", rest, len(by)-n), nil)
			break
		}
		warn(RuleIgnored, fmt.Sprintf("ignored vulnerabilities: %d by %s: %s", len(quoted), w.By, quote(quoted)), &w)
	}
	for n, i := range ignores {
		if ids := t.expired[n]; len(ids) > 0 {
			warn(RuleExpired, fmt.Sprintf("the policy's entry for %s on line %d %s, so these count again: %s", i.id, i.line, i.since(), quote(ids)), nil)
		}
	}
	return out
}

// byWaiver groups ignored vulnerabilities by the waiver, worst first.
func (t *told) byWaiver() ([]Waiver, map[Waiver][]string) {
	var order []Waiver
	groups := map[Waiver][]string{}
	for _, v := range t.ignored {
		w := Waiver{Reason: v.Ignored.Reason, Owner: v.Ignored.Owner, Expires: v.Ignored.Expires, By: v.Ignored.By}
		if groups[w] == nil {
			order = append(order, w)
		}
		groups[w] = append(groups[w], v.ID+" in "+v.Package.Name)
	}
	return order, groups
}

// quote lists the first few, without duplicates.
func quote(all []string) string {
	all = slices.Clone(all)
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) > maxQuoted {
		return strings.Join(all[:maxQuoted], ", ") + fmt.Sprintf(" and %d more", len(all)-maxQuoted)
	}
	return strings.Join(all, ", ")
}
