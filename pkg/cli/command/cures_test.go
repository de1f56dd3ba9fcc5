package command_test

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// cureless are the reasons of entries and runs that leave nothing to do.
var cureless = []lifecycle.Reason{
	// A verdict, or what was wanted.
	lifecycle.Passed, lifecycle.Failed, lifecycle.TriggerDeleted, lifecycle.NotAnImage, lifecycle.FilteredOut,
	// It passes.
	lifecycle.Requested, lifecycle.RequestedOnce, lifecycle.Running,
	// A bug of Revet's.
	lifecycle.Unknown,
}

// fine are the reasons of conditions that are as they should be.
var fine = []string{
	"Ready", "SinkResolved", "TemplateAccepted", "Authorized", "FilterValid", "Swept", "Confirmed", "SandboxAvailable", "NoSandboxRequested",
	"PullAllowed", "Recorded", "Fired", "Started", "Passed",
	// Of an ImageGate, the third passes.
	"Enforced", "TrustResolved", "Dividing", "AllVerified", "UpToDate", "Complete",
}

// ownCure are the reasons whose message, or whose report, names the cure itself, with the
// object that it is about.
var ownCure = []string{
	// The conditions of an ImageTrigger.
	"NotChecked", "SelectorInvalid", "TooManyTriggers", "FilterInvalid", "RuntimeClassNotFound", "ServiceAccountNotFound", "RunsNotAllowed", "StreamsNotVisible",
	"NoNamespaceSelected", "SandboxInvalid", "PullNotAllowed", "PullNotKnown", "RunAccountNotKnown",
	// The conditions of an ImageGate.
	"InvalidSpec", "NameTaken", "Preparing", "UnverifiedRunning", "WriteFailed", "TriggersMissing", "NotObserved", "WritesPending", "NoRoom",
	// The sink.
	"SinkNotFound", "SinkNotReady", "SinkNotAddressable", "SinkHostNotAllowed", "SinkForbidden", "RequestInvalid",
	// What the sink starts.
	"NotCheckable", "TriggerNotFound", "BindingNotFound", "TemplateNotFound", "ParamUnresolved", "TemplateUnreadable", "NoTrigger", "NoPipelineRun",
	"TaskRunNotSupported", "GenerateName", "NameNotRun", "LabelMissing", "AnnotationMissing", "OtherNamespace", "ImageUnused", "NotLastTemplate",
	"EarlierTemplateBlocks", "RunsMoreThanOnce", "SandboxNotInTemplate", "NodesNotInTemplate", "TimeoutNotInTemplate", "ListenerNotReady",
	"InterceptorsNotChecked", "RequestsNotAuthenticated", "InterceptorNotFound", "ListenerTooLarge",
	// A source.
	"NotFound", "RegistryDenied", "RegistryNotAllowed", "NotListed", "RegistryUnreadable", "RegistryUntrusted", "DigestUnsupported", "InvalidRepository",
	// What a sweep or coverage could not see: the report carries a cure for each.
	"NamespaceNotRead", "ItemNotReadable", "RepositoryGone", "CatalogueIncomplete", "SweepsOff", "NotSwept", "SweepTooOld", "SpecChanged",
	"SweepIncomplete", "NotReadable", "EntriesNotRead", "RightsNotAsked", "RunsNotRead", "FirstSweepIncomplete",
}

// Property: whatever reason a user meets has its cure, or is known to need none.
func TestEveryReasonHasACureOrNeedsNone(t *testing.T) {
	reasons := reasonsOf(t, "lifecycle", func(_, typed string) bool { return typed == "Reason" })
	if len(reasons) < 20 {
		t.Fatalf("found only %d reasons: the test looks in the wrong place", len(reasons))
	}
	for _, r := range reasons {
		switch cured, needless := command.Cure(r) != "", slices.Contains(cureless, lifecycle.Reason(r)); {
		case !cured && !needless:
			t.Errorf("reason %s has no cure, and is not listed as one that needs none", r)
		case cured && needless:
			t.Errorf("reason %s has a cure, and is listed as one that needs none", r)
		}
	}
	for _, r := range cureless {
		if !slices.Contains(reasons, string(r)) {
			t.Errorf("%q is listed as a reason that needs no cure, and is no reason", r)
		}
	}
}

// The same for what a step says, for conditions, for sinks, for sources, for sweeps and
// for coverage.
func TestEveryOtherReasonHasACureOrNamesItItself(t *testing.T) {
	steps := map[string][]string{"a step": nil}
	for r := range lifecycle.StepErrors() {
		steps["a step"] = append(steps["a step"], string(r))
	}
	typed := func(_, typed string) bool { return strings.HasSuffix(typed, "Reason") }
	named := func(name, _ string) bool { return strings.HasPrefix(name, "Reason") }
	all := map[string][]string{
		"a step":                   steps["a step"],
		"a condition":              reasonsOf(t, "apis/revet/v1alpha1", named),
		"the trigger's controller": reasonsOf(t, "controller/imagetrigger", named),
		"a sink":                   reasonsOf(t, "tekton", typed),
		"a source":                 reasonsOf(t, "source", typed),
		"a sweep":                  reasonsOf(t, "sweep/result.go", func(string, string) bool { return true }),
		"coverage":                 reasonsOf(t, "coverage", typed),
	}
	for of, reasons := range all {
		if len(reasons) < 5 {
			t.Errorf("found only %d reasons of %s: the test looks in the wrong place", len(reasons), of)
		}
		for _, r := range reasons {
			if command.Cure(r) == "" && !slices.Contains(cureless, lifecycle.Reason(r)) && !slices.Contains(fine, r) && !slices.Contains(ownCure, r) {
				t.Errorf("reason %s of %s has no cure, and is not listed as one that needs none or whose message names it", r, of)
			}
		}
	}
}

// What a step said decides the cure of a run that failed, and nothing else does.
func TestTheCureOfAFailedRunIsThatOfItsStep(t *testing.T) {
	plain := command.Cure("RunFailed")
	for _, test := range []struct{ reason, message, want string }{
		{"RunFailed", "fetch: RegistryUnavailable: http: server gave HTTP response to HTTPS client (Failed: Tasks Completed: 1)", command.Cure("RegistryUnavailable")},
		{"RunFailed", "fetch: DatabaseMissing (Failed)", plain},
		{"RunFailed", "fetch: Invented: nonsense (Failed)", plain},
		{"RunFailed", "fetch: Error, exit status 1 (Failed)", plain},
		{"RunFailed", "RegistryUnavailable", plain},
		{"RunFailed", "", plain},
		{"Vanished", "fetch: RegistryUnavailable: x", command.Cure("Vanished")},
		{"Passed", "", ""},
	} {
		if got := command.CureOf(test.reason, test.message); got != test.want {
			t.Errorf("the cure of %s %q is %q, want %q", test.reason, test.message, got, test.want)
		}
	}
}

// reasonsOf reads string constants from the source of a package or file below pkg: a
// list by hand would miss the next one, which is the one that this is for.
func reasonsOf(t *testing.T, where string, wanted func(name, typed string) bool) []string {
	t.Helper()
	pkg := os.DirFS("../..")
	files := []string{where}
	if path.Ext(where) != ".go" {
		var err error
		if files, err = fs.Glob(pkg, where+"/*.go"); err != nil {
			t.Fatal(err)
		}
	}
	var reasons []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		content, err := fs.ReadFile(pkg, file)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := goparser.ParseFile(token.NewFileSet(), file, content, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if declaration, ok := n.(*ast.GenDecl); ok {
				return declaration.Tok == token.CONST
			}
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			typed, _ := spec.Type.(*ast.Ident)
			for i, v := range spec.Values {
				if s, ok := v.(*ast.SelectorExpr); ok && wanted(spec.Names[i].Name, nameOf(typed)) {
					// A constant of the API, which has its value there.
					reasons = append(reasons, reasonsOf(t, "apis/revet/v1alpha1", func(name, _ string) bool { return name == s.Sel.Name })...)
				}
				l, ok := v.(*ast.BasicLit)
				if !ok || l.Kind != token.STRING || !wanted(spec.Names[i].Name, nameOf(typed)) {
					continue
				}
				value, err := strconv.Unquote(l.Value)
				if err != nil {
					t.Fatal(err)
				}
				reasons = append(reasons, value)
			}
			return true
		})
	}
	return reasons
}

func nameOf(typed *ast.Ident) string {
	if typed == nil {
		return ""
	}
	return typed.Name
}
