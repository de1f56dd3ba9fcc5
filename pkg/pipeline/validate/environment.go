package validate

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
)

// The limits of an expression. They bound what a rules file may cost, and are far above what a
// reasonable rule needs. The time limit of the step bounds all rules together.
const (
	maxExpression = 4096 // code points
	maxDepth      = 100  // of nested expressions
	maxNesting    = 3    // of comprehensions
	maxCost       = 5_000_000
	// checkEvery counts iterations of the outermost loop. CEL does not interrupt inner loops, so
	// with a value above 1 it could take seconds to notice that time ran out.
	checkEvery = 1
)

// newEnv declares what expressions see.
func newEnv() (*cel.Env, error) {
	env, err := cel.NewEnv(
		ext.NativeTypes(reflect.TypeFor[Image](), reflect.TypeFor[Base](), reflect.TypeFor[SBOM](), reflect.TypeFor[Findings](), ext.ParseStructTags(true)),
		ext.Strings(),
		cel.Variable("image", cel.ObjectType("validate.Image")),
		cel.Variable("base", cel.ObjectType("validate.Base")),
		cel.Variable(sbomVariable, cel.ObjectType("validate.SBOM")),
		cel.Variable(findingsVariable, cel.ObjectType("validate.Findings")),
		cel.Variable("now", cel.TimestampType),
		cel.Variable("parameters", cel.MapType(cel.StringType, cel.DynType)),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxDepth),
		cel.ASTValidators(
			cel.ValidateDurationLiterals(),
			cel.ValidateTimestampLiterals(),
			cel.ValidateRegexLiterals(),
			cel.ValidateComprehensionNestingLimit(maxNesting),
		),
	)
	if err != nil {
		return nil, fmt.Errorf("declare what rules see: %w", err)
	}
	return env, nil
}

// The variables that an image may lack.
const (
	sbomVariable     = "sbom"
	findingsVariable = "findings"
)

// asks records which of these variables an expression uses.
type asks struct{ sbom, findings bool }

// program compiles an expression that must return want. Errors name line and column within the
// expression.
func program(env *cel.Env, expression string, want *cel.Type) (cel.Program, asks, error) {
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, asks{}, positions(issues)
	}
	if got := ast.OutputType(); !got.IsExactType(want) && !got.IsExactType(cel.DynType) {
		return nil, asks{}, fmt.Errorf("it returns a value of type %s, not %s", got, want)
	}
	var a asks
	for _, ref := range ast.NativeRep().ReferenceMap() {
		a.sbom = a.sbom || ref.Name == sbomVariable
		a.findings = a.findings || ref.Name == findingsVariable
	}
	p, err := env.Program(ast,
		cel.EvalOptions(cel.OptOptimize),
		cel.CostLimit(maxCost),
		cel.InterruptCheckFrequency(checkEvery),
	)
	return p, a, err
}

// positions puts all issues in one line, each with its line and column.
func positions(issues *cel.Issues) error {
	var all []string
	for _, e := range issues.Errors() {
		all = append(all, fmt.Sprintf("at %d:%d: %s", e.Location.Line(), e.Location.Column()+1, e.Message))
	}
	return errors.New(strings.Join(all, "; "))
}
