package validate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/google/cel-go/cel"
	yaml "go.yaml.in/yaml/v3"

	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// The limits of a rules file.
const (
	// MaxFile bounds the file. A ConfigMap holds at most 1 MiB.
	MaxFile  = 256 << 10
	maxRules = 200
)

var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Rules are compiled rules. The zero value has no rules, and Check refuses it.
type Rules struct {
	parameters map[string]any
	rules      []rule
}

// rule is one rule, ready to be evaluated.
type rule struct {
	name     string
	line     int
	severity result.Severity
	message  string
	holds    cel.Program
	explain  cel.Program // nil if the rule has only a message
	asks     asks
}

// label names the rule in errors.
func (r rule) label() string { return fmt.Sprintf("rule %q (line %d)", r.name, r.line) }

// file is a rules file.
type file struct {
	Parameters map[string]any `yaml:"parameters"`
	Rules      []entry        `yaml:"rules"`
}

type entry struct {
	Name              string          `yaml:"name"`
	Severity          result.Severity `yaml:"severity"`
	Expression        string          `yaml:"expression"`
	Message           string          `yaml:"message"`
	MessageExpression string          `yaml:"messageExpression"`
}

// Parse reads and compiles a rules file.
func Parse(raw []byte) (Rules, error) {
	if len(raw) > MaxFile {
		return Rules{}, fmt.Errorf("the rules file has %d bytes; the limit is %d", len(raw), MaxFile)
	}
	f, lines, err := decode(raw)
	if err != nil {
		return Rules{}, err
	}
	if len(f.Rules) == 0 {
		return Rules{}, errors.New("the rules file names no rule; an empty list would pass every image")
	}
	if len(f.Rules) > maxRules {
		return Rules{}, fmt.Errorf("the rules file names %d rules; the limit is %d", len(f.Rules), maxRules)
	}
	env, err := newEnv()
	if err != nil {
		return Rules{}, err
	}
	rules := Rules{parameters: f.Parameters}
	if rules.parameters == nil {
		rules.parameters = map[string]any{}
	}
	seen := map[string]int{}
	for i, e := range f.Rules {
		r, err := compile(env, e, lines[i])
		if err != nil {
			return Rules{}, err
		}
		if before, ok := seen[r.name]; ok {
			return Rules{}, fmt.Errorf("%s: the rule on line %d already has this name; names must be unique", r.label(), before)
		}
		seen[r.name] = r.line
		rules.rules = append(rules.rules, r)
	}
	return rules, nil
}

// decode reads the file, and the line on which each rule begins.
func decode(raw []byte) (file, []int, error) {
	var f file
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return file{}, nil, unreadable(err)
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return file{}, nil, errors.New("the rules file holds more than one YAML document")
	}
	var nodes struct {
		Rules []yaml.Node `yaml:"rules"`
	}
	if err := yaml.Unmarshal(raw, &nodes); err != nil {
		return file{}, nil, unreadable(err)
	}
	lines := make([]int, len(f.Rules))
	for i := range lines {
		lines[i] = nodes.Rules[i].Line
	}
	return f, lines, nil
}

// goType matches the parts of decoder errors that name Go types rather than the file.
var goType = regexp.MustCompile(` in type validate\.\w+| into validate\.\w+`)

// unreadable puts the decoder's error in one line and lists the accepted fields.
func unreadable(err error) error {
	text := err.Error()
	if t := (*yaml.TypeError)(nil); errors.As(err, &t) {
		text = strings.Join(t.Errors, "; ")
	}
	return fmt.Errorf("cannot read the rules file: %s (accepted are parameters and rules; in a rule name, severity, expression, message and messageExpression)",
		goType.ReplaceAllString(text, ""))
}

// compile checks everything about e that needs no image.
func compile(env *cel.Env, e entry, line int) (rule, error) {
	r := rule{name: e.Name, line: line, severity: e.Severity, message: e.Message}
	if r.severity == "" {
		r.severity = result.SeverityError
	}
	switch {
	case !namePattern.MatchString(e.Name):
		return rule{}, fmt.Errorf("%s: the name must be lower-case letters, digits and dashes, at most 63 characters", r.label())
	case r.severity != result.SeverityError && r.severity != result.SeverityWarning:
		return rule{}, fmt.Errorf("%s: unknown severity %q; accepted are %q and %q", r.label(), e.Severity, result.SeverityError, result.SeverityWarning)
	case e.Expression == "":
		return rule{}, fmt.Errorf("%s: expression is missing", r.label())
	case e.Message == "":
		return rule{}, fmt.Errorf("%s: message is missing", r.label())
	}
	var err error
	if r.holds, r.asks, err = program(env, e.Expression, cel.BoolType); err != nil {
		return rule{}, fmt.Errorf("%s: expression: %w", r.label(), err)
	}
	if e.MessageExpression == "" {
		return r, nil
	}
	var told asks
	if r.explain, told, err = program(env, e.MessageExpression, cel.StringType); err != nil {
		return rule{}, fmt.Errorf("%s: messageExpression: %w", r.label(), err)
	}
	r.asks.sbom, r.asks.findings = r.asks.sbom || told.sbom, r.asks.findings || told.findings
	return r, nil
}
