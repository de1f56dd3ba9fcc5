package triage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v3"

	"github.com/revet-dev/revet/pkg/pipeline/findings"
)

// The limits of a policy.
const (
	// MaxFile bounds the policy; a ConfigMap holds 1 MiB at most.
	MaxFile    = 256 << 10
	maxIgnores = 1000
	maxPattern = 200
	maxReason  = 500
)

// any id, of the packages that an entry names.
const anyID = "*"

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:+-]{0,126}$`)

// Policy says what fails an image. The zero value fails on everything.
type Policy struct {
	// The levels that fail nothing, and those that do only if there is a fix.
	warn    map[findings.Level]bool
	ifFixed map[findings.Level]bool
	// warnUnmatched lets packages pass that the database knows nothing of.
	warnUnmatched bool
	ignores       []ignore
	// statements by the names of vulnerabilities.
	statements map[string][]*statement
}

// ignore is an entry of the list.
type ignore struct {
	id       string
	packages []*regexp.Regexp // none for any
	reason   string
	expires  time.Time // zero: never
	line     int
}

// file is a policy as it is written.
type file struct {
	FailOn      *[]findings.Level `yaml:"failOn"`
	OnlyIfFixed yaml.Node         `yaml:"onlyIfFixed"`
	Unmatched   string            `yaml:"unmatched"`
	Ignore      []entry           `yaml:"ignore"`
}

type entry struct {
	ID       string   `yaml:"id"`
	Packages []string `yaml:"packages"`
	Reason   string   `yaml:"reason"`
	Expires  string   `yaml:"expires"`
}

// Default is the policy where there is none: critical, high and unknown levels fail
// if there is a fix, and packages that the database knows nothing of.
func Default() Policy {
	p, err := Parse(nil, nil)
	if err != nil {
		panic(err) // it has no text that could be wrong
	}
	return p
}

// Parse reads a policy, and OpenVEX documents by the names of their files.
func Parse(raw []byte, documents map[string][]byte) (Policy, error) {
	if len(raw) > MaxFile {
		return Policy{}, fmt.Errorf("the policy has %d bytes; the limit is %d", len(raw), MaxFile)
	}
	f, lines, err := decode(raw)
	if err != nil {
		return Policy{}, err
	}
	p := Policy{}
	failOn := []findings.Level{findings.Critical, findings.High, findings.Unknown}
	if f.FailOn != nil {
		failOn = *f.FailOn
	}
	if err := known("failOn", failOn); err != nil {
		return Policy{}, err
	}
	p.warn = map[findings.Level]bool{}
	for _, l := range findings.Levels() {
		p.warn[l] = !slices.Contains(failOn, l)
	}
	if p.ifFixed, err = onlyIfFixed(f.OnlyIfFixed); err != nil {
		return Policy{}, err
	}
	switch f.Unmatched {
	case "", "fail":
	case "warn":
		p.warnUnmatched = true
	default:
		return Policy{}, fmt.Errorf("unmatched is %.40q; accepted are fail and warn", f.Unmatched)
	}
	if len(f.Ignore) > maxIgnores {
		return Policy{}, fmt.Errorf("the policy ignores %d vulnerabilities; the limit is %d", len(f.Ignore), maxIgnores)
	}
	for i, e := range f.Ignore {
		next, err := e.parse(lines[i])
		if err != nil {
			return Policy{}, fmt.Errorf("ignore, entry %d (line %d): %w", i+1, lines[i], err)
		}
		p.ignores = append(p.ignores, next)
	}
	p.statements, err = parseDocuments(documents)
	return p, err
}

// decode reads the file and the line that each entry begins on.
func decode(raw []byte) (file, []int, error) {
	var f file
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	switch err := dec.Decode(&f); {
	case errors.Is(err, io.EOF):
		return file{}, nil, nil // nothing is written
	case err != nil:
		return file{}, nil, unreadable(err)
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return file{}, nil, errors.New("the policy holds more than one YAML document")
	}
	var nodes struct {
		Ignore []yaml.Node `yaml:"ignore"`
	}
	if err := yaml.Unmarshal(raw, &nodes); err != nil {
		return file{}, nil, unreadable(err)
	}
	lines := make([]int, len(f.Ignore))
	for i := range lines {
		lines[i] = nodes.Ignore[i].Line
	}
	return f, lines, nil
}

// goType is what the decoder says of this program rather than of the file.
var goType = regexp.MustCompile(` in type triage\.\w+| into (\*?(\[\])?)(triage|findings)\.\w+`)

// unreadable says in one line what the decoder found, and what is accepted.
func unreadable(err error) error {
	text := err.Error()
	if t := (*yaml.TypeError)(nil); errors.As(err, &t) {
		text = strings.Join(t.Errors, "; ")
	}
	return fmt.Errorf("the policy cannot be read: %s (accepted are failOn, onlyIfFixed, unmatched and ignore; in an entry of ignore id, packages, reason and expires)",
		goType.ReplaceAllString(text, ""))
}

func known(field string, levels []findings.Level) error {
	for i, l := range levels {
		switch {
		case !slices.Contains(findings.Levels(), l):
			return fmt.Errorf("%s: level %.40q is not known; accepted are %q", field, l, findings.Levels())
		case slices.Contains(levels[:i], l):
			return fmt.Errorf("%s: level %q is there twice", field, l)
		}
	}
	return nil
}

// onlyIfFixed reads true, false or a list of levels.
func onlyIfFixed(n yaml.Node) (map[findings.Level]bool, error) {
	levels := findings.Levels()
	var all bool
	switch {
	case n.IsZero() || n.Tag == "!!null":
	case n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && n.Decode(&all) == nil:
		if !all {
			levels = nil
		}
	case n.Kind == yaml.SequenceNode:
		levels = nil
		if err := n.Decode(&levels); err != nil {
			return nil, unreadable(err)
		}
		if err := known(fmt.Sprintf("onlyIfFixed (line %d)", n.Line), levels); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("onlyIfFixed (line %d): accepted are true, false, or a list of %q", n.Line, findings.Levels())
	}
	out := map[findings.Level]bool{}
	for _, l := range levels {
		out[l] = true
	}
	return out, nil
}

func (e entry) parse(line int) (ignore, error) {
	out := ignore{id: e.ID, reason: strings.TrimSpace(e.Reason), line: line}
	switch {
	case e.ID == "":
		return ignore{}, errors.New(`id is missing; name a vulnerability, or write "*" for all of some packages`)
	case e.ID != anyID && !idPattern.MatchString(e.ID):
		return ignore{}, fmt.Errorf("id %.130q is not the name of a vulnerability", e.ID)
	case e.ID == anyID && len(e.Packages) == 0:
		return ignore{}, errors.New(`id "*" without packages would ignore everything; name packages, or leave levels out of failOn`)
	case out.reason == "":
		return ignore{}, errors.New("reason is missing; say why it does not matter, for who finds it next year")
	case len(out.reason) > maxReason:
		return ignore{}, fmt.Errorf("reason has %d bytes; the limit is %d", len(out.reason), maxReason)
	}
	for _, p := range e.Packages {
		if p == "" || len(p) > maxPattern {
			return ignore{}, fmt.Errorf("packages: pattern %.40q is empty or has more than %d bytes", p, maxPattern)
		}
		out.packages = append(out.packages, pattern(p))
	}
	var err error
	out.expires, err = expiry(e.Expires)
	return out, err
}

// pattern compiles one in which * stands for anything.
func pattern(s string) *regexp.Regexp {
	parts := strings.Split(s, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`^(?s:` + strings.Join(parts, ".*") + `)$`)
}

// expiry returns when an entry ends: the end of a day, in UTC, or a time.
func expiry(s string) (time.Time, error) {
	switch s {
	case "":
		return time.Time{}, errors.New("expires is missing; write its last day like 2026-06-30, or never")
	case "never":
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t.AddDate(0, 0, 1), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.IsZero() {
		return time.Time{}, fmt.Errorf("expires is %.40q; write the last day like 2026-06-30, a time like 2026-06-30T12:00:00Z, or never", s)
	}
	return t.UTC(), nil
}

// covers reports whether the entry is about v.
func (i ignore) covers(v findings.Vulnerability) bool {
	if i.id != anyID && i.id != v.ID && !slices.Contains(v.Aliases, i.id) {
		return false
	}
	if len(i.packages) == 0 {
		return true
	}
	return slices.ContainsFunc(i.packages, func(p *regexp.Regexp) bool {
		return p.MatchString(v.Package.Name) || p.MatchString(v.Package.Name+"@"+v.Package.Version) ||
			v.Package.PURL != "" && p.MatchString(v.Package.PURL)
	})
}

func (i ignore) expired(now time.Time) bool { return !i.expires.IsZero() && !now.Before(i.expires) }
