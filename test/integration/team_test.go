package integration

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// teamLayout is a team with a namespace of its own and one in which its images are verified,
// as "kubectl revet team" prints it.
type teamLayout struct {
	t *testing.T
	// own is where the team pushes, and verification where its images are verified.
	own, verification string
	// member is somebody of the team, whose group edits own.
	member     actor
	kubeconfig string
}

func newTeamLayout(t *testing.T) *teamLayout {
	t.Helper()
	aggregate(t)
	l := &teamLayout{t: t, own: newNamespace(t)}
	name := "t" + strings.TrimPrefix(l.own, "test-")
	l.verification = name + "-verification"
	manifests := l.team(name, "--group", "developers-"+name, "--no-source")
	if manifests.status != 0 {
		t.Fatal(manifests.errOut)
	}
	for _, document := range strings.Split("\n"+manifests.out, "\n---\n") {
		o := parse(t, document)
		if len(o.Object) == 0 {
			continue
		}
		if err := admin(t).Create(t.Context(), o); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatalf("%v: %s", err, document)
		}
	}
	t.Cleanup(func() { l.remove() })
	if err := admin(t).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.own, Name: "developers"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "developers-" + name}},
	}); err != nil {
		t.Fatal(err)
	}
	config, err := clusterOf(t).UserConfig("jane", "system:authenticated", "developers-"+name)
	if err != nil {
		t.Fatal(err)
	}
	l.member, l.kubeconfig = actorOf(t, config), kubeconfigFile(t, "jane", config)
	return l
}

// team types the command as the cluster's administrator.
func (l *teamLayout) team(name string, args ...string) typed {
	l.t.Helper()
	return revet(l.t, append([]string{"team", name, "--namespaces", l.own, "--ko", "--kubeconfig", clusterOf(l.t).Kubeconfig()}, args...)...)
}

// remove takes away what later tests' controllers would work on.
func (l *teamLayout) remove() {
	ctx := context.WithoutCancel(l.t.Context())
	for _, kind := range []client.Object{&v1alpha1.ImageTrigger{}, &v1alpha1.ImageVerification{}} {
		if err := admin(l.t).DeleteAllOf(ctx, kind, client.InNamespace(l.verification)); err != nil {
			l.t.Error(err)
		}
	}
}

// says types a command line as somebody of the team.
func (l *teamLayout) says(args ...string) typed {
	l.t.Helper()
	return revet(l.t, append(args, "--kubeconfig", l.kubeconfig)...)
}

// Property: a team whose images are verified in a namespace that "kubectl revet team" printed
// sees its verdicts, and changes nothing about how its images are judged.
func TestATeamSeesItsVerdictsAndCannotChangeThem(t *testing.T) {
	ownCluster(t)
	l := newTeamLayout(t)
	trigger := triggerNamed(t, l.verification, "images")
	e := entryOf(l.verification, "web-1")
	e.Spec.Trigger = v1alpha1.TriggerReference{Name: trigger.Name, UID: string(trigger.UID)}
	e.Spec.Repository.Name = l.own + "/web"
	if err := clientOf(t, account(t, systemNamespace, "receiver")).Create(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	in := l.verification
	eventually(t, "the team sees its ledger", func() error { return listing(entryKind + in)(l.member) })
	a := &abuse{t: t, own: l.own, other: in}
	before := a.belongings()
	a.runs("the team", l.member, []try{
		{"sees its ledger", listing(entryKind + in), ""},
		{"sees its trigger", reading(triggerKind + in + " images"), ""},
		{"sees the policy", reading("v1 ConfigMap " + in + " revet-scan-policy"), ""},
		{"sees the pipeline", reading("tekton.dev/v1 Task " + in + " scan-image"), ""},
		{"sees its runs", listing("tekton.dev/v1 PipelineRun " + in), ""},
		{"sees logs", listing("v1 Pod " + in), ""},
		{"changes a Task", patching("tekton.dev/v1 Task "+in+" scan-image", `{"spec":{"description":"x"}}`), refused("patch", "tasks.tekton.dev", in)},
		{"changes the Pipeline", patching("tekton.dev/v1 Pipeline "+in+" scan-and-validate", `{"spec":{"description":"x"}}`), refused("patch", "pipelines.tekton.dev", in)},
		{"changes the policy of scans", patching("v1 ConfigMap "+in+" revet-scan-policy", `{"data":{"policy.yaml":"x"}}`), refused("patch", "configmaps", in)},
		{"changes the rules", patching("v1 ConfigMap "+in+" revet-validation-rules", `{"data":{"rules.yaml":"x"}}`), refused("patch", "configmaps", in)},
		{"names another database", patching("v1 ConfigMap "+in+" revet-vulnerability-database", `{"data":{"database":"x"}}`), refused("patch", "configmaps", in)},
		{"adds keys to verify signatures with", creating("{apiVersion: v1, kind: ConfigMap, metadata: {name: keys, namespace: " + in + "}}"), refused("create", "configmaps", in)},
		{"changes the trigger", patching(triggerKind+in+" images", `{"spec":{"sandbox":{"weight":0}}}`), refused("patch", "imagetriggers.revet.dev", in)},
		{"declares a trigger", creating("{apiVersion: revet.dev/v1alpha1, kind: ImageTrigger, metadata: {name: mine, namespace: " + in + "}, spec: {images: [{imageStreams: {}}], sink: {ref: {name: x}}}}"), refused("create", "imagetriggers.revet.dev", in)},
		{"makes a run", creating("{apiVersion: tekton.dev/v1, kind: PipelineRun, metadata: {name: run-2, namespace: " + in + ", labels: {revet.dev/run: run-2}}, spec: {pipelineRef: {name: p}}}"), refused("create", "pipelineruns.tekton.dev", in)},
		{"makes a TaskRun", creating("{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {name: run-2, namespace: " + in + "}, spec: {taskRef: {name: p}}}"), refused("create", "taskruns.tekton.dev", in)},
		{"changes the listener", patching("triggers.tekton.dev/v1beta1 EventListener "+in+" scan-and-validate", `{"spec":{"serviceAccountName":"x"}}`), refused("patch", "eventlisteners.triggers.tekton.dev", in)},
		{"changes the template", patching("triggers.tekton.dev/v1beta1 TriggerTemplate "+in+" scan-and-validate", `{"spec":{"params":[]}}`), refused("patch", "triggertemplates.triggers.tekton.dev", in)},
		{"runs a Pod beside the pipeline", creating("{apiVersion: v1, kind: Pod, metadata: {name: mine, namespace: " + in + "}, spec: {containers: [{name: a, image: a}]}}"), refused("create", "pods", in)},
		{"reads the pipeline's credentials", listing("v1 Secret " + in), refused("list", "secrets", in)},
		{"removes what keeps Pods from the listener", deleting("networking.k8s.io/v1 NetworkPolicy " + in + " scan-and-validate-listener"), refused("delete", "networkpolicies.networking.k8s.io", in)},
		{"acts as the listener", as("system:serviceaccount:"+in+":scan-and-validate-listener", asking(http.MethodGet, "/version")), "cannot impersonate"},
		{"takes the right to pull from its own namespace", deleting("rbac.authorization.k8s.io/v1 RoleBinding " + l.own + " " + in + "-pull"), refused("delete", "rolebindings.rbac.authorization.k8s.io", l.own)},
		{"asks for a run without the right to", patching(entryKind+in+" web-1", `{"spec":{"requests":["mine"]}}`), refused("patch", "imageverifications.revet.dev", in)},
	})
	if diff := cmp.Diff(before, a.belongings()); diff != "" {
		t.Errorf("the verification namespace changed (-before +after):\n%s", diff)
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"get":     {[]string{"get", "-n", in}, l.own + "/web"},
		"explain": {[]string{"explain", "-n", in, l.own + "/web:v1"}, "recorded "},
	} {
		if got := l.says(test.args...); got.status != 0 || !strings.Contains(got.out, test.want) || got.errOut != "" {
			t.Errorf("%s: status %d, output %q, errors %q; want %q", name, got.status, got.out, got.errOut, test.want)
		}
	}
	if got := l.says("get", "-A"); got.status == 0 || !strings.Contains(got.errOut, refused("list", "imageverifications.revet.dev", "")) {
		t.Errorf("the team read all ledgers: %+v", got)
	}
}

// Property: the manifests of a team give its trigger what it needs, and no more: it sees the
// ImageStreams of the team's namespaces, its runs may pull them, and those of others not.
func TestATeamsTriggerSeesItsNamespacesOnly(t *testing.T) {
	ownCluster(t)
	l := newTeamLayout(t)
	stranger := newNamespace(t)
	for _, row := range []struct {
		account, verb, resource, namespace string
		want                               bool
	}{
		{"default", "list", "imagestreams", l.own, true},
		{"default", "get", "imagestreams", l.own, true},
		{"default", "get", "imagestreams/layers", l.own, false},
		{"scan-and-validate", "get", "imagestreams/layers", l.own, true},
		{"scan-and-validate", "update", "imagestreams/layers", l.own, false},
		{"default", "list", "imagestreams", stranger, false},
		{"scan-and-validate", "get", "imagestreams/layers", stranger, false},
		{"scan-and-validate-listener", "get", "imagestreams/layers", l.own, false},
	} {
		resource, subresource, _ := strings.Cut(row.resource, "/")
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + l.verification + ":" + row.account,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: row.namespace, Verb: row.verb, Group: "image.openshift.io", Resource: resource, Subresource: subresource,
			},
		}}
		eventually(t, fmt.Sprintf("%+v", row), func() error {
			review.ResourceVersion = ""
			if err := admin(t).Create(t.Context(), review); err != nil {
				return err
			}
			if review.Status.Allowed != row.want {
				return fmt.Errorf("allowed is %t", review.Status.Allowed)
			}
			return nil
		})
	}
	// Once printed and applied, the command finds its own layout and no other team's.
	name := strings.TrimSuffix(l.verification, "-verification")
	if got := l.team(name); got.status != 0 {
		t.Errorf("the same team again: %+v", got)
	}
	if got := l.team(name + "x"); got.status != 1 || !strings.Contains(got.errOut, fmt.Sprintf("namespace %q is team %q's", l.own, name)) {
		t.Errorf("a second team of the namespace: status %d, errors %q", got.status, got.errOut)
	}
}
