package integration

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline/pod"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/ledger"
)

// runPolicy puts the policy on runs in force until the test ends. Other tests' stand-ins for
// listeners are no Pods, so that it is in force here only.
func runPolicy(t *testing.T) {
	t.Helper()
	file := filepath.Join(repository, "config", "410-run-policy.yaml")
	if err := install(t.Context(), clusterOf(t).RESTConfig(), "", file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, kind := range []string{"ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"} {
			o := &unstructured.Unstructured{}
			o.SetAPIVersion("admissionregistration.k8s.io/v1")
			o.SetKind(kind)
			o.SetName("revet-runs")
			if err := admin(t).Delete(context.WithoutCancel(t.Context()), o); err != nil {
				t.Error(err)
			}
		}
	})
	run := templatedRun(metav1.NamespaceDefault, "forbidden", "uid", digestOf("x"), "class")
	eventually(t, "the policy is in force", func() error {
		if err := admin(t).Create(t.Context(), run.DeepCopy(), client.DryRunAll); !refusedByRuns(err) {
			return fmt.Errorf("a user makes a run: %w", err)
		}
		return nil
	})
}

// refusedByRuns reports whether the policy on runs refused something.
func refusedByRuns(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "revet-runs")
}

// podsClient is a client with the token of a Pod of an account.
func podsClient(t *testing.T, namespace, account string) client.Client {
	t.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "el-"},
		Spec:       corev1.PodSpec{ServiceAccountName: account, Containers: []corev1.Container{{Name: "listener", Image: "none"}}},
	}
	if err := admin(t).Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	token := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID},
	}}
	of := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	if err := admin(t).SubResource("token").Create(t.Context(), of, token); err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(clusterOf(t).RESTConfig())
	config.BearerToken = token.Status.Token
	return clientOf(t, config)
}

// acting is a client of a user who acts as an account of the namespace.
func acting(t *testing.T, user, namespace, account string) client.Client {
	t.Helper()
	config, err := clusterOf(t).UserConfig(user, "system:authenticated")
	if err != nil {
		t.Fatal(err)
	}
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":" + account}
	return clientOf(t, config)
}

// tektonEdit gives the role edit what Tekton's own ClusterRole adds to it.
func tektonEdit(t *testing.T) {
	t.Helper()
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "tekton-aggregate-edit", Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-edit": "true"}},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"tekton.dev"}, Resources: []string{"tasks", "taskruns", "pipelines", "pipelineruns"},
			Verbs: []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"},
		}},
	}
	if err := admin(t).Create(t.Context(), role); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

// Who edits a namespace makes no run of Revet's, by no name and as no account, and changes none;
// a listener's Pod makes them, and Tekton its TaskRuns. Stopping a run stays allowed.
func TestOnlyListenersMakeRuns(t *testing.T) {
	ownCluster(t)
	namespace, _ := verifiedNamespace(t)
	tektonEdit(t)
	editor := userWith(t, namespace, "run-editor", "system:aggregate-to-edit", "revet-edit", "tekton-aggregate-edit") // nothing aggregates here
	asRunner := acting(t, "run-editor", namespace, "runner")
	listener := podsClient(t, namespace, "runner")
	runPolicy(t)
	run := func(name string) *pipelinev1.PipelineRun {
		return templatedRun(namespace, name, "uid", digestOf("x"), "class-"+namespace)
	}
	task := func(name string, labels map[string]string) *pipelinev1.TaskRun {
		return &pipelinev1.TaskRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
	}
	marked := map[string]string{v1alpha1.RunLabel: "app-1"}
	eventually(t, "edit lets runs be made that are not Revet's", func() error {
		return editor.Create(t.Context(), task("own", nil), client.DryRunAll)
	})
	eventually(t, "edit lets users act as the namespace's accounts", func() error {
		plain := run("plain")
		plain.Labels = nil
		return asRunner.Create(t.Context(), plain, client.DryRunAll)
	})
	for who, c := range map[string]client.Client{"an editor": editor, "an editor as the listener's account": asRunner, "an administrator": admin(t)} {
		for what, o := range map[string]client.Object{"a run": run("fake"), "a TaskRun": task("fake", marked)} {
			err := c.Create(t.Context(), o.DeepCopyObject().(client.Object), client.DryRunAll)
			byRoles := who != "an administrator" && what == "a TaskRun" && apierrors.IsForbidden(err) && strings.Contains(err.Error(), "runner")
			if !refusedByRuns(err) && !byRoles {
				t.Errorf("%s makes %s: %v", who, what, err)
			}
		}
	}
	if err := listener.Create(t.Context(), run("real")); err != nil {
		t.Fatalf("the listener makes no run: %v", err)
	}
	templatesOfRuns(t, listener, run)
	tekton := clientOf(t, account(t, "tekton-pipelines", "tekton-pipelines-controller"))
	mayWriteRuns(t, "tekton-pipelines", "tekton-pipelines-controller")
	eventually(t, "Tekton makes TaskRuns", func() error {
		return tekton.Create(t.Context(), task("real-scan", marked), client.DryRunAll)
	})
	own := run("own-run")
	own.Labels = nil
	if err := editor.Create(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	change := func(c client.Client, name string, mutate func(*pipelinev1.PipelineRun)) error {
		var pr pipelinev1.PipelineRun
		if err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &pr); err != nil {
			t.Fatal(err)
		}
		mutate(&pr)
		return c.Update(t.Context(), &pr, client.DryRunAll)
	}
	if err := change(editor, "own-run", func(pr *pipelinev1.PipelineRun) { pr.Labels = marked }); !refusedByRuns(err) {
		t.Errorf("an editor makes a run Revet's: %v", err)
	}
	for name, mutate := range map[string]func(*pipelinev1.PipelineRun){
		"the label":    func(pr *pipelinev1.PipelineRun) { pr.Labels = nil },
		"the run":      func(pr *pipelinev1.PipelineRun) { pr.Labels[v1alpha1.RunLabel] = "other" },
		"the entry":    func(pr *pipelinev1.PipelineRun) { pr.Annotations[v1alpha1.EntryUIDAnnotation] = "other" },
		"the digest":   func(pr *pipelinev1.PipelineRun) { delete(pr.Annotations, v1alpha1.DigestAnnotation) },
		"its params":   func(pr *pipelinev1.PipelineRun) { pr.Spec.Params = nil },
		"its pipeline": func(pr *pipelinev1.PipelineRun) { pr.Spec.PipelineRef = &pipelinev1.PipelineRef{Name: "other"} },
		"its owner": func(pr *pipelinev1.PipelineRun) {
			pr.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "x", UID: "y"}}
		},
	} {
		for who, c := range map[string]client.Client{"an editor": editor, "an editor as the listener's account": asRunner} {
			if err := change(c, "real", mutate); !apierrors.IsForbidden(err) {
				t.Errorf("%s changes %s of a run: %v", who, name, err)
			}
		}
	}
	for name, mutate := range map[string]func(*pipelinev1.PipelineRun){
		"stop it":        func(pr *pipelinev1.PipelineRun) { pr.Spec.Status = pipelinev1.PipelineRunSpecStatusCancelled },
		"label it":       func(pr *pipelinev1.PipelineRun) { pr.Labels["team"] = "a" },
		"change nothing": func(*pipelinev1.PipelineRun) {},
	} {
		if err := change(editor, "real", mutate); err != nil {
			t.Errorf("an editor may not %s: %v", name, err)
		}
	}
	if err := change(tekton, "real", func(pr *pipelinev1.PipelineRun) { pr.Labels["tekton.dev/pipeline"] = "x" }); err != nil {
		t.Errorf("Tekton may not label its run: %v", err)
	}
	var pr pipelinev1.PipelineRun
	if err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "real"}, &pr); err != nil {
		t.Fatal(err)
	}
	if err := editor.Status().Update(t.Context(), &pr, client.DryRunAll); !apierrors.IsForbidden(err) {
		t.Errorf("an editor writes a run's status: %v", err)
	}
}

// templatesOfRuns wants a listener to make runs with every field of Tekton's Pod template but the
// node's network, wherever a run has such a template. A field that Tekton adds is decided there.
func templatesOfRuns(t *testing.T, listener client.Client, run func(string) *pipelinev1.PipelineRun) {
	t.Helper()
	for i := range reflect.TypeFor[pod.PodTemplate]().NumField() {
		described := reflect.TypeFor[pod.PodTemplate]().Field(i)
		field, _, _ := strings.Cut(described.Tag.Get("json"), ",")
		for _, at := range [][]string{{"spec", "taskRunTemplate", "podTemplate"}, {"spec", "taskRunSpecs", "podTemplate"}} {
			raw, err := runtime.DefaultUnstructuredConverter.ToUnstructured(run("templated"))
			if err != nil {
				t.Fatal(err)
			}
			o := &unstructured.Unstructured{Object: raw}
			o.SetAPIVersion("tekton.dev/v1") // the other version needs Tekton's webhook
			o.SetKind("PipelineRun")
			template := map[string]any{field: anyOf(described.Type)}
			if at[1] == "taskRunSpecs" {
				err = unstructured.SetNestedSlice(o.Object, []any{map[string]any{"pipelineTaskName": "scan", at[2]: template}}, at[:2]...)
			} else {
				err = unstructured.SetNestedMap(o.Object, template, at...)
			}
			if err != nil {
				t.Fatal(err)
			}
			err = listener.Create(t.Context(), o, client.DryRunAll)
			if want := field == "hostNetwork"; refusedByRuns(err) != want || !want && err != nil {
				t.Errorf("a run with %s in %v: %v; want it refused: %t", field, at, err, want)
			}
		}
	}
}

// anyOf returns JSON that a field of the type can have.
func anyOf(kind reflect.Type) any {
	switch kind.Kind() {
	case reflect.Pointer:
		return anyOf(kind.Elem())
	case reflect.Bool:
		return true
	case reflect.String:
		return "anything"
	case reflect.Slice:
		return []any{}
	default:
		return map[string]any{}
	}
}

// mayWriteRuns lets an account of another namespace write runs everywhere.
func mayWriteRuns(t *testing.T, namespace, name string) {
	t.Helper()
	for _, o := range []client.Object{
		&rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"tekton.dev"}, Resources: []string{"pipelineruns", "taskruns"}, Verbs: []string{"create", "update"}}},
		},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: name}},
		},
	} {
		if err := admin(t).Create(t.Context(), o); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
}

// A PipelineRun with all marks of a run that Revet asks for next, made by an account that the policy
// lets make runs, gives no verdict if it is not what the listener makes. It is told, and the run has
// another name.
func TestAFakeRunGivesNoVerdict(t *testing.T) {
	ownCluster(t)
	namespace, stand := verifiedNamespace(t)
	stand.drops(true) // so that the fake is there first
	startController(t, "one")
	r := receiver(t)
	push(t, namespace+"/app:v1")
	if code, body := send(t, r, streamNamed(t, namespace, "app")); code != http.StatusAccepted {
		t.Fatalf("the receiver answered %d %s", code, body)
	}
	within(t, time.Minute, "the run is asked for", func() error {
		if stand.asked() == 0 {
			return fmt.Errorf("entries are %+v", entriesOf(t, namespace))
		}
		return nil
	})
	entry := entriesOf(t, namespace)[0]
	name := ledger.RunName(&entry, 1)
	fake := templatedRun(namespace, name, string(entry.UID), entry.Spec.Digest, "class-"+namespace)
	fake.Spec.PipelineSpec = &pipelinev1.PipelineSpec{Results: []pipelinev1.PipelineResult{
		{Name: "verdict", Value: *pipelinev1.NewStructuredValues("pass")}, {Name: "digest", Value: *pipelinev1.NewStructuredValues(entry.Spec.Digest)},
	}}
	if err := podsClient(t, namespace, "runner").Create(t.Context(), fake); err != nil {
		t.Fatal(err)
	}
	standInRuns(t, namespace, "pass", "class-"+namespace)
	stand.drops(false)
	within(t, time.Minute, "the fake is refused, and another run made", func() error {
		e := entriesOf(t, namespace)[0]
		if e.Status.Verdict != nil {
			t.Fatalf("the fake gave the verdict %+v", e.Status.Verdict)
		}
		if len(e.Status.Runs) < 2 || e.Status.Runs[0].Reason != "RunNameTaken" || e.Status.Runs[1].ConfirmedAt == nil {
			return fmt.Errorf("runs are %+v", e.Status.Runs)
		}
		if !strings.Contains(e.Status.Runs[0].Message, "spec.pipelineSpec") {
			t.Errorf("the message is %q", e.Status.Runs[0].Message)
		}
		return nil
	})
	eventually(t, "an Event tells of it", func() error {
		var all corev1.EventList
		if err := admin(t).List(t.Context(), &all, client.InNamespace(namespace)); err != nil {
			return err
		}
		for _, e := range all.Items {
			if e.Reason == "RunNameTaken" && strings.Contains(e.Message, "spec.pipelineSpec") && e.Type == corev1.EventTypeWarning {
				return nil
			}
		}
		return fmt.Errorf("of %d Events none does", len(all.Items))
	})
	standInRuns(t, namespace, "fail", "class-"+namespace)
	inPhase(t, namespace, 1, v1alpha1.PhaseFailed)
}
