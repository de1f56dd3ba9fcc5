package tekton

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Whoever edits a namespace writes templates and bindings there, and the controller of all
// namespaces evaluates them. What grows without bound is refused before it takes memory.
func TestWhatATemplateMakesIsBounded(t *testing.T) {
	long, refers := strings.Repeat("x", 64<<10), strings.Repeat("$(tt.params.a)", 4<<10)
	// Each parameter holds all, several times: substituted in any order they multiply.
	var each string
	for i := range 12 {
		each += fmt.Sprintf("$(tt.params.l%d)", i)
	}
	var laughs []string
	for i := range 12 {
		laughs = append(laughs, fmt.Sprintf("l%d=%s", i, strings.Repeat(each, 4)))
	}
	union := "$(body[" + strings.TrimSuffix(strings.Repeat("'image',", 24), ",") + "])"
	var paths []string
	for i := range 100 {
		paths = append(paths, fmt.Sprintf("p%d=%s", i, union[:len(union)-9*8-1]+"'image'])"))
	}
	fallback := ""
	for i := range 500 {
		fallback += fmt.Sprintf("$(body.x%d)", i)
	}
	var many []string
	for i := range maxParams {
		many = append(many, fmt.Sprintf("m%d=x", i))
	}
	annotated := func(text string) []string { return []string{"annotations: {", "annotations: {a: '" + text + "', "} }
	for _, test := range []struct {
		name     string
		listener listener
		fine     bool
	}{
		{"a parameter that is spliced often", listener{edit: annotated(refers), params: []string{"a=x"}}, true},
		{"a long one that is spliced often", listener{edit: annotated(refers), params: []string{"a=" + long}}, false},
		{"parameters that hold others", listener{edit: annotated(each), defaults: laughs}, false},
		{"a path that multiplies", listener{params: []string{"a=" + union}}, false},
		{"many paths that do", listener{params: paths}, false},
		{"a default in the place of many fields", listener{params: []string{"a=" + fallback}, defaults: []string{"a=" + long}}, false},
		{"many parameters", listener{params: many}, false},
		{"templates that are large together", listener{before: []string{
			"{apiVersion: v1, kind: ConfigMap, metadata: {generateName: x-}, data: {x: " + strings.Repeat("x", 600<<10) + "}}",
			"{apiVersion: v1, kind: ConfigMap, metadata: {generateName: x-}, data: {x: " + strings.Repeat("x", 600<<10) + "}}",
		}}, false},
		{"many triggers", listener{change: func(el *triggersv1beta1.EventListener) {
			for range maxTriggers {
				el.Spec.Triggers = append(el.Spec.Triggers, el.Spec.Triggers[0])
			}
		}}, false},
		{"large triggers that a selector chooses", listener{
			change: func(el *triggersv1beta1.EventListener) {
				el.Spec.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"for": "revet"}}
			},
			objects: largeTriggers(6),
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			objects := test.listener.build(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := NewChecker(newTestClient(t, objects...), testPolicy, "revet-system").Check(t.Context(), trigger("kata"))
			if err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			refusal, refused := got.Refusal()
			if refused == test.fine || (refused && refusal.Reason != ListenerTooLarge) {
				t.Errorf("refusal %s: %.200s; want one of ListenerTooLarge: %t", refusal.Reason, refusal.Message, !test.fine)
			}
			if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 128 {
				t.Errorf("the check took %d MiB", took)
			}
		})
	}
}

// largeTriggers returns Triggers of 1 MiB each, which the label for=revet selects.
func largeTriggers(n int) []client.Object {
	var all []client.Object
	value := strings.Repeat("x", 1<<20)
	for i := range n {
		all = append(all, &triggersv1beta1.Trigger{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: fmt.Sprintf("t%d", i), Labels: map[string]string{"for": "revet"}},
			Spec: triggersv1beta1.TriggerSpec{
				Bindings: []*triggersv1beta1.TriggerSpecBinding{{Name: "x", Value: &value}},
				Template: triggersv1beta1.TriggerSpecTemplate{Spec: &triggersv1beta1.TriggerTemplateSpec{}},
			},
		})
	}
	return all
}

// endless shows as many objects as are asked for, and more after them.
type endless struct {
	client.Reader
	largest, shown int64
}

func (e *endless) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	e.largest, e.shown = max(e.largest, o.Limit), e.shown+o.Limit
	for range o.Limit {
		switch list := list.(type) {
		case *corev1.PodList:
			list.Items = append(list.Items, corev1.Pod{})
		case *pipelinev1.TaskRunList:
			list.Items = append(list.Items, pipelinev1.TaskRun{})
		case *pipelinev1.PipelineRunList:
			list.Items = append(list.Items, pipelinev1.PipelineRun{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(e.shown, len(list.Items))}})
		}
	}
	list.SetContinue("more")
	return nil
}

// Whoever edits a namespace makes Pods, TaskRuns and PipelineRuns there with the labels of a run,
// as many and as large as the API server takes them.
func TestWhatARunHasIsReadInPagesAndNotWithoutEnd(t *testing.T) {
	for name, read := range map[string]func(client.Reader) error{
		"Pods": func(r client.Reader) error {
			if pods, err := ListPods(t.Context(), r, "team-a", "a-1"); err == nil || pods != nil {
				t.Errorf("%d Pods and error %v; want an error, as not all are known", len(pods), err)
			}
			return nil
		},
		"TaskRuns": func(r client.Reader) error {
			_, err := ListTaskFailures(t.Context(), r, "team-a", "a-1")
			return err
		},
		"PipelineRuns": func(r client.Reader) error {
			runs, err := ListRuns(t.Context(), r, "team-a", "a-1")
			if len(runs) != 2 {
				t.Errorf("%d PipelineRuns, want two: one of them has another name", len(runs))
			}
			return err
		},
	} {
		var e endless
		if err := read(&e); err != nil || e.largest == 0 || e.largest > podsPage || e.shown > 2*maxPods {
			t.Errorf("%s: error %v, %d at once and %d in all; want at most %d and %d", name, err, e.largest, e.shown, podsPage, 2*maxPods)
		}
	}
}
