package command_test

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// cureless are the reasons that leave nothing to do.
var cureless = []lifecycle.Reason{
	// A verdict, or what was wanted.
	lifecycle.Passed, lifecycle.Failed, lifecycle.TriggerDeleted, lifecycle.NotAnImage, lifecycle.FilteredOut,
	// It passes.
	lifecycle.Requested, lifecycle.RequestedOnce, lifecycle.Running,
	// A bug of Revet's.
	lifecycle.Unknown,
}

// Property: whatever reason a user meets has its cure, or is known to need none.
func TestEveryReasonHasACureOrNeedsNone(t *testing.T) {
	reasons := reasonsOf(t, "../../lifecycle/reason.go")
	if len(reasons) < 20 {
		t.Fatalf("found only %d reasons: the test looks in the wrong place", len(reasons))
	}
	for _, r := range reasons {
		switch cured, needless := command.Cure(r) != "", slices.Contains(cureless, r); {
		case !cured && !needless:
			t.Errorf("reason %s has no cure, and is not listed as one that needs none", r)
		case cured && needless:
			t.Errorf("reason %s has a cure, and is listed as one that needs none", r)
		}
	}
	for _, r := range cureless {
		if !slices.Contains(reasons, r) {
			t.Errorf("%q is listed as a reason that needs no cure, and is no reason", r)
		}
	}
}

// reasonsOf reads the constants from their source: a list by hand would miss the
// next one, which is the one that this is for.
func reasonsOf(t *testing.T, file string) []lifecycle.Reason {
	t.Helper()
	parsed, err := goparser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []lifecycle.Reason
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, v := range spec.Values {
			if l, ok := v.(*ast.BasicLit); ok && l.Kind == token.STRING {
				value, err := strconv.Unquote(l.Value)
				if err != nil {
					t.Fatal(err)
				}
				reasons = append(reasons, lifecycle.Reason(value))
			}
		}
		return true
	})
	return reasons
}
