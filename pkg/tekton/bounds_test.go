package tekton

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
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
			got, err := NewChecker(newTestClient(t, objects...), testPolicy).Check(t.Context(), trigger("kata"))
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
