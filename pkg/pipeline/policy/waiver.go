package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v3"

	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// byPolicy names the author of waivers that come from a policy entry.
const byPolicy = "policy"

// Waiver is somebody's statement that a finding fails nothing.
type Waiver = result.Waiver

// words are the fields that every waiving entry has.
type words struct {
	Reason  string `yaml:"reason"`
	Owner   string `yaml:"owner"`
	Expires string `yaml:"expires"`
}

// waiver holds the parsed fields, and the line of the entry.
type waiver struct {
	reason  string
	owner   string
	expires time.Time // zero means never
	line    int
}

// parse reads the fields of an entry. why completes the message about a missing reason.
func (w words) parse(line int, why string) (waiver, error) {
	out := waiver{reason: strings.TrimSpace(w.Reason), owner: strings.TrimSpace(w.Owner), line: line}
	switch {
	case out.reason == "":
		return waiver{}, fmt.Errorf("reason is missing; say why %s, for whoever reads it next year", why)
	case len(out.reason) > maxReason:
		return waiver{}, fmt.Errorf("reason has %d bytes; the limit is %d", len(out.reason), maxReason)
	case len(out.owner) > maxOwner:
		return waiver{}, fmt.Errorf("owner has %d bytes; the limit is %d", len(out.owner), maxOwner)
	}
	var err error
	out.expires, err = expiry(w.Expires)
	return out, err
}

// expiry returns the time at which an entry ends: the end of a day in UTC, or a given time.
func expiry(s string) (time.Time, error) {
	switch s {
	case "":
		return time.Time{}, errors.New("expires is missing; write its last day like 2026-06-30, or never")
	case "never":
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err == nil {
		t = t.AddDate(0, 0, 1)
	} else {
		t, err = time.Parse(time.RFC3339, s)
	}
	if err != nil || t.IsZero() { // a zero time would mean never
		return time.Time{}, fmt.Errorf("expires is %.40q; write the last day like 2026-06-30, a time like 2026-06-30T12:00:00Z, or never", s)
	}
	return t.UTC(), nil
}

func (w waiver) expired(now time.Time) bool { return !w.expires.IsZero() && !now.Before(w.expires) }

// since says for messages when an entry ended.
func (w waiver) since() string { return "expired " + w.expires.Format(time.RFC3339) }

func (w waiver) tell() *Waiver {
	return &Waiver{Reason: w.reason, Owner: w.owner, Expires: w.expires, By: byPolicy}
}

// target returns the node that n is an alias for, or n.
func target(n yaml.Node) yaml.Node {
	if n.Kind == yaml.AliasNode {
		return *n.Alias
	}
	return n
}

// listed reads a list of words. It returns nil if the list is missing. An empty list is an error,
// because it would match everything, and its author did not write that.
func listed(field string, n yaml.Node) ([]string, error) {
	if n.IsZero() {
		return nil, nil
	}
	var all []string
	if err := n.Decode(&all); err != nil || len(all) == 0 || len(all) != len(target(n).Content) {
		return nil, fmt.Errorf("%s (line %d): write a list of one or more words, or leave %s out", field, n.Line, field)
	}
	return all, nil
}

// patterns compiles a list of patterns. * matches anything.
func patterns(field string, all []string) ([]*regexp.Regexp, error) {
	if len(all) > maxPatterns {
		return nil, fmt.Errorf("%s has %d patterns; the limit is %d", field, len(all), maxPatterns)
	}
	var out []*regexp.Regexp
	for _, s := range all {
		if s == "" || len(s) > maxPattern {
			return nil, fmt.Errorf("%s: pattern %.40q is empty or has more than %d bytes", field, s, maxPattern)
		}
		out = append(out, glob(s, ".*"))
	}
	return out, nil
}

// glob compiles a pattern that must match as a whole. star is the regular expression for *.
func glob(s, star string) *regexp.Regexp {
	parts := strings.Split(s, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`^(?s:` + strings.Join(parts, star) + `)$`)
}
