package tekton

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// podTemplate returns the template of a PipelineRun's Pods.
func podTemplate(o *unstructured.Unstructured) map[string]any {
	path := []string{"spec", "taskRunTemplate", "podTemplate"}
	if o.GetAPIVersion() == "tekton.dev/v1beta1" {
		path = []string{"spec", "podTemplate"}
	}
	pod, _, _ := unstructured.NestedMap(o.Object, path...)
	return pod
}

func tolerates(pod map[string]any, want RequestToleration) bool {
	all, _, _ := unstructured.NestedSlice(pod, "tolerations")
	for _, one := range all {
		t, ok := one.(map[string]any)
		text := func(field string) string { s, _ := t[field].(string); return s }
		if ok && want == (RequestToleration{text("key"), text("operator"), text("value"), text("effect")}) {
			return true
		}
	}
	return false
}

// class is the RuntimeClass at one place of a PipelineRun.
type class struct {
	field string
	class string
}

// classes lists the RuntimeClass of the run, always first, and those that single tasks
// set. A task's class takes precedence.
func classes(o *unstructured.Unstructured) []class {
	general := class{field: "spec.taskRunTemplate.podTemplate.runtimeClassName"}
	path, taskField := []string{"spec", "taskRunTemplate", "podTemplate", "runtimeClassName"}, "podTemplate"
	if o.GetAPIVersion() == "tekton.dev/v1beta1" {
		general.field = "spec.podTemplate.runtimeClassName"
		path, taskField = []string{"spec", "podTemplate", "runtimeClassName"}, "taskPodTemplate"
	}
	general.class, _, _ = unstructured.NestedString(o.Object, path...)
	all := []class{general}
	specs, _, _ := unstructured.NestedSlice(o.Object, "spec", "taskRunSpecs")
	for _, entry := range specs {
		task, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		if name, set, _ := unstructured.NestedString(task, taskField, "runtimeClassName"); set {
			all = append(all, class{field: "spec.taskRunSpecs[]." + taskField + ".runtimeClassName", class: name})
		}
	}
	return all
}

// runAccounts lists the service accounts that a PipelineRun's tasks run as: the run's,
// always first, and those that single tasks set. An empty name is Tekton's default.
func runAccounts(o *unstructured.Unstructured) []string {
	path, taskField := []string{"spec", "taskRunTemplate", "serviceAccountName"}, "serviceAccountName"
	if o.GetAPIVersion() == "tekton.dev/v1beta1" {
		path, taskField = []string{"spec", "serviceAccountName"}, "taskServiceAccountName"
	}
	general, _, _ := unstructured.NestedString(o.Object, path...)
	all := []string{general}
	specs, _, _ := unstructured.NestedSlice(o.Object, "spec", "taskRunSpecs")
	for _, entry := range specs {
		task, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		if name, _, _ := unstructured.NestedString(task, taskField); name != "" {
			all = append(all, name)
		}
	}
	return all
}
