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
	// MaxFile bounds the policy. A ConfigMap holds at most 1 MiB.
	MaxFile       = 256 << 10
	maxIgnores    = 1000
	maxExceptions = 1000
	maxPatterns   = 100 // per entry
	maxPattern    = 300
	maxReason     = 500
	maxOwner      = 100
)

// Policy decides what fails an image. The zero value fails on everything.
type Policy struct {
	// warn holds the levels that fail nothing. ifFixed holds the levels that fail only if a fix
	// exists.
	warn    map[result.Level]bool
	ifFixed map[result.Level]bool
	// failExploited fails vulnerabilities that are known to be exploited, whatever their level.
	// With exploitedIfFixed they fail only if a fix exists.
	failExploited    bool
	exploitedIfFixed bool
	// warnOf holds the gap rules that only warn, for all images.
	warnOf     map[string]bool
	exceptions []exception
	ignores    []ignore
	// statements maps names of vulnerabilities to statements about them.
	statements map[string][]*statement
	part       string
}

// file is a policy as written.
type file struct {
	FailOn      yaml.Node        `yaml:"failOn"`
	OnlyIfFixed yaml.Node        `yaml:"onlyIfFixed"`
	Rules       yaml.Node        `yaml:"rules"`
	Exceptions  []exceptionEntry `yaml:"exceptions"`
	Ignore      []ignoreEntry    `yaml:"ignore"`
	// Unmatched is an old field: a single rule for everything that the database does not cover.
	Unmatched yaml.Node `yaml:"unmatched"`
}

// lines are the line numbers in the file where entries begin.
type lines struct{ exceptions, ignore []int }

// Default returns the policy for when none is written. The levels critical, high and unknown fail
// the image if a fix exists, and every gap fails it.
func Default() Policy {
	p, err := Parse(nil, nil)
	if err != nil {
		panic(err) // the empty policy is always valid
	}
	return p
}

// Parse reads a policy, and OpenVEX documents by file name.
func Parse(raw []byte, documents map[string][]byte) (Policy, error) {
	if len(raw) > MaxFile {
		return Policy{}, fmt.Errorf("the policy has %d bytes; the limit is %d", len(raw), MaxFile)
	}
	f, at, err := decode(raw)
	if err != nil {
		return Policy{}, err
	}
	if !f.Unmatched.IsZero() {
		// Do not convert the old field. It was one answer to what are now several questions, and
		// its "warn" would let more pass than its author knew.
		return Policy{}, fmt.Errorf("unmatched (line %d) was removed; write one entry per rule under rules, like %q",
			f.Unmatched.Line, "rules: {uncovered-packages: warn}")
	}
	p := Policy{part: part(raw, documents)}
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

// Part returns the digest of the policy and the documents as they were written.
func (p Policy) Part() string { return p.part }

func part(raw []byte, documents map[string][]byte) string {
	// A name with a slash is no document's.
	values := map[string]string{"/policy": string(raw)}
	for name, document := range documents {
		values[name] = string(document)
	}
	return result.PartOf(values)
}

// decode reads the file, and the line on which each entry begins.
func decode(raw []byte) (file, lines, error) {
	var f file
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	switch err := dec.Decode(&f); {
	case errors.Is(err, io.EOF):
		return file{}, lines{}, nil // the file is empty
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

// goType matches the parts of decoder errors that name Go types rather than the file.
var goType = regexp.MustCompile(` in type policy\.\w+| into (\*?(\[\])?)(policy|result)\.\w+`)

// unreadable puts the decoder's error in one line and lists the accepted fields.
func unreadable(err error) error {
	text := err.Error()
	if t := (*yaml.TypeError)(nil); errors.As(err, &t) {
		text = strings.Join(t.Errors, "; ")
	}
	return fmt.Errorf("cannot read the policy: %s (accepted are failOn, onlyIfFixed, rules, exceptions and ignore; "+
		"in an exception rules, images, subjects, reason, owner and expires; in an entry of ignore id, packages, reason, owner and expires)",
		goType.ReplaceAllString(text, ""))
}

// none reports whether n is empty.
func none(n yaml.Node) bool { return n.IsZero() || n.Tag == "!!null" }
