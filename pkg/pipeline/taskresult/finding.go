package taskresult

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/runresult"
)

const (
	maxText            = 120 // bytes of a message
	maxWaived          = 80  // bytes of a waived one, because the waiver needs space too
	maxWaiverReason    = 60
	maxWaiverName      = 40 // bytes of the owner, and of the waiver's source
	maxRule            = 63
	maxPlatform        = 40
	maxPlatforms       = runresult.MaxPlatforms
	maxVulnerabilities = 3 // listed; the others are counted
)

// levels are the levels of vulnerabilities, worst first. Findings that are not vulnerabilities come
// before them.
var levels = []string{"", "critical", "high", "medium", "low", "unknown"}

func knownLevel(level string) bool { return level != "" && slices.Contains(levels, level) }

// short returns f as reported.
func short(check string, f result.Finding) Finding {
	level := f.Level
	if level != "" && !knownLevel(level) {
		level = "unknown"
	}
	out := Finding{
		Check: check, Rule: fitted(f.Rule, maxRule, 16), Severity: f.Severity, Level: level,
		Platform: platform(f.Platform), Message: fitted(f.Message, maxText, 60),
	}
	if w := f.Waiver; w != nil {
		out.Message = fitted(f.Message, maxWaived, 20)
		out.Waiver = &Waiver{
			Reason: fitted(w.Reason, maxWaiverReason, 10), Owner: fitted(w.Owner, maxWaiverName, 10), By: fitted(w.By, maxWaiverName, 10),
			Expires: w.Expires.UTC().Truncate(time.Second),
		}
	}
	return out
}

// fitted makes s one line of at most most bytes, and of at most more additional bytes once it is
// quoted.
func fitted(s string, most, more int) string {
	return Fit(result.Clip(result.Line(s), most), most+more)
}

// Fit cuts s until it takes at most most bytes after quoting. It is quoted as JSON within JSON,
// where one letter can take a dozen bytes.
func Fit(s string, most int) string {
	for len(s) > 3 && cost(s) > most {
		s = result.Clip(s, len(s)*3/4)
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

// identity is the key by which findings are merged.
type identity struct {
	check, rule string
	severity    result.Severity
	message     string
	waiver      Waiver
}

func (f Finding) identity() identity {
	key := identity{check: f.Check, rule: f.Rule, severity: f.Severity, message: f.Message}
	if f.Level != "" {
		key.message = "" // the message names the package
	}
	if f.Waiver != nil {
		key.waiver = *f.Waiver
	}
	return key
}

// Worst sorts findings. Those that fail the image come first: rules before vulnerabilities, and
// vulnerabilities by level. Of the others, waived ones come first. Worst merges equal findings on
// several platforms into one. It also merges a vulnerability of several packages, at the worst of
// their levels. Of the vulnerabilities it keeps only the worst.
func Worst(all []Finding) []Finding {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Severity, b.Severity), // "error" sorts before "warning"
			cmp.Compare(unwaived(a), unwaived(b)),
			cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level)))
	})
	var out []Finding
	vulnerabilities := 0
	at := map[identity]int{}
	for _, f := range sorted {
		key := f.identity()
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

func unwaived(f Finding) int {
	if f.Waiver != nil {
		return 0
	}
	return 1
}

// Largest returns the n largest counts, and the sum of the others as OtherKind. It returns nil if
// there are no counts.
func Largest(counts map[string]int, n int) map[string]int {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var out map[string]int
	told := 0
	for _, name := range names {
		if counts[name] <= 0 {
			continue
		}
		if out == nil {
			out = map[string]int{}
		}
		if name == OtherKind || told >= n {
			out[OtherKind] += counts[name]
			continue
		}
		out[name] = counts[name]
		told++
	}
	return out
}

func joined(known, more string) string {
	if more == "" || slices.Contains(strings.Split(known, ","), more) {
		return known
	}
	return result.Clip(strings.TrimPrefix(known+","+more, ","), maxPlatform)
}

// Fill returns as many of the first findings as fit.
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

// Stand returns the number of findings that the listed ones stand for.
func Stand(listed []Finding) int {
	n := 0
	for _, f := range listed {
		n += max(f.Times, 1)
	}
	return n
}

// platform keeps only the characters that platforms can contain. An image claims its own platform,
// and any other character could take up to twelve bytes once quoted.
func platform(p string) string {
	return result.Clip(strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("/._-", r):
			return r
		default:
			return '?'
		}
	}, p), maxPlatform)
}
