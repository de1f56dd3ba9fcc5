package filter

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	celast "github.com/google/cel-go/common/ast"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

const (
	// costLimit bounds one evaluation, in CEL's own units. It allows a few milliseconds.
	costLimit = 100_000
	// maxExpression is the same limit as in the API.
	maxExpression = 4096
	// maxDepth bounds how deep an expression is nested: checking the types of lists in lists
	// takes a time that grows with its third power.
	maxDepth = 24
	// maxLoops bounds the macros that loop over a list: each has types of its own.
	maxLoops = 32
)

// The variables. CEL resolves a dotted name before a field, so each variable has a type of its own,
// and the error for an unknown one names it.
const (
	varRepository = "image.repository"
	varDigest     = "image.digest"
	varTags       = "image.tags"
	varMediaType  = "image.mediaType"
	varLabels     = "image.labels"
	varPlatforms  = "image.platforms"
	varCreated    = "image.created"
	varSize       = "image.size"
)

// Filter is a compiled expression. The zero value is an empty filter, which everything matches. A
// Filter is safe for concurrent use.
type Filter struct {
	program cel.Program
	labels  []string
	// readsTags is true if the decision may depend on a tag.
	readsTags bool
}

// Result is a filter's decision about a push.
type Result struct {
	Matches bool
	// Message says why the push does not match, if there is more to say than "false".
	Message string
}

// Compile checks and compiles an expression. The error names the cause and the available variables.
func Compile(expression string) (*Filter, error) {
	if strings.TrimSpace(expression) == "" {
		return &Filter{}, nil
	}
	if len(expression) > maxExpression {
		return nil, fmt.Errorf("the filter has %d bytes; at most %d are allowed", len(expression), maxExpression)
	}
	env, err := environment()
	if err != nil {
		return nil, err
	}
	ast, err := check(env, expression)
	if err != nil {
		return nil, err
	}
	if ast.OutputType() != cel.BoolType {
		return nil, fmt.Errorf("the filter returns a %s; it must return a bool", ast.OutputType())
	}
	labels, err := namedLabels(ast)
	if err != nil {
		return nil, err
	}
	if err := boundPatterns(ast); err != nil {
		return nil, err
	}
	program, err := env.Program(ast, cel.CostLimit(costLimit), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("the filter cannot be evaluated: %w", err)
	}
	return &Filter{program: program, labels: labels, readsTags: len(uses(ast, varTags)) > 0}, nil
}

// check parses an expression, and checks its types if that takes no time that others need.
func check(env *cel.Env, expression string) (*cel.Ast, error) {
	checked, issues := env.Parse(expression)
	if issues.Err() == nil {
		loops := celast.MatchDescendants(celast.NavigateAST(checked.NativeRep()), celast.KindMatcher(celast.ComprehensionKind))
		if len(loops) > maxLoops {
			return nil, fmt.Errorf("the filter has %d macros such as all and exists; at most %d are allowed", len(loops), maxLoops)
		}
		checked, issues = env.Check(checked)
	}
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("the filter does not compile; it may use %s: %w", strings.Join(variables(), ", "), err)
	}
	return checked, nil
}

// Labels lists the labels that the filter names, sorted.
func (f *Filter) Labels() []string { return slices.Clone(f.labels) }

// Evaluate decides whether the push of an entry matches. facts describe the digest; nil means that
// nothing is known about it. A filter that reads tags refuses no entry that does not name them all:
// it might admit one of the others.
func (f *Filter) Evaluate(entry *v1alpha1.ImageVerification, facts *v1alpha1.ImageFacts) (Result, error) {
	if f.program == nil {
		return Result{Matches: true}, nil
	}
	unnamed := f.readsTags && entry.Status.MoreTags.Total() > 0
	out, _, err := f.program.Eval(activation(entry, facts))
	if err != nil {
		if label, ok := strings.CutPrefix(err.Error(), noSuchKey); ok && slices.Contains(f.labels, label) {
			if unnamed {
				return Result{Matches: true}, nil
			}
			return Result{Message: fmt.Sprintf("the filter reads label %q, which the image does not have", label)}, nil
		}
		return Result{}, fmt.Errorf("evaluating the filter: %w", err)
	}
	matches, ok := out.Value().(bool)
	if !ok {
		return Result{}, fmt.Errorf("evaluating the filter: it returned a %s, not a bool", out.Type().TypeName())
	}
	if !matches && !unnamed {
		return Result{Message: "the trigger's filter is false for this image"}, nil
	}
	return Result{Matches: true}, nil
}

// noSuchKey is the start of the error that cel-go returns if a map lacks a key.
const noSuchKey = "no such key: "

func environment() (*cel.Env, error) {
	env, err := cel.NewEnv(
		cel.ParserRecursionLimit(maxDepth),
		cel.Variable(varRepository, cel.StringType),
		cel.Variable(varDigest, cel.StringType),
		cel.Variable(varTags, cel.ListType(cel.StringType)),
		cel.Variable(varMediaType, cel.StringType),
		cel.Variable(varLabels, cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable(varPlatforms, cel.ListType(cel.StringType)),
		cel.Variable(varCreated, cel.TimestampType),
		cel.Variable(varSize, cel.IntType),
	)
	if err != nil {
		return nil, fmt.Errorf("declaring the filter's variables: %w", err)
	}
	return env, nil
}

func variables() []string {
	return []string{varRepository, varDigest, varTags, varMediaType, varLabels, varPlatforms, varCreated, varSize}
}

func activation(entry *v1alpha1.ImageVerification, facts *v1alpha1.ImageFacts) map[string]any {
	if facts == nil {
		facts = &v1alpha1.ImageFacts{}
	}
	created := time.Unix(0, 0).UTC()
	if facts.Created != nil {
		created = facts.Created.UTC()
	}
	labels := facts.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	return map[string]any{
		varRepository: entry.Spec.Repository.Name,
		varDigest:     entry.Spec.Digest,
		varTags:       tags(entry),
		varMediaType:  facts.MediaType,
		varLabels:     labels,
		varPlatforms:  append([]string{}, facts.Platforms...),
		varCreated:    created,
		varSize:       facts.Size,
	}
}

func tags(entry *v1alpha1.ImageVerification) []string {
	names := entry.TagNames()
	slices.Sort(names)
	return names
}
