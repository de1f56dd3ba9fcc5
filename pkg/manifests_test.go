package pkg_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// fixedIDs are the fields with which a Pod insists on a user or group. OpenShift's SCC
// restricted-v2 assigns both from the namespace's range, and refuses a Pod that names another.
var fixedIDs = []string{"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"}

// needsRoot are the places that name UID 0 because nothing else serves. docs/openshift.md names
// the SCC that each needs, so a row here needs a line there.
var needsRoot = map[string]string{
	"docs/examples/build/pipeline.yaml: spec.steps[0].securityContext.runAsUser": "kaniko writes files that belong to root",
	"pkg/cli: removeImages sets RunAsUser":                                       "the container runtime's socket belongs to root",
}

// Property: no manifest of this repository, and no Pod that its programs create, names a user or
// group, so that restricted-v2 admits all of them.
func TestNothingNamesAFixedUserOrGroup(t *testing.T) {
	found := map[string]bool{}
	manifests, sources := 0, 0
	walk(t, "..", func(file string, content []byte) {
		name := filepath.ToSlash(strings.TrimPrefix(file, ".."+string(filepath.Separator)))
		var places []string
		var err error
		switch ext := filepath.Ext(file); {
		case ext == ".md" || strings.Contains(name, "/templates/"): // no YAML before it is filled in
			places = fixedInText(content)
		case ext != ".go":
			manifests++
			places, err = fixedInManifest(content)
		default:
			if strings.HasSuffix(file, "_test.go") {
				return
			}
			sources++
			places, err = fixedInSource(content)
			name = filepath.ToSlash(filepath.Dir(name))
			if strings.HasPrefix(name, "pkg/cli") {
				name = "pkg/cli" // whichever of its packages holds the command
			}
		}
		if err != nil {
			t.Errorf("reading %s: %v", file, err)
		}
		for _, p := range places {
			found[name+": "+p] = true
		}
	})
	for place := range found {
		if needsRoot[place] == "" {
			t.Errorf("%s: remove it; the image's USER serves on Kubernetes, and OpenShift assigns its own", place)
		}
	}
	for place := range needsRoot {
		if !found[place] {
			t.Errorf("%s: no longer there; remove the exception here and in docs/openshift.md", place)
		}
	}
	if manifests < 40 || sources < 200 {
		t.Errorf("read %d manifests and %d source files: the walk no longer reaches them", manifests, sources)
	}
}

// walk reads every file of the repository that may hold a Pod.
func walk(t *testing.T, root string, visit func(file string, content []byte)) {
	t.Helper()
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin"):
			return fs.SkipDir
		case d.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json", ".golden", ".md", ".go"}, filepath.Ext(file)):
			return nil
		}
		content, err := os.ReadFile(file)
		if err == nil {
			visit(file, content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Property: the walk sees a fixed user or group wherever one can stand.
func TestFixedUsersAndGroupsAreFound(t *testing.T) {
	for name, row := range map[string]struct {
		find    func([]byte) ([]string, error)
		content string
		want    []string
	}{
		"in the Pod template of a Deployment": {
			fixedInManifest, "kind: Deployment\nspec: {template: {spec: {securityContext: {runAsNonRoot: true, fsGroup: 1}}}}",
			[]string{"spec.template.spec.securityContext.fsGroup"},
		},
		"in the second document, and the second container": {
			fixedInManifest, "kind: Namespace\n---\nspec: {containers: [{}, {securityContext: {runAsUser: 65532}}]}",
			[]string{"spec.containers[1].securityContext.runAsUser"},
		},
		"UID 0": {fixedInManifest, `{"securityContext": {"runAsUser": 0}}`, []string{"securityContext.runAsUser"}},
		"a list of groups": {
			fixedInManifest, "securityContext: {supplementalGroups: [7]}", []string{"securityContext.supplementalGroups"},
		},
		"in a template's text": {
			fixedInManifest, "data:\n  pod: |\n    securityContext:\n      runAsUser: 7\n", []string{"data.pod, runAsUser: 7"},
		},
		"a parameter in place of a number": {
			fixedInManifest, "runAsUser: $(params.user)", []string{"runAsUser"},
		},
		"not the strategy of a SecurityContextConstraints": {
			fixedInManifest, "kind: SecurityContextConstraints\nrunAsUser: {type: MustRunAs, uid: 0}\nfsGroup: {type: RunAsAny}", nil,
		},
		"in a document's example": {
			func(b []byte) ([]string, error) { return fixedInText(b), nil }, "text\n```\n  runAsUser: 5\n```\nsays runAsUser in prose", []string{"runAsUser: 5"},
		},
		"in a Pod that a program makes": {
			fixedInSource, "package a\nfunc pod() any { return &SecurityContext{RunAsUser: &user} }", []string{"pod sets RunAsUser"},
		},
		"in a Pod that a program changes": {
			fixedInSource, "package a\nfunc (x T) set(c C) { c.SecurityContext.FSGroup = &group }", []string{"set sets FSGroup"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := row.find([]byte(row.content))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
		})
	}
}

// fixedInManifest returns the paths of the fields that name a user or group.
func fixedInManifest(content []byte) (places []string, err error) {
	for documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096); ; {
		var document any
		if err := documents.Decode(&document); errors.Is(err, io.EOF) {
			slices.Sort(places)
			return places, nil
		} else if err != nil {
			return nil, err
		}
		places = append(places, fixedIn("", document)...)
	}
}

func fixedIn(path string, value any) (places []string) {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			at := strings.TrimPrefix(path+"."+key, ".")
			if _, strategy := child.(map[string]any); slices.Contains(fixedIDs, key) && !strategy {
				places = append(places, at)
				continue
			}
			places = append(places, fixedIn(at, child)...)
		}
	case []any:
		for i, child := range v {
			places = append(places, fixedIn(fmt.Sprintf("%s[%d]", path, i), child)...)
		}
	case string:
		for _, line := range fixedInText([]byte(v)) {
			places = append(places, path+", "+line)
		}
	}
	return places
}

var fixedLine = regexp.MustCompile(`(?m)^[ \t-]*"?((?:runAsUser|runAsGroup|fsGroup)"?: *[0-9]+)`)

// fixedInText returns the lines of an example that name a user or group.
func fixedInText(content []byte) (places []string) {
	for _, m := range fixedLine.FindAllSubmatch(content, -1) {
		places = append(places, string(m[1]))
	}
	return places
}

// fixedInSource returns the functions that give a Pod a user or group.
func fixedInSource(content []byte) (places []string, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", content, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	fields := []string{"RunAsUser", "RunAsGroup", "FSGroup", "SupplementalGroups"}
	for _, declaration := range file.Decls {
		name := "a variable"
		if f, ok := declaration.(*ast.FuncDecl); ok {
			name = f.Name.Name
		}
		ast.Inspect(declaration, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && slices.Contains(fields, key.Name) {
					places = append(places, name+" sets "+key.Name)
				}
			case *ast.AssignStmt:
				for _, left := range n.Lhs {
					if s, ok := left.(*ast.SelectorExpr); ok && slices.Contains(fields, s.Sel.Name) {
						places = append(places, name+" sets "+s.Sel.Name)
					}
				}
			}
			return true
		})
	}
	return places, nil
}

// Property: every program of Revet runs on a base image whose USER is a number other than 0.
// With a name, the kubelet refuses the container: runAsNonRoot cannot check a name.
func TestImagesHaveANumericUser(t *testing.T) {
	content, err := os.ReadFile(filepath.FromSlash("../ko.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// The configuration of this image says "User": "65532".
	if want := "\ndefaultBaseImage: gcr.io/distroless/static:nonroot\n"; !strings.Contains(string(content), want) {
		t.Errorf("ko.yaml does not say %q: check that the USER of the new base image is a number", strings.TrimSpace(want))
	}
	if strings.Contains(string(content), "baseImageOverrides") {
		t.Error("ko.yaml overrides the base image of a program: check that its USER is a number, and let this test read it")
	}
}

// Property: whatever listens in Revet's namespace is behind a policy, and no policy opens a port
// to everybody. Metrics name triggers and repositories of all teams.
func TestNoPortIsOpenToEverybody(t *testing.T) {
	listening, guarded := map[string]bool{}, map[string]bool{}
	walk(t, filepath.Join("..", "config"), func(file string, content []byte) {
		for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096); ; {
			var object struct {
				Kind     string
				Metadata metav1.ObjectMeta
				Spec     struct {
					Template    corev1.PodTemplateSpec
					PodSelector metav1.LabelSelector
					PolicyTypes []networkingv1.PolicyType
					Ingress     []networkingv1.NetworkPolicyIngressRule
				}
			}
			err := decoder.Decode(&object)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("reading %s: %v", file, err)
			}
			switch object.Kind {
			case "Deployment":
				for _, c := range object.Spec.Template.Spec.Containers {
					if len(c.Ports) > 0 {
						listening[object.Spec.Template.Labels["app.kubernetes.io/name"]] = true
					}
				}
			case "NetworkPolicy":
				if !slices.Contains(object.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
					continue
				}
				guarded[object.Spec.PodSelector.MatchLabels["app.kubernetes.io/name"]] = true
				for i, rule := range object.Spec.Ingress {
					if len(rule.From) == 0 || len(rule.Ports) == 0 {
						t.Errorf("%s: rule %d of policy %s opens to everybody, or every port", file, i, object.Metadata.Name)
					}
				}
			}
		}
	})
	if len(listening) < 3 {
		t.Errorf("only %v listen: the walk no longer reaches them", listening)
	}
	if diff := cmp.Diff(listening, guarded); diff != "" {
		t.Errorf("who listens, and who is behind a policy (-want +got):\n%s", diff)
	}
}
