package pkg_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
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

// values are what every room may name: what an image and a push are, what the
// ledger's types are, whose rights count, and why a read failed. They do no I/O but
// for the access review of pkg/source. pkg/fair divides what a process has among namespaces.
var values = []string{
	"pkg/image", "pkg/push", "pkg/apis", "pkg/kube", "pkg/failpoint", "pkg/fair", "pkg/runrequest", "pkg/runresult",
	"pkg/source", "pkg/version",
}

// decisions are pure: they take values and return values.
var decisions = []string{"pkg/lifecycle", "pkg/sandbox", "pkg/selector", "pkg/filter"}

// sources read what shows a push.
var sources = []string{"pkg/source/openshift", "pkg/source/registry"}

var layers = []layer{
	{prefix: "pkg/image", standardOnly: true},
	{prefix: "pkg/push", revet: []string{"pkg/image"}, standardOnly: true},
	{prefix: "pkg/failpoint", standardOnly: true},
	{prefix: "pkg/fair", standardOnly: true},
	{prefix: "pkg/runrequest", revet: []string{"pkg/image"}, standardOnly: true},
	{prefix: "pkg/runresult", standardOnly: true},
	{prefix: "pkg/version", standardOnly: true},
	{prefix: "pkg/sigstore", standardOnly: true},
	{prefix: "pkg/apis"},
	{prefix: "pkg/kube", revet: []string{"pkg/apis"}},
	{prefix: "pkg/source/openshift", revet: values},
	{prefix: "pkg/source/registry", revet: values},
	{prefix: "pkg/source", revet: []string{"pkg/apis", "pkg/image"}},
	{prefix: "pkg/selector", revet: values},
	{prefix: "pkg/filter", revet: values},
	{prefix: "pkg/sandbox", revet: join(values, []string{"pkg/selector"})},
	{prefix: "pkg/lifecycle", revet: join(values, []string{"pkg/sandbox"})},
	{prefix: "pkg/gate", revet: join(values, []string{"pkg/selector"})},
	// It states of the images of an index what a gate concludes of them.
	{prefix: "pkg/attestation", revet: join(values, []string{"pkg/gate", "pkg/sigstore"})},
	{prefix: "pkg/running", revet: join(values, []string{"pkg/gate"})},
	{prefix: "pkg/config", revet: join(values, []string{"pkg/source/registry/webhook"})},
	{prefix: "pkg/ledger", revet: join(values, []string{"pkg/lifecycle"})},
	{prefix: "pkg/tekton", revet: join(values, []string{"pkg/kube", "pkg/lifecycle", "pkg/sandbox"})},
	{prefix: "pkg/pipeline", revet: []string{"pkg/failpoint", "pkg/image", "pkg/runresult", "pkg/pipeline", "pkg/sigstore"}},
	{prefix: "pkg/recorder", revet: join(values, []string{"pkg/ledger", "pkg/source/openshift"})},
	{prefix: "pkg/intake", revet: join(values, decisions, sources, []string{"pkg/ledger", "pkg/recorder"})},
	{prefix: "pkg/receiver", revet: []string{"pkg/apis", "pkg/failpoint", "pkg/image", "pkg/intake", "pkg/runrequest", "pkg/source/registry/webhook"}},
	{prefix: "pkg/sweep", revet: join(values, decisions, sources, []string{"pkg/ledger", "pkg/recorder"})},
	// It looks as a sweep looks, and writes nothing.
	{prefix: "pkg/coverage", revet: join(values, decisions, sources, []string{"pkg/ledger", "pkg/sweep"})},
	// It reads the table of causes.
	{prefix: "pkg/controller/events", revet: join(values, []string{"pkg/lifecycle", "pkg/running"})},
	{prefix: "pkg/controller/lease", revet: values},
	// It judges what the sink's check reports, and tells of what a sweep did: it names
	// their values, and not their constructors.
	{prefix: "pkg/controller/imagetrigger", revet: join(values, decisions, []string{"pkg/tekton", "pkg/sweep"})},
	{prefix: "pkg/controller/imageverification", revet: join(values, decisions, []string{"pkg/kube", "pkg/ledger", "pkg/tekton"})},
	{prefix: "pkg/controller/imagegate", revet: join(values, decisions, []string{"pkg/gate", "pkg/ledger", "pkg/running", "pkg/tekton"})},
	// It writes registries as the steps of a run do.
	{prefix: "pkg/controller/attestation", revet: join(values, []string{"pkg/attestation", "pkg/pipeline/oci", "pkg/pipeline/publish", "pkg/sigstore"})},
	// A command imports what the commands share, and no other command. Its diagnoses are
	// those of the production code, over a client of its own.
	{prefix: "pkg/cli/command", revet: join(values, decisions)},
	{prefix: "pkg/cli/commandtest", revet: join(values, []string{"pkg/cli/command"})},
	// What commands say of attestations is what the attestor decides.
	{prefix: "pkg/cli/attested", revet: join(values, []string{"pkg/attestation", "pkg/cli/command", "pkg/config", "pkg/pipeline/oci"})},
	// It reads registries, and no cluster.
	{prefix: "pkg/cli/attestation", revet: join(values, []string{"pkg/attestation", "pkg/cli/command", "pkg/pipeline/fetch", "pkg/pipeline/signature", "pkg/sigstore"})},
	{prefix: "pkg/cli/comparesandbox/compare", standardOnly: true},
	{prefix: "pkg/cli/comparesandbox/nodeusage", standardOnly: true},
	{prefix: "pkg/cli/comparesandbox", revet: join(values, []string{"pkg/cli/command", "pkg/tekton"})},
	{prefix: "pkg/cli/completion", revet: []string{"pkg/cli/command"}},
	// It reads registries as the operator configured them.
	{prefix: "pkg/cli/coverage", revet: join(values, decisions, sources, []string{"pkg/cli/command", "pkg/config", "pkg/coverage", "pkg/gate", "pkg/running", "pkg/sweep", "pkg/tekton"})},
	{prefix: "pkg/cli/doctor", revet: join(values, decisions, []string{"pkg/attestation", "pkg/cli/attested", "pkg/cli/command", "pkg/config", "pkg/controller/imagetrigger", "pkg/source/openshift", "pkg/tekton"})},
	{prefix: "pkg/cli/explain", revet: join(values, decisions, []string{"pkg/cli/attested", "pkg/cli/command"})},
	{prefix: "pkg/cli/filldatabase", revet: []string{"pkg/cli/command"}},
	{prefix: "pkg/cli/gate", revet: join(values, []string{"pkg/cli/command", "pkg/config", "pkg/gate"})},
	{prefix: "pkg/cli/get", revet: join(values, decisions, []string{"pkg/cli/attested", "pkg/cli/command"})},
	{prefix: "pkg/cli/pushes", revet: join(values, []string{"pkg/cli/command", "pkg/source/openshift"})},
	{prefix: "pkg/cli/replay", revet: join(values, decisions, []string{"pkg/cli/command"})},
	// It prints the manifests that the repository has.
	{prefix: "pkg/cli/team", revet: join(values, []string{"pkg/cli/command", "eventing", "triggers"})},
	// It makes the entry that the ledger would, and reads which registries may be read.
	{prefix: "pkg/cli/verify", revet: join(values, decisions, []string{"pkg/cli/command", "pkg/config", "pkg/gate", "pkg/ledger"})},
	{prefix: "pkg/cli/wait", revet: join(values, decisions, []string{"pkg/cli/command", "pkg/gate"})},
	{prefix: "pkg/cli", revet: []string{"pkg/cli", "pkg/version"}},
	{prefix: "pkg/app", revet: []string{"pkg"}},
	// Modules of their own: their packages are their own only.
	{prefix: "cmd/scan", revet: []string{"cmd/scan/internal", "pkg/pipeline", "pkg/image", "pkg/runresult", "pkg/version", "triggers"}},
	{prefix: "cmd", revet: []string{"pkg/app", "pkg/cli", "pkg/pipeline", "pkg/image", "pkg/version"}},
}

func join(lists ...[]string) []string { return slices.Concat(lists...) }

// forbidden are modules that the product must never see.
var forbidden = []string{"k8s.io/kubernetes", "go.etcd.io/", module + "test"}

// Imports go one way: values, decisions, adapters, use cases, wiring, programs.
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
		{"an adapter imports another", "pkg/controller/events", module + "pkg/ledger", []string{"pkg/controller/events imports pkg/ledger: not in its list"}},
		{"a source imports what all sources share", "pkg/source/registry", module + "pkg/source", nil},
		{"a source imports another", "pkg/source/registry", module + "pkg/source/openshift", []string{"pkg/source/registry imports pkg/source/openshift: not in its list"}},
		{"what all sources share imports a source", "pkg/source", module + "pkg/source/registry", []string{"pkg/source imports pkg/source/registry: not in its list"}},
		{"a decision imports an adapter", "pkg/lifecycle", module + "pkg/ledger", []string{"pkg/lifecycle imports pkg/ledger: not in its list"}},
		{"a command imports another", "pkg/cli/get", module + "pkg/cli/explain", []string{"pkg/cli/get imports pkg/cli/explain: not in its list"}},
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
	if own == pkg || within(own, l.prefix) && l.prefix != "cmd" && l.prefix != "pkg/source" {
		return ""
	}
	for _, allowed := range l.revet {
		if own == allowed || within(own, allowed) && allowed != "pkg/source" {
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
