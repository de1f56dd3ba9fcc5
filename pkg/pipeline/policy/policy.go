package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	yaml "go.yaml.in/yaml/v3"

	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// The limits of a policy.
const (
	// MaxFile bounds the policy; a ConfigMap holds 1 MiB at most.
	MaxFile       = 256 << 10
	maxIgnores    = 1000
	maxExceptions = 1000
	maxPatterns   = 100 // of an entry
	maxPattern    = 300
	maxReason     = 500
	maxOwner      = 100
)

// Policy says what fails an image. The zero value fails on everything.
type Policy struct {
	// The levels that fail nothing, and those that do only if there is a fix.
	warn    map[result.Level]bool
	ifFixed map[result.Level]bool
	// failExploited fails what is known to be exploited, whatever its level, and
	// exploitedIfFixed only if there is a fix.
	failExploited    bool
	exploitedIfFixed bool
	// warnOf are the rules of what nobody looked at that only warn, for all images.
	warnOf     map[string]bool
	exceptions []exception
	ignores    []ignore
	// statements by the names of vulnerabilities.
	statements map[string][]*statement
}

// file is a policy as it is written.
type file struct {
	FailOn      yaml.Node        `yaml:"failOn"`
	OnlyIfFixed yaml.Node        `yaml:"onlyIfFixed"`
	Rules       yaml.Node        `yaml:"rules"`
	Exceptions  []exceptionEntry `yaml:"exceptions"`
	Ignore      []ignoreEntry    `yaml:"ignore"`
	// Unmatched was one rule for all that the database does not cover.
	Unmatched yaml.Node `yaml:"unmatched"`
}

// lines say where in the file entries begin.
type lines struct{ exceptions, ignore []int }

// Default is the policy where there is none: critical, high and unknown levels fail
// if there is a fix, and so does whatever nobody could look at.
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
	f, at, err := decode(raw)
	if err != nil {
		return Policy{}, err
	}
	if !f.Unmatched.IsZero() {
		// Not mapped: it was one word for what are several questions now, and warn would
		// let more pass than its author knew of.
		return Policy{}, fmt.Errorf("unmatched (line %d) is no longer there; write a rule each under rules, as in %q",
			f.Unmatched.Line, "rules: {uncovered-packages: warn}")
	}
	p := Policy{}
	if err := p.levels(f); err != nil {
		return Policy{}, err
	}
	if p.warnOf, err = parseRules(f.Rules); err != nil {
		return Policy{}, err
	}
	if p.exceptions, err = parseExceptions(f.Exceptions, at.exceptions); err != nil {
		return Policy{}, err
	}
	if p.ignores, err = parseIgnores(f.Ignore, at.ignore); err != nil {
		return Policy{}, err
	}
	p.statements, err = parseDocuments(documents)
	return p, err
}

// decode reads the file and the line that each entry begins on.
func decode(raw []byte) (file, lines, error) {
	var f file
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	switch err := dec.Decode(&f); {
	case errors.Is(err, io.EOF):
		return file{}, lines{}, nil // nothing is written
	case err != nil:
		return file{}, lines{}, unreadable(err)
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return file{}, lines{}, errors.New("the policy holds more than one YAML document")
	}
	var nodes struct {
		Exceptions []yaml.Node `yaml:"exceptions"`
		Ignore     []yaml.Node `yaml:"ignore"`
	}
	if err := yaml.Unmarshal(raw, &nodes); err != nil {
		return file{}, lines{}, unreadable(err)
	}
	var at lines
	for _, n := range nodes.Exceptions {
		at.exceptions = append(at.exceptions, n.Line)
	}
	for _, n := range nodes.Ignore {
		at.ignore = append(at.ignore, n.Line)
	}
	return f, at, nil
}

// goType is what the decoder says of this program rather than of the file.
var goType = regexp.MustCompile(` in type policy\.\w+| into (\*?(\[\])?)(policy|result)\.\w+`)

// unreadable says in one line what the decoder found, and what is accepted.
func unreadable(err error) error {
	text := err.Error()
	if t := (*yaml.TypeError)(nil); errors.As(err, &t) {
		text = strings.Join(t.Errors, "; ")
	}
	return fmt.Errorf("the policy cannot be read: %s (accepted are failOn, onlyIfFixed, rules, exceptions and ignore; "+
		"in an exception rules, images, subjects, reason, owner and expires; in an entry of ignore id, packages, reason, owner and expires)",
		goType.ReplaceAllString(text, ""))
}

// none reports whether nothing is written there.
func none(n yaml.Node) bool { return n.IsZero() || n.Tag == "!!null" }
