package app

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Every word that a step's result "error" may begin with is decided on: whether the
// same run again may end otherwise.
func TestEveryReasonOfAStepIsRepeatedOrNot(t *testing.T) {
	decided := lifecycle.StepErrors()
	for file, least := range map[string]int{
		"../pipeline/oci/error.go":     8,
		"../pipeline/vulndb/reason.go": 6,
	} {
		reasons := stringConstants(t, file, "Reason")
		if len(reasons) < least {
			t.Errorf("found only %d reasons in %s: the test looks in the wrong place", len(reasons), file)
		}
		for _, r := range reasons {
			if _, ok := decided[lifecycle.Reason(r)]; !ok {
				t.Errorf("reason %s of %s is not in the table of package verdict that says what is repeated", r, file)
			}
		}
	}
}

// stringConstants reads the values of a file's constants whose names begin so.
func stringConstants(t *testing.T, file, prefix string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != len(spec.Names) {
			return true
		}
		for i, name := range spec.Names {
			l, ok := spec.Values[i].(*ast.BasicLit)
			if !ok || l.Kind != token.STRING || len(name.Name) <= len(prefix) || name.Name[:len(prefix)] != prefix {
				continue
			}
			value, err := strconv.Unquote(l.Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
		return true
	})
	return values
}
