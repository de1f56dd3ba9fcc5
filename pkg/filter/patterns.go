package filter

import (
	"fmt"
	"regexp/syntax"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
)

// maxPatterns bounds the regular expressions of one filter, in steps of their programs, which take
// about 100 bytes each. X{1000} is a thousand.
const maxPatterns = 4000

// boundPatterns refuses regular expressions that are not constant, as nobody knows their size, and
// those that are too large together. A compiled filter keeps them.
func boundPatterns(checked *cel.Ast) error {
	root := ast.NavigateAST(checked.NativeRep())
	steps := 0
	for _, use := range ast.MatchDescendants(root, ast.FunctionMatcher("matches")) {
		args := use.AsCall().Args()
		pattern, ok := constant(args[len(args)-1])
		if !ok {
			return fmt.Errorf("the filter has a regular expression that is not constant; write it out in matches()")
		}
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			return fmt.Errorf("the filter's regular expression %q is none: %w", pattern, err)
		}
		if steps += size(parsed); steps > maxPatterns {
			return fmt.Errorf("the filter's regular expressions have more than %d steps; repeat less", maxPatterns)
		}
	}
	return nil
}

// size returns about how many steps the program of a regular expression has.
func size(re *syntax.Regexp) int {
	steps := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		steps += size(sub)
	}
	if re.Op == syntax.OpRepeat {
		steps *= max(re.Min, re.Max, 1)
	}
	return min(steps, 1<<30)
}
