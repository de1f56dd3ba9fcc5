package team

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	yamlv3 "go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
	"github.com/revet-dev/revet/triggers"
)

// built is a pipeline of two objects, as ko prints them.
const built = `# What runs.
apiVersion: tekton.dev/v1
kind: Pipeline
metadata:
  name: scan-and-validate
spec:
  tasks: []
---
# Of no namespace.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: revet-listener
rules: []
`

// run runs the command with a pipeline as its input, on a cluster that is not there.
func run(t *testing.T, args ...string) commandtest.Result {
	t.Helper()
	return commandtest.Run(New, built, nil, append([]string{"team"}, args...)...)
}

// The whole output, for two namespaces, a group and a pattern of repositories.
func TestWhatATeamGets(t *testing.T) {
	got := run(t, "shop", "--namespaces", "shop-api,shop", "--group", "shop-developers",
		"--repository", "registry.example.com/shop/**", "--from", "-", "--offline")
	if got.Status != 0 || got.ErrOut != "" {
		t.Fatalf("status %d: %s", got.Status, got.ErrOut)
	}
	commandtest.Golden(t, "shop.yaml", got.Out)
}

// What varies between teams.
func TestWhatIsLeftOut(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"a registry without ImageStreams": {
			[]string{"--repository", "registry.example.com/shop/**"},
			[]string{"Namespace", "Pipeline", "ClusterRole", "ImageTrigger"},
		},
		"no source of events, no group": {
			[]string{"--namespaces", "shop", "--no-source"},
			[]string{"Namespace", "Role", "RoleBinding", "Role", "RoleBinding", "Pipeline", "ClusterRole", "ImageTrigger"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, append(test.args, "shop", "--offline", "--from", "-")...)
			var kinds []string
			for _, o := range objectsOf(t, got.Out) {
				kinds = append(kinds, fmt.Sprint(o["kind"]))
			}
			if diff := cmp.Diff(test.want, kinds); diff != "" {
				t.Errorf("kinds (-want +got), errors %q:\n%s", got.ErrOut, diff)
			}
		})
	}
	if got := run(t, "shop", "--namespaces", "a", "--offline", "--from", "-", "--runtime-class", ""); strings.Contains(got.Out, "sandbox") {
		t.Errorf("a sandbox without a class:\n%s", got.Out)
	}
}

// objectsOf reads the objects of a stream.
func objectsOf(t *testing.T, stream string) []object {
	t.Helper()
	var objects []object
	for _, document := range split(stream) {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		if len(o) > 0 {
			objects = append(objects, o)
		}
	}
	return objects
}

// readFolder reads the manifests of a folder of the repository.
func readFolder(t *testing.T, folder string) []object {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../../..", folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests in %s: %v", folder, err)
	}
	var objects []object
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, objectsOf(t, string(content))...)
	}
	return objects
}

// Property: a team's pipeline is that of triggers/, all of it, and differs in its namespace
// alone.
func TestATeamsPipelineIsTheRepositorys(t *testing.T) {
	got := run(t, "shop", "--namespaces", "shop", "--ko", "--offline")
	if got.Status != 0 {
		t.Fatal(got.ErrOut)
	}
	want := readFolder(t, "triggers")
	for _, o := range want {
		kind := fmt.Sprint(o["kind"])
		if clusterKinds[kind] != strings.HasPrefix(kind, "Cluster") {
			t.Errorf("%s is taken to belong to a namespace: %t", kind, !clusterKinds[kind])
		}
		if !clusterKinds[kind] {
			o["metadata"].(object)["namespace"] = "shop-verification"
		}
	}
	printed := objectsOf(t, got.Out)
	begin := len(printed) - 1 - len(want) // the trigger is last
	if begin < 0 {
		t.Fatalf("%d objects, fewer than the %d of triggers/", len(printed), len(want))
	}
	if diff := cmp.Diff(want, printed[begin:len(printed)-1]); diff != "" {
		t.Errorf("the pipeline (-want +got):\n%s", diff)
	}
	if len(want) < 15 {
		t.Errorf("triggers/ has %d objects: the test looks in the wrong place", len(want))
	}
}

// Property: a pipeline that ko printed is put into the namespace as well: ko writes documents
// anew, by this encoder and with this indentation.
func TestWhatKoPrintsIsPlaced(t *testing.T) {
	got := commandtest.Run(New, printedByKo(t), nil, "team", "shop", "--repository", "r.example.com/shop/**", "--offline", "--from", "-")
	want := readFolder(t, "triggers")
	if objects := objectsOf(t, got.Out); got.Status != 0 || len(objects) != len(want)+2 {
		t.Errorf("status %d, %d objects, want %d: %s", got.Status, len(objects), len(want)+2, got.ErrOut)
	}
	if n := strings.Count(got.Out, "\n  namespace: shop-verification\n"); n < len(want)-2 {
		t.Errorf("%d of %d objects are in the namespace", n, len(want))
	}
}

// printedByKo is triggers/ as "ko resolve" prints it.
func printedByKo(t *testing.T) string {
	t.Helper()
	var printed bytes.Buffer
	encoder := yamlv3.NewEncoder(&printed)
	encoder.SetIndent(2)
	for _, document := range split(strings.ReplaceAll(manifestsOf(t), koReference, "registry.example.com/")) {
		var node yamlv3.Node
		if err := yamlv3.Unmarshal([]byte(document), &node); err != nil {
			t.Fatal(err)
		}
		if err := encoder.Encode(&node); err != nil {
			t.Fatal(err)
		}
	}
	return printed.String()
}

func manifestsOf(t *testing.T) string {
	t.Helper()
	all, err := triggers.Manifests()
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// Property: a team's source is that of eventing/, for its namespaces.
func TestATeamsSourceIsTheRepositorys(t *testing.T) {
	got := run(t, "shop", "--namespaces", "shop", "--from", "-", "--offline")
	find := func(objects []object, kind, name string) object {
		for _, o := range objects {
			if o["kind"] == kind && o["metadata"].(object)["name"] == name {
				return o
			}
		}
		t.Fatalf("there is no %s %q", kind, name)
		return nil
	}
	want, printed := readFolder(t, "eventing"), objectsOf(t, got.Out)
	role := find(want, "Role", "revet-source")
	if diff := cmp.Diff(role["rules"], find(printed, "Role", "shop-verification-source")["rules"]); diff != "" {
		t.Errorf("rights of the source (-want +got):\n%s", diff)
	}
	source := find(want, "ApiServerSource", "revet")
	source["metadata"].(object)["namespace"] = "shop-verification"
	source["spec"].(object)["namespaceSelector"] = object{"matchExpressions": []any{
		object{"key": "kubernetes.io/metadata.name", "operator": "In", "values": []any{"shop"}},
	}}
	if diff := cmp.Diff(source, find(printed, "ApiServerSource", "revet")); diff != "" {
		t.Errorf("the source (-want +got):\n%s", diff)
	}
}

// Property: a team gets view and nothing else, and the accounts of its verification namespace
// get in the team's what reading images needs.
func TestATeamGetsNothingButView(t *testing.T) {
	got := run(t, "shop", "--namespaces", "shop", "--group", "shop-developers", "--ko", "--offline")
	var groups []string
	rules := map[string]any{}
	for _, o := range objectsOf(t, got.Out) {
		if o["metadata"].(object)["namespace"] == "shop" && o["kind"] == "Role" {
			rules[fmt.Sprint(o["metadata"].(object)["name"])] = o["rules"]
		}
		subjects, _ := o["subjects"].([]any)
		for _, s := range subjects {
			if s.(object)["kind"] != "ServiceAccount" {
				groups = append(groups, fmt.Sprint(s.(object)["name"], " ", o["kind"], " ", o["roleRef"].(object)["name"]))
			}
		}
	}
	// Everybody's accounts may read the interceptors of the cluster: triggers/100-accounts.yaml.
	want := []string{"shop-developers RoleBinding view", "system:serviceaccounts ClusterRoleBinding revet-listener"}
	if diff := cmp.Diff(want, groups); diff != "" {
		t.Errorf("who gets what (-want +got):\n%s", diff)
	}
	rule := func(groups []any, resource string, verbs ...any) []any {
		return []any{object{"apiGroups": groups, "resources": []any{resource}, "verbs": verbs}}
	}
	both := []any{"", "image.openshift.io"}
	if diff := cmp.Diff(map[string]any{
		"shop-verification-streams": rule(both, "imagestreams", "get", "list"),
		"shop-verification-pull":    rule(both, "imagestreams/layers", "get"),
		"shop-verification-source":  rule(both[1:], "imagestreams", "get", "list", "watch"),
	}, rules); diff != "" {
		t.Errorf("rights in the team's namespace (-want +got):\n%s", diff)
	}
}

// What cannot be made says what to do instead.
func TestWhatIsNoTeam(t *testing.T) {
	long := strings.Repeat("a", 51)
	for _, test := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"no name", []string{"--namespaces", "a"}, 2, "exactly one NAME is required, not 0"},
		{"a name in capitals", []string{"Shop", "--namespaces", "a"}, 2, `"Shop" is no name of a team: Shop-verification names a namespace, so use lower case letters, digits and dashes, 50 at most`},
		{"a long name", []string{long, "--namespaces", "a"}, 2, `"` + long + `" is no name of a team`},
		{"nothing to verify", []string{"shop"}, 2, "name what the team pushes to: --namespaces NAMESPACE,... for ImageStreams, --repository PATTERN for a registry without them"},
		{"no namespace's name", []string{"shop", "--namespaces", "a,B_c"}, 2, `"B_c" in --namespaces is no name of a namespace`},
		{"an empty namespace", []string{"shop", "--namespaces", "a,"}, 2, `"" in --namespaces is no name of a namespace`},
		{"a namespace twice", []string{"shop", "--namespaces", "a,b", "--namespaces", "a"}, 2, "--namespaces has a twice"},
		{"its own", []string{"shop", "--namespaces", "shop,shop-verification"}, 2, "--namespaces has shop-verification itself"},
		{"too many", []string{"shop", "--namespaces", manyNames(101)}, 2, "at most 100 namespaces, not 101"},
		{"everybody", []string{"shop", "--namespaces", "a", "--group", "system:authenticated"}, 2, `--group "system:authenticated" is no group of a team's`},
		{"no repository", []string{"shop", "--repository", "https://registry.example.com/shop"}, 2, `--repository "https://registry.example.com/shop" is not host/path`},
		{"no class", []string{"shop", "--namespaces", "a", "--runtime-class", "Kata VM"}, 2, `--runtime-class "Kata VM" is no name of a RuntimeClass`},
		{"no class of storage", []string{"shop", "--namespaces", "a", "--storage-class", "Fast Disks"}, 2, `--storage-class "Fast Disks" is no name of a StorageClass`},
		{"a group of no volumes", []string{"shop", "--namespaces", "a", "--fs-group"}, 2, "--fs-group is for the volumes of --storage-class"},
		{"a pipeline without that form", []string{"shop", "--namespaces", "a", "--offline", "--from", "-", "--storage-class", ""}, 1, "does not have the lines marked #apart"},
		{"images that are not built", []string{"shop", "--namespaces", "a", "--offline"}, 2, "the images of the pipeline are not built yet: in a checkout of Revet, add --ko and pipe the output into 'ko apply -f -'"},
		{"a file with such images", []string{"shop", "--namespaces", "a", "--offline", "--from", "../../../triggers/320-join-verdict.yaml"}, 1, "which no cluster can pull; make it with: ko resolve -f triggers/ > ../../../triggers/320-join-verdict.yaml"},
		{"both ways", []string{"shop", "--namespaces", "a", "--ko", "--from", "x"}, 2, "give either --ko or --from, not both"},
		{"no such file", []string{"shop", "--namespaces", "a", "--offline", "--from", "none.yaml"}, 1, "none.yaml: no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := run(t, test.args...)
			if got.Status != test.status || got.Out != "" || !strings.Contains(got.ErrOut, test.want) {
				t.Errorf("status %d, errors %q, output %q; want status %d and %q", got.Status, got.ErrOut, got.Out, test.status, test.want)
			}
		})
	}
}

func manyNames(n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("n-%d", i))
	}
	return strings.Join(names, ",")
}

// A pipeline that cannot be put into a namespace is refused, as half of it would be elsewhere.
func TestWhatIsNoPipeline(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"nothing":             {"# nothing\n", "the pipeline has no manifests"},
		"a namespace":         {"kind: Task\nmetadata:\n  name: a\n  namespace: b\n", `document 1 of the pipeline: Task "a" names the namespace "b"`},
		"another way of YAML": {built + "---\nkind: Task\nmetadata: {name: a}\n", `document 3 of the pipeline: Task "a" is not written as ko writes it`},
		"deeper":              {"kind: Task\nmetadata:\n    name: a\n", `Task "a" is not written as ko writes it`},
		"no YAML":             {"a: b: c\n", "document 1 of the pipeline: it is no YAML"},
	} {
		t.Run(name, func(t *testing.T) {
			got := commandtest.Run(New, test.in, nil, "team", "shop", "--namespaces", "a", "--offline", "--from", "-")
			if got.Status != 1 || got.Out != "" || !strings.Contains(got.ErrOut, test.want) {
				t.Errorf("status %d, errors %q, output %q; want %q", got.Status, got.ErrOut, got.Out, test.want)
			}
		})
	}
}

func namespace(name string, labels ...string) client.Object {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelMetadataName: name}}}
	for _, team := range labels {
		ns.Labels[teamLabel] = team
	}
	return ns
}

func selecting(in string, names ...string) client.Object {
	return &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: "images"},
		Spec: v1alpha1.ImageTriggerSpec{Images: []v1alpha1.ImageSelector{
			{Repository: "registry.example.com/x"}, {ImageStreams: &v1alpha1.ImageStreamSelector{}},
			{ImageStreams: &v1alpha1.ImageStreamSelector{NamespaceSelector: &metav1.LabelSelector{
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: names}},
			}}},
		}},
	}
}

// A namespace is one team's, and is there.
func TestWhoseTheNamespacesAre(t *testing.T) {
	for _, test := range []struct {
		name    string
		objects []client.Object
		want    string
	}{
		{"a new team", nil, ""},
		{"the same team again", []client.Object{namespace("shop-verification", "shop"), selecting("shop-verification", "a", "b")}, ""},
		{"another team of other namespaces", []client.Object{namespace("bank-verification", "bank"), selecting("bank-verification", "c")}, ""},
		{"a trigger of the platform's", []client.Object{namespace("platform"), selecting("platform", "a", "b")}, ""},
		{"another team's", []client.Object{namespace("bank-verification", "bank"), selecting("bank-verification", "b", "c")}, `namespace "b" is team "bank"'s: ImageTrigger "images" in namespace "bank-verification" selects it`},
		{"a namespace of that name", []client.Object{namespace("shop-verification")}, "kubectl label namespace shop-verification revet.dev/team=shop"},
		{"a namespace of that name, of another team", []client.Object{namespace("shop-verification", "shops")}, `was not made for team "shop"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			objects := slices.Concat([]client.Object{namespace("a"), namespace("b")}, test.objects)
			_, connect := commandtest.Writable(t, interceptor.Funcs{}, objects...)
			wantLook(t, connect, "a,b", test.want)
		})
	}
	_, connect := commandtest.Writable(t, interceptor.Funcs{}, namespace("a"), namespace("bank-verification", "bank"))
	wantLook(t, connect, "a,c", `there is no namespace "c"; create it first, or print without looking with --offline`)
	wantLook(t, connect, "a,bank-verification", `namespace "bank-verification" is where images of team "bank" are verified`)
	_, connect = commandtest.Writable(t, interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "namespaces"}, "", nil)
		},
	})
	wantLook(t, connect, "a", "ask as a cluster administrator, or print without looking with --offline")
}

func wantLook(t *testing.T, connect commandtest.Connect, namespaces, want string) {
	t.Helper()
	got := commandtest.Run(New, built, connect, "team", "shop", "--namespaces", namespaces, "--from", "-")
	if want == "" && (got.Status != 0 || got.Out == "") || want != "" && (got.Status != 1 || got.Out != "") || !strings.Contains(got.ErrOut, want) {
		t.Errorf("status %d, errors %q; want %q", got.Status, got.ErrOut, want)
	}
}
