package filter

import (
	"fmt"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// maxLabels bounds the labels that one filter may name, because every entry carries them.
const maxLabels = 16

// namedLabels lists the labels that an expression names. It refuses other uses of image.labels,
// because they would see only the labels that the expression names elsewhere.
func namedLabels(checked *cel.Ast) ([]string, error) {
	var names []string
	for _, use := range uses(checked, varLabels) {
		name, ok := labelName(use)
		if !ok {
			return nil, fmt.Errorf("the filter may use image.labels by constant names only, such as image.labels['tier'], has(image.labels.tier) or 'tier' in image.labels")
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > maxLabels {
		return nil, fmt.Errorf("the filter names %d labels; at most %d are allowed", len(names), maxLabels)
	}
	slices.Sort(names)
	return names, nil
}

// uses returns where an expression uses a variable. The checker either rewrites it to one
// identifier, or leaves a reference to it.
func uses(checked *cel.Ast, variable string) []ast.NavigableExpr {
	root := ast.NavigateAST(checked.NativeRep())
	return ast.MatchDescendants(root, func(e ast.NavigableExpr) bool {
		if e.Kind() == ast.IdentKind && e.AsIdent() == variable {
			return true
		}
		ref, ok := checked.NativeRep().ReferenceMap()[e.ID()]
		return ok && ref.Name == variable
	})
}

// labelName returns the constant label name in the parent expression of a use.
func labelName(use ast.NavigableExpr) (string, bool) {
	parent, ok := use.Parent()
	if !ok {
		return "", false
	}
	switch parent.Kind() {
	case ast.SelectKind:
		return parent.AsSelect().FieldName(), true
	case ast.CallKind:
		call := parent.AsCall()
		args := call.Args()
		switch {
		case call.FunctionName() == operators.Index && len(args) == 2 && args[0].ID() == use.ID():
			return constant(args[1])
		case call.FunctionName() == operators.In && len(args) == 2 && args[1].ID() == use.ID():
			return constant(args[0])
		default:
			return "", false
		}
	default:
		return "", false
	}
}

func constant(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	name, ok := e.AsLiteral().Value().(string)
	return name, ok
}
