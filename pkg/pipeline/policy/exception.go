package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v3"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// RuleAmbiguousLayers reports that runtimes read the layers differently, so the image has no
// certain content.
const RuleAmbiguousLayers = "ambiguous-layers"

// Rules returns the gap rules: the rules about content that no scanner could check. Each fails the
// image, unless the policy says otherwise.
func Rules() []string {
	return []string{
		result.RuleUncoveredRelease, result.RuleUncoveredPackages, result.RuleUncomparedPackages,
		result.RuleUnreadFiles, result.RuleNoPackages, result.RuleLimitedSupport, RuleAmbiguousLayers,
	}
}

// Decision is what a policy decides about a gap. The zero value decides nothing, and its readers
// refuse it.
type Decision struct {
	Severity result.Severity
	// Waiver says why the gap fails nothing. It is nil if the gap fails the image.
	Waiver *Waiver
	// Expired names the exceptions that would apply if they had not expired.
	Expired []string
}

// Gap decides about a gap in an image. rule is one of Rules, subject is what the gap is about, and
// reference is the image's host/repository@digest. If the reference is unknown, no exception
// applies.
func (p Policy) Gap(rule, subject, reference string, now time.Time) Decision {
	return p.decide(p.about(reference), rule, subject, now)
}

// about returns the exceptions for an image.
func (p Policy) about(reference string) []exception {
	repository, ok := repositoryOf(reference)
	if !ok {
		return nil
	}
	var all []exception
	for _, e := range p.exceptions {
		if slices.ContainsFunc(e.images, func(r *regexp.Regexp) bool { return r.MatchString(repository) }) {
			all = append(all, e)
		}
	}
	return all
}

func (p Policy) decide(about []exception, rule, subject string, now time.Time) Decision {
	d := Decision{Severity: result.SeverityError}
	for _, e := range about {
		switch {
		case !e.covers(rule, subject):
		case e.expired(now):
			d.Expired = append(d.Expired, fmt.Sprintf("the policy's exception on line %d %s, so it no longer waives %s", e.line, e.since(), rule))
		default:
			return Decision{Severity: result.SeverityWarning, Waiver: e.tell()}
		}
	}
	if p.warnOf[rule] {
		return Decision{Severity: result.SeverityWarning, Waiver: &Waiver{Reason: "for all images the rules say " + rule + ": " + warns, By: byPolicy}}
	}
	return d
}

// repositoryOf returns the repository of a reference in the form that patterns match: without tag
// and digest, and with the host in lower case.
func repositoryOf(reference string) (string, bool) {
	name, _, _ := strings.Cut(reference, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	r, err := image.ParseRepository(name)
	if err != nil {
		return "", false
	}
	return strings.ToLower(r.Host()) + "/" + r.Path(), true
}

// The values that a rule can have.
const (
	fails = "fail"
	warns = "warn"
)

// parseRules reads what each rule does for all images.
func parseRules(n yaml.Node) (map[string]bool, error) {
	out := map[string]bool{}
	if none(n) {
		return out, nil
	}
	if n.Kind == yaml.AliasNode {
		n = *n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("rules (line %d): write a map that sets each rule to %s or %s, like %q", n.Line, warns, fails, "rules: {no-packages: warn}")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		rule, word := n.Content[i], n.Content[i+1]
		switch {
		case !slices.Contains(Rules(), rule.Value):
			return nil, fmt.Errorf("rules (line %d): %w", rule.Line, unknownRule(rule.Value))
		case seen[rule.Value]:
			return nil, fmt.Errorf("rules (line %d): %s is listed twice", rule.Line, rule.Value)
		case word.Kind != yaml.ScalarNode || word.Value != fails && word.Value != warns:
			return nil, fmt.Errorf("rules (line %d): %s is %.40q; accepted are %s and %s", rule.Line, rule.Value, word.Value, warns, fails)
		}
		seen[rule.Value] = true
		if word.Value == warns {
			out[rule.Value] = true
		}
	}
	return out, nil
}

func unknownRule(rule string) error {
	return fmt.Errorf("unknown rule %.60q; accepted are %q", rule, Rules())
}

// exception waives some gaps of some images.
type exception struct {
	waiver
	rules    []string
	images   []*regexp.Regexp
	subjects []*regexp.Regexp // empty: any
}

// exceptionEntry is an exception as written in the policy.
type exceptionEntry struct {
	Rules    []string  `yaml:"rules"`
	Images   []string  `yaml:"images"`
	Subjects yaml.Node `yaml:"subjects"`
	words    `yaml:",inline"`
}

func parseExceptions(entries []exceptionEntry, lines []int) ([]exception, error) {
	if len(entries) > maxExceptions {
		return nil, fmt.Errorf("the policy has %d exceptions; the limit is %d", len(entries), maxExceptions)
	}
	var all []exception
	for i, e := range entries {
		next, err := e.parse(lines[i])
		if err != nil {
			return nil, fmt.Errorf("exceptions, entry %d (line %d): %w", i+1, lines[i], err)
		}
		all = append(all, next)
	}
	return all, nil
}

func (e exceptionEntry) parse(line int) (exception, error) {
	out := exception{rules: e.Rules}
	if len(e.Rules) == 0 {
		return exception{}, fmt.Errorf("rules is missing; name one or more of %q", Rules())
	}
	for i, r := range e.Rules {
		switch {
		case !slices.Contains(Rules(), r):
			return exception{}, unknownRule(r)
		case slices.Contains(e.Rules[:i], r):
			return exception{}, fmt.Errorf("rule %s is listed twice", r)
		}
	}
	var err error
	if out.images, err = imagePatterns(e.Images); err != nil {
		return exception{}, err
	}
	subjects, err := listed("subjects", e.Subjects)
	if err != nil {
		return exception{}, err
	}
	if out.subjects, err = patterns("subjects", subjects); err != nil {
		return exception{}, err
	}
	if out.waiver, err = e.words.parse(line, "nobody has to look there"); err != nil {
		return exception{}, err
	}
	if out.owner == "" {
		return exception{}, errors.New("owner is missing; write the name or address of whoever answers for it")
	}
	return out, nil
}

func (e exception) covers(rule, subject string) bool {
	return slices.Contains(e.rules, rule) && (len(e.subjects) == 0 ||
		slices.ContainsFunc(e.subjects, func(r *regexp.Regexp) bool { return r.MatchString(subject) }))
}

// imagePatterns compiles patterns of host/repository. * matches anything within a path segment, and
// ** matches one segment or more.
func imagePatterns(all []string) ([]*regexp.Regexp, error) {
	if len(all) == 0 || len(all) > maxPatterns {
		return nil, fmt.Errorf("images has %d patterns; write 1 to %d, like registry.example.com/team/**", len(all), maxPatterns)
	}
	var out []*regexp.Regexp
	for _, s := range all {
		r, err := imagePattern(s)
		if err != nil {
			return nil, fmt.Errorf("images: pattern %.80q: %w", s, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func imagePattern(s string) (*regexp.Regexp, error) {
	host, path, found := strings.Cut(s, "/")
	switch {
	case len(s) > maxPattern:
		return nil, fmt.Errorf("it has %d bytes; the limit is %d", len(s), maxPattern)
	case s == "**":
		return glob(s, ".*"), nil
	case !found || path == "":
		return nil, errors.New("it must match host/repository as a whole; write both, or ** for every image")
	case strings.Contains(path, ":") || strings.Contains(path, "@"):
		return nil, errors.New("an exception applies to a repository; leave out the tag or digest")
	case host != "*" && strings.Contains(host, "*"):
		// registry.example.com* would also match the start of an attacker's host name.
		return nil, errors.New("write out the host; only a * on its own may replace it, and matches any host")
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		switch {
		case segment == "**":
			segments[i] = ".+"
		case segment == "" || strings.Contains(segment, "**"):
			return nil, errors.New("** must stand alone between slashes, and no segment may be empty")
		default:
			segments[i] = strings.ReplaceAll(regexp.QuoteMeta(segment), `\*`, `[^/]*`)
		}
	}
	host = strings.ReplaceAll(regexp.QuoteMeta(strings.ToLower(host)), `\*`, `[^/]+`)
	return regexp.Compile(`^` + host + `/` + strings.Join(segments, "/") + `$`)
}
