package tekton

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	pipelinev1beta1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Differs returns where the spec of a PipelineRun is not what the trigger's listener makes of
// the request for a run, or "" if it is. An error is the API server's and transient.
//
// Not compared is what a listener makes of what changes between two requests for one run, such as
// the image's tags, and where and how long its Pods execute. Nothing is compared
// if it cannot be known what the listener makes: it has interceptors, or its template is broken now.
// Whoever can bring that about could have the listener make any run.
func (c *Checker) Differs(ctx context.Context, trigger *v1alpha1.ImageTrigger, entry *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, made *pipelinev1.PipelineRun) (string, error) {
	l, err := c.look(ctx, trigger)
	if err != nil || l.notCheckable != "" {
		return "", err
	}
	request, err := NewRequest(trigger, entry, run)
	if err != nil {
		return "", nil //nolint:nilerr // nothing can be requested, so that nothing is known
	}
	var wants [2][]probe
	for i, r := range []Request{request, varied(request)} {
		s, err := newSample(ctx, "the request", r)
		if err != nil {
			return "", nil //nolint:nilerr // as above
		}
		if wants[i], err = c.probe(ctx, l, []sample{s}); err != nil {
			return "", err
		}
	}
	got, err := specOf(made.Spec)
	if err != nil {
		return "", nil //nolint:nilerr // it came from JSON
	}
	first := ""
	for i := range wants[0] {
		a, b := wants[0][i], wants[1][i]
		if a.intercepted || !a.accepted() || !b.accepted() {
			return "", nil
		}
		one, okOne := renderedSpec(ctx, a.run)
		other, okOther := renderedSpec(ctx, b.run)
		if !okOne || !okOther {
			return "", nil
		}
		difference := differs("spec", one, other, got)
		if difference == "" {
			return "", nil
		}
		if first == "" {
			first = difference
		}
	}
	return first, nil
}

// varied returns a request for the same run and digest, with all else changed: what a listener
// makes of both of them alike depends on the run and its image only.
func varied(r Request) Request {
	const other = "varied"
	d := r.Data
	d.Cause, d.CauseKey, d.Source = other, other, other
	d.Image.Tags, d.Image.Platforms = []string{other}, []string{other}
	d.Image.Labels = map[string]string{other: other}
	for name := range r.Data.Image.Labels {
		d.Image.Labels[name] = other
	}
	d.Image.MediaType, d.Image.Created, d.Image.Size, d.Image.Base = other, "1970-01-01T00:00:00Z", d.Image.Size+1, other
	d.Previous = RequestPrevious{Digest: other, Verdict: other}
	r.Tag, r.Data = other, d
	return r
}

// renderedSpec returns the spec of a PipelineRun that a template makes, as Tekton stores it.
func renderedSpec(ctx context.Context, o *unstructured.Unstructured) (map[string]any, bool) {
	var run pipelinev1.PipelineRun
	switch o.GetAPIVersion() {
	case pipelinev1.SchemeGroupVersion.String():
		if runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &run) != nil {
			return nil, false
		}
	case pipelinev1beta1.SchemeGroupVersion.String():
		var old pipelinev1beta1.PipelineRun //nolint:staticcheck // templates of users still have it
		if runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &old) != nil || old.ConvertTo(ctx, &run) != nil {
			return nil, false
		}
	default:
		return nil, false
	}
	spec, err := specOf(run.Spec)
	return spec, err == nil
}

func specOf(spec pipelinev1.PipelineRunSpec) (map[string]any, error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(raw, &out)
}

// filledIn are the fields that Tekton gives to a run whose template leaves them out, and those of
// the Pod template that an operator's default may have without a change of what is executed.
var filledIn = []string{
	"spec.taskRunTemplate.serviceAccountName", "spec.taskRunTemplate.podTemplate.affinity",
	"spec.taskRunTemplate.podTemplate.automountServiceAccountToken", "spec.taskRunTemplate.podTemplate.enableServiceLinks",
	"spec.taskRunTemplate.podTemplate.imagePullSecrets", "spec.taskRunTemplate.podTemplate.priorityClassName",
	"spec.taskRunTemplate.podTemplate.securityContext", "spec.taskRunTemplate.podTemplate.topologySpreadConstraints",
	"spec.taskRunTemplate.podTemplate.volumes",
}

// whereAndHowLong are fields by the trigger's sandbox, which may have changed since the request. The
// class is judged by the Pods, and none of the others changes what is executed.
var whereAndHowLong = []string{
	"spec.timeouts", "spec.taskRunTemplate.podTemplate.nodeSelector", "spec.taskRunTemplate.podTemplate.runtimeClassName",
	"spec.taskRunTemplate.podTemplate.schedulerName", "spec.taskRunTemplate.podTemplate.tolerations",
}

// stopped are the values of spec.status by which somebody stops a run.
var stopped = []string{
	pipelinev1.PipelineRunSpecStatusCancelled, pipelinev1.PipelineRunSpecStatusCancelledRunFinally, pipelinev1.PipelineRunSpecStatusStoppedRunFinally,
}

// differs returns the first field in which got is neither what one nor what the other has. It does
// not look at fields in which these two differ.
func differs(field string, one, other, got any) string {
	if slices.Contains(whereAndHowLong, field) {
		return ""
	}
	if text, ok := got.(string); ok && field == "spec.status" && slices.Contains(stopped, text) {
		return ""
	}
	a, aMap := one.(map[string]any)
	b, bMap := other.(map[string]any)
	if (aMap || one == nil) && (bMap || other == nil) && (aMap || bMap || isMap(got)) {
		if got != nil && !isMap(got) {
			return field
		}
		return differsInMap(field, a, b, got)
	}
	listA, aList := one.([]any)
	listB, bList := other.([]any)
	if aList && bList && len(listA) == len(listB) {
		list, ok := got.([]any)
		if !ok || len(list) != len(listA) {
			return field
		}
		for i := range list {
			if d := differs(fmt.Sprintf("%s[%d]", field, i), listA[i], listB[i], list[i]); d != "" {
				return d
			}
		}
		return ""
	}
	if !equal(one, other) || equal(one, got) || (isEmpty(one) && isEmpty(got)) {
		return ""
	}
	if isEmpty(one) && slices.ContainsFunc(filledIn, func(f string) bool { return field == f || strings.HasPrefix(field, f+".") }) {
		return ""
	}
	return field
}

func differsInMap(field string, one, other map[string]any, got any) string {
	values, _ := got.(map[string]any)
	names := map[string]bool{}
	for _, m := range []map[string]any{one, other, values} {
		for name := range m {
			names[name] = true
		}
	}
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	for _, name := range sorted {
		a, inOne := one[name]
		b, inOther := other[name]
		if inOne != inOther {
			continue
		}
		if d := differs(field+"."+name, a, b, values[name]); d != "" {
			return d
		}
	}
	return ""
}

func isMap(v any) bool { _, ok := v.(map[string]any); return ok }

func equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// isEmpty reports whether a value is what a field has that is left out.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case float64:
		return v == 0
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, inner := range v {
			if !isEmpty(inner) {
				return false
			}
		}
		return true
	default:
		return false
	}
}
