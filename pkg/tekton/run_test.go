package tekton

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

func templated(run, uid string) *pipelinev1.PipelineRun {
	return &pipelinev1.PipelineRun{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team-a", Name: run, UID: types.UID(uid),
		Labels:      map[string]string{v1alpha1.RunLabel: run},
		Annotations: map[string]string{v1alpha1.EntryUIDAnnotation: "entry", v1alpha1.DigestAnnotation: "sha256:x"},
	}}
}

func runClient(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

func TestTrimRunKeepsWhatIsRead(t *testing.T) {
	start := metav1.Now()
	full := templated("run", "1")
	full.Labels["other"], full.Annotations["other"] = "x", "x"
	full.Spec.PipelineRef = &pipelinev1.PipelineRef{Name: "scan"}
	full.Status.StartTime = &start
	full.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue, Reason: "Succeeded", Message: "all is well"})
	full.Status.Results = []pipelinev1.PipelineRunResult{{Name: "verdict", Value: *pipelinev1.NewStructuredValues("pass")}}
	full.Status.ChildReferences = []pipelinev1.ChildStatusReference{{Name: "task"}}
	full.Status.Provenance = &pipelinev1.Provenance{}
	got, err := TrimRun(full)
	if err != nil {
		t.Fatal(err)
	}
	want := templated("run", "1")
	want.Status.StartTime = &start
	want.Status.Conditions = duckv1.Conditions{{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trimmed run (-want +got):\n%s", diff)
	}
	if same, err := TrimRun(&metav1.PartialObjectMetadata{}); err != nil || same == nil {
		t.Errorf("another object became %v, %v", same, err)
	}
}

// Property: whoever may create PipelineRuns fills the controller's cache with little of each.
func TestTrimRunBoundsWhatAStrangerWrites(t *testing.T) {
	large := strings.Repeat("x", 100_000)
	run := templated("run", "1")
	run.Annotations[v1alpha1.EntryUIDAnnotation], run.Annotations[v1alpha1.DigestAnnotation] = large, large
	run.Labels[large] = "x"
	run.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue, Reason: large, Message: large})
	run.Status.Results = []pipelinev1.PipelineRunResult{{Name: "summary", Value: *pipelinev1.NewStructuredValues(large)}}
	got, err := TrimRun(run)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if most := 2048; len(text) > most {
		t.Errorf("the cache has %d bytes of a run, want at most %d", len(text), most)
	}
}

func TestListRunsSelectsByLabelUnderAnyName(t *testing.T) {
	renamed, other, foreign := templated("a-1", "1"), templated("b-1", "2"), templated("c-1", "3")
	renamed.Name = "by-another-name"
	foreign.Labels = nil
	c := runClient(t, renamed, other, foreign)
	for _, test := range []struct {
		run  string
		want []string
	}{{"a-1", []string{"by-another-name"}}, {"", []string{"b-1", "by-another-name"}}} {
		runs, err := ListRuns(t.Context(), c, "team-a", test.run)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range runs {
			names = append(names, r.Name)
		}
		if diff := cmp.Diff(test.want, names); diff != "" {
			t.Errorf("runs of %q (-want +got):\n%s", test.run, diff)
		}
	}
}

func TestListPodsLeavesOutPodsBesideTheTasks(t *testing.T) {
	pod := func(name string, labels map[string]string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name, Labels: labels}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	}
	c := runClient(t,
		pod("task", map[string]string{"tekton.dev/pipelineRun": "a-1", "tekton.dev/taskRun": "a-1-scan"}),
		pod("assistant", map[string]string{"tekton.dev/pipelineRun": "a-1"}),
		pod("other", map[string]string{"tekton.dev/pipelineRun": "b-1", "tekton.dev/taskRun": "b-1-scan"}),
	)
	got, err := ListPods(t.Context(), c, "team-a", "a-1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]lifecycle.Pod{{Name: "task", Started: true}}, got); diff != "" {
		t.Errorf("Pods (-want +got):\n%s", diff)
	}
}

// Property: whoever may make Pods does not make the controller hold all of them at once.
func TestListPodsReadsPages(t *testing.T) {
	var asked []string
	pages := map[string]corev1.PodList{
		"":     {ListMeta: metav1.ListMeta{Continue: "next"}, Items: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "a"}}}},
		"next": {Items: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "b"}}}},
	}
	c := interceptor.NewClient(runClient(t).(client.WithWatch), interceptor.Funcs{
		List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			o := (&client.ListOptions{}).ApplyOptions(opts)
			asked = append(asked, fmt.Sprintf("%q %v", o.Continue, o.Limit > 0))
			page := pages[o.Continue]
			page.DeepCopyInto(list.(*corev1.PodList))
			return nil
		},
	})
	got, err := ListPods(t.Context(), c, "team-a", "a-1")
	if err != nil {
		t.Fatal(err)
	}
	const waiting = "its status gives no reason"
	if diff := cmp.Diff([]lifecycle.Pod{{Name: "a", Waiting: waiting}, {Name: "b", Waiting: waiting}}, got); diff != "" {
		t.Errorf("Pods (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{`"" true`, `"next" true`}, asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

func TestListTaskFailuresLeavesOutWhatSucceeded(t *testing.T) {
	task := func(name, run string, status corev1.ConditionStatus, message string) *pipelinev1.TaskRun {
		tr := &pipelinev1.TaskRun{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name, Labels: map[string]string{"tekton.dev/pipelineRun": run}}}
		if status != "" {
			tr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: status, Message: message})
		}
		return tr
	}
	c := runClient(t,
		task("done", "a-1", corev1.ConditionTrue, "all is well"), task("failed", "a-1", corev1.ConditionFalse, "no such class"),
		task("new", "a-1", "", ""), task("elsewhere", "b-1", corev1.ConditionFalse, "other"))
	got, err := ListTaskFailures(t.Context(), c, "team-a", "a-1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]TaskFailure{{"failed", "no such class"}}, got); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

// patchByUID refuses a patch whose UID is not the object's, as the API server does and
// the fake client does not.
func patchByUID(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	data, err := p.Data(o)
	if err != nil {
		return err
	}
	var patch struct{ Metadata struct{ UID types.UID } }
	if err := json.Unmarshal(data, &patch); err != nil {
		return err
	}
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
		return err
	}
	if patch.Metadata.UID != "" && patch.Metadata.UID != o.GetUID() {
		return apierrors.NewConflict(pipelinev1.Resource("pipelineruns"), o.GetName(), errors.New("the UID differs"))
	}
	return c.Patch(ctx, o, p, opts...)
}

func TestCancelRunCancelsTheRunOfTheUIDOnly(t *testing.T) {
	key := types.NamespacedName{Namespace: "team-a", Name: "a-1"}
	for _, test := range []struct {
		name string
		runs []client.Object
		want pipelinev1.PipelineRunSpecStatus
	}{
		{"the run", []client.Object{templated("a-1", "1")}, "Cancelled"},
		{"another one of the name", []client.Object{templated("a-1", "2")}, ""},
		{"it is gone", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := interceptor.NewClient(runClient(t, test.runs...).(client.WithWatch), interceptor.Funcs{Patch: patchByUID})
			if err := CancelRun(t.Context(), c, key, "1"); err != nil {
				t.Fatal(err)
			}
			var pr pipelinev1.PipelineRun
			if err := client.IgnoreNotFound(c.Get(t.Context(), key, &pr)); err != nil {
				t.Fatal(err)
			}
			if pr.Spec.Status != test.want {
				t.Errorf("spec.status is %q, want %q", pr.Spec.Status, test.want)
			}
		})
	}
}
