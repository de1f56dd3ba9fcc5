package taskresult

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// The bounds on reported packages.
const (
	maxKinds         = 8 // and OtherKind, for the rest
	maxGaps          = 8
	maxDistributions = 3
	maxDistribution  = 40
	maxSchema        = 20
	// OtherKind counts the packages of kinds that are not reported one by one.
	OtherKind = "other"
)

var kindPattern = regexp.MustCompile(`^[a-z][a-z0-9.+-]{0,19}$`)

// add counts the findings of reports, and lists as many as fit.
func (o *Result) add(reports []result.Report) error {
	var all []Finding
	kinds, gaps := map[string]int{}, map[string]int{}
	for _, r := range reports {
		for _, f := range r.Findings {
			if err := o.count(r.Check, f); err != nil {
				return err
			}
			if f.Gap {
				gaps[name(f.Rule)]++
			}
			all = append(all, short(r.Check, f))
		}
		for level, n := range r.Levels {
			if !knownLevel(level) || n < 0 {
				return fmt.Errorf("check %q: %d vulnerabilities of the level %q", r.Check, n, level)
			}
			if n > 0 {
				if o.Levels == nil {
					o.Levels = map[string]int{}
				}
				o.Levels[level] += n
			}
		}
		if err := o.looked(r, kinds); err != nil {
			return err
		}
	}
	o.Packages, o.Gaps = Largest(kinds, maxKinds), Largest(gaps, maxGaps)
	o.list(Worst(all))
	return nil
}

// count counts one finding.
func (o *Result) count(check string, f result.Finding) error {
	if w := f.Waiver; w != nil && (result.Line(w.Reason) == "" || result.Line(w.By) == "") {
		return fmt.Errorf("check %q: rule %q is waived, but the reason or the author is missing", check, f.Rule)
	}
	switch f.Severity {
	case result.SeverityError:
		o.Errors++
		if f.Waiver != nil {
			return fmt.Errorf("check %q: rule %q both fails the image and is waived", check, f.Rule)
		}
	case result.SeverityWarning:
		o.Warnings++
		if f.Waiver != nil {
			o.Waived++
		}
	default:
		return fmt.Errorf("check %q: rule %q has the unknown severity %q", check, f.Rule, f.Severity)
	}
	return nil
}

// looked collects what a scanner reported about its work: packages, distributions and database.
func (o *Result) looked(r result.Report, kinds map[string]int) error {
	for _, i := range r.Images {
		for kind, n := range i.Packages {
			if n < 0 {
				return fmt.Errorf("check %q: %d packages of the kind %q", r.Check, n, kind)
			}
			kinds[name(kind)] += n
		}
		d := distribution(i.Distribution)
		if d != "" && len(o.Distributions) < maxDistributions && !slices.Contains(o.Distributions, d) {
			o.Distributions = append(o.Distributions, d)
		}
	}
	if !r.Inventory.IsZero() {
		if o.Inventory != nil {
			return fmt.Errorf("check %q: another check judged an inventory too", r.Check)
		}
		o.Inventory = &Inventory{Digest: r.Inventory}
	}
	if r.Database == nil {
		return nil
	}
	if o.Database != nil {
		return fmt.Errorf("check %q: another check used a database too", r.Check)
	}
	o.Database = &result.Database{
		Digest: r.Database.Digest, AsOf: r.Database.AsOf.UTC().Truncate(time.Second), Schema: result.Clip(platform(r.Database.Schema), maxSchema),
	}
	return nil
}

// name returns a kind or a rule as reported.
func name(s string) string {
	if !kindPattern.MatchString(s) {
		return OtherKind
	}
	return s
}

// distribution keeps only the characters that ID:VERSION_ID can contain.
func distribution(s string) string {
	id, version, found := strings.Cut(s, ":")
	if found {
		return result.Clip(platform(id)+":"+platform(version), maxDistribution)
	}
	return platform(s)
}

// list keeps as many of the first findings as fit, and counts the rest. It cuts other fields until
// the first finding fits, because that finding explains the verdict.
func (o *Result) list(all []Finding) {
	total := o.Errors + o.Warnings
	with := func(listed []Finding) int {
		next := *o
		next.Findings, next.Omitted = listed, total // reserve space for the longest possible number
		return next.size()
	}
	first := all[:min(len(all), 1)]
	for (o.fixed() > maxFixed || with(first)+reportRoom > MaxQuoted) && o.shorten() {
	}
	o.Findings = Fill(all, func(listed []Finding) bool { return with(listed) <= MaxQuoted })
	o.Omitted = total - Stand(o.Findings)
}

// shorten drops a kind of package, or else a distribution, or else a platform, which a verdict
// rests on. It reports whether it dropped one.
func (o *Result) shorten() bool {
	switch {
	case len(o.Packages) > 1:
		o.Packages = Largest(o.Packages, max(len(o.Packages)-2, 0))
	case len(o.Distributions) > 0:
		o.Distributions = shorter(o.Distributions)
	case len(o.Platforms) > 0:
		o.Platforms = shorter(o.Platforms)
	default:
		return false
	}
	return true
}

// shorter returns all but the last element. It returns nil instead of an empty slice, because
// decoding does too.
func shorter[T any](all []T) []T {
	if len(all) <= 1 {
		return nil
	}
	return all[:len(all)-1]
}
