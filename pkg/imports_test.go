package pkg_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/revet-dev/revet/"

// layer is a row of the table of what may import what.
type layer struct {
	// prefix is the package, or the folder of packages, that the row speaks of.
	prefix string
	// revet lists the packages of this module, or folders of them, it may import.
	revet []string
	// standardOnly refuses every import from outside the standard library and this module.
	standardOnly bool
}

// adapters touch one outside thing each and never import one another. What they
// share is the core, the API types and the scheme.
var adapterImports = []string{"pkg/image", "pkg/push", "pkg/verdict", "pkg/apis", "pkg/kube", "pkg/failpoint"}

// useCaseImports are what use cases may name: values, never an adapter's
// constructor; they declare the interfaces that adapters satisfy.
var useCaseImports = append([]string{"pkg/source", "pkg/selector", "pkg/sandbox", "pkg/filter", "pkg/ledger"}, adapterImports...)

var layers = []layer{
	{prefix: "pkg/image", standardOnly: true},
	{prefix: "pkg/push", revet: []string{"pkg/image"}, standardOnly: true},
	{prefix: "pkg/failpoint", standardOnly: true},
	{prefix: "pkg/promise", standardOnly: true}, // it has tests only
	{prefix: "pkg/verdict", revet: []string{"pkg/image", "pkg/push", "pkg/apis"}},
	{prefix: "pkg/apis"},
	{prefix: "pkg/kube", revet: []string{"pkg/apis"}},
	{prefix: "pkg/source/apiserver", revet: adapterImports},
	{prefix: "pkg/source/webhook", revet: adapterImports},
	{prefix: "pkg/selector", revet: adapterImports},
	{prefix: "pkg/filter", revet: adapterImports},
	{prefix: "pkg/registry", revet: adapterImports},
	{prefix: "pkg/config", revet: adapterImports},
	{prefix: "pkg/ledger", revet: adapterImports},
	{prefix: "pkg/eventlistener", revet: append([]string{"pkg/sandbox"}, adapterImports...)},
	{prefix: "pkg/events", revet: adapterImports},
	// It is pure, and compares names as selectors do.
	{prefix: "pkg/sandbox", revet: append([]string{"pkg/selector"}, adapterImports...)},
	{prefix: "pkg/pipeline", revet: []string{"pkg/image", "pkg/pipeline"}},
	{prefix: "pkg/nodeusage", standardOnly: true},
	{prefix: "pkg/compare", standardOnly: true},
	{prefix: "pkg/intake", revet: useCaseImports},
	// It joins what sweeps ask for with the client that answers.
	{prefix: "pkg/sweep/remote", revet: append([]string{"pkg/registry", "pkg/sweep"}, adapterImports...)},
	{prefix: "pkg/sweep", revet: useCaseImports},
	// It looks as a sweep looks, and writes nothing.
	{prefix: "pkg/coverage", revet: append([]string{"pkg/sweep"}, useCaseImports...)},
	// It judges what eventlistener reports and tells of what sweep did: their
	// values, and not their constructors.
	{prefix: "pkg/reconciler/imagetrigger", revet: append([]string{"pkg/eventlistener", "pkg/sweep"}, useCaseImports...)},
	{prefix: "pkg/reconciler/imageverification", revet: useCaseImports},
	// It is wiring too: its diagnoses are those of the production code, over a client
	// of its own, and coverage reads registries as the operator configured them.
	{prefix: "pkg/cli", revet: append([]string{"pkg/cli", "pkg/compare", "pkg/config", "pkg/coverage", "pkg/eventlistener", "pkg/nodeusage", "pkg/registry", "pkg/sweep", "pkg/reconciler"}, useCaseImports...)},
	{prefix: "pkg/app", revet: []string{"pkg"}},
	// Modules of their own: their packages are their own only.
	{prefix: "cmd/scan", revet: []string{"cmd/scan/internal", "pkg/pipeline", "pkg/image", "triggers"}},
	{prefix: "cmd", revet: []string{"pkg/app", "pkg/cli", "pkg/nodeusage", "pkg/pipeline", "pkg/image"}},
}

// forbidden are modules that the product must never see.
var forbidden = []string{"k8s.io/kubernetes", "go.etcd.io/", module + "test"}

// Imports go one way: core, adapters, use cases, wiring, programs.
func TestImportsGoOneWay(t *testing.T) {
	imports := map[string][]string{}
	for _, root := range []string{"pkg", "cmd"} {
		collect(t, root, imports)
	}
	if len(imports) < 10 {
		t.Fatalf("found only %d packages: the test looks in the wrong place", len(imports))
	}
	for _, violation := range check(imports) {
		t.Error(violation)
	}
}

// The check itself can fail: each row breaks one rule.
func TestImportCheckFindsEachKindOfViolation(t *testing.T) {
	for _, test := range []struct {
		name, pkg, imported string
		want                []string
	}{
		{"the core imports a third party", "pkg/push", "k8s.io/api/core/v1", []string{"pkg/push imports k8s.io/api/core/v1: only the standard library is allowed"}},
		{"the core imports an adapter", "pkg/push", module + "pkg/ledger", []string{"pkg/push imports pkg/ledger: not in its list"}},
		{"an adapter imports another", "pkg/events", module + "pkg/ledger", []string{"pkg/events imports pkg/ledger: not in its list"}},
		{"a use case imports the wiring", "pkg/intake", module + "pkg/app", []string{"pkg/intake imports pkg/app: not in its list"}},
		{"the product imports Kubernetes itself", "pkg/app", "k8s.io/kubernetes/pkg/apis", []string{"pkg/app imports k8s.io/kubernetes/pkg/apis: the product must not"}},
		{"a package is in no layer", "pkg/util", "fmt", []string{"pkg/util is in no layer: add it to the table"}},
		{"an allowed import", "pkg/push", module + "pkg/image", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := check(map[string][]string{test.pkg: {test.imported}})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

// The product's go.mod never sees Kubernetes' own module or etcd.
func TestProductModuleRequiresNoClusterParts(t *testing.T) {
	for _, file := range []string{"../go.mod", "../go.sum"} {
		content, err := os.ReadFile(filepath.FromSlash(file))
		if err != nil {
			t.Fatal(err)
		}
		for _, module := range []string{"k8s.io/kubernetes ", "go.etcd.io/etcd/server/"} {
			if strings.Contains(string(content), module) {
				t.Errorf("%s names %s", file, module)
			}
		}
	}
}

func check(imports map[string][]string) []string {
	var violations []string
	for pkg, imported := range imports {
		l, ok := find(pkg)
		if !ok {
			violations = append(violations, pkg+" is in no layer: add it to the table")
			continue
		}
		for _, i := range imported {
			if v := l.judge(pkg, i); v != "" {
				violations = append(violations, pkg+" imports "+strings.TrimPrefix(i, module)+": "+v)
			}
		}
	}
	sort.Strings(violations)
	return violations
}

func (l layer) judge(pkg, imported string) string {
	for _, f := range forbidden {
		if strings.HasPrefix(imported, f) {
			return "the product must not"
		}
	}
	own, ours := strings.CutPrefix(imported, module)
	if !ours {
		if l.standardOnly && strings.Contains(strings.Split(imported, "/")[0], ".") {
			return "only the standard library is allowed"
		}
		return ""
	}
	if own == pkg || within(own, l.prefix) && l.prefix != "cmd" {
		return ""
	}
	for _, allowed := range l.revet {
		if within(own, allowed) {
			return ""
		}
	}
	return "not in its list"
}

func find(pkg string) (layer, bool) {
	for _, l := range layers {
		if within(pkg, l.prefix) {
			return l, true
		}
	}
	return layer{}, false
}

func within(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

// collect reads the imports of every file below root that is not a test.
func collect(t *testing.T, root string, into map[string][]string) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir(filepath.Join("..", root), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(fset, file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(strings.TrimPrefix(filepath.ToSlash(file), "../"))
		into[pkg] = append(into[pkg], []string{}...)
		for _, i := range parsed.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			into[pkg] = append(into[pkg], imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
