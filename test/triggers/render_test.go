package triggers_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	triggersv1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"github.com/tektoncd/triggers/pkg/template"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const (
	run       = "app-9c56cc51b374c3ba189210d5b6d4bf57"
	entry     = "0f4e3a52-3c1f-4a1c-9d6e-2f0d6c1f7b11"
	digest    = "sha256:9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab"
	reference = "image-registry.openshift-image-registry.svc:5000/demo/app@" + digest
)

type object = map[string]any

// request is what Revet sends, as far as a run depends on it.
func request() object {
	return object{
		"run": run, "entryUID": entry, "cause": object{"type": "Push"},
		"image": object{
			"reference": reference, "repository": "demo/app", "digest": digest, "tags": []any{"v1"},
			"labels": object{"tier": "prod"}, "platforms": []any{"linux/amd64"},
		},
		"sandbox": object{"runtimeClassName": "kata", "podField": "runtimeClassName", "podValue": "kata", "tolerations": []any{}},
	}
}

func decodeRun(t *testing.T, raw []byte) pipelinev1.PipelineRun {
	t.Helper()
	var r pipelinev1.PipelineRun
	if err := yaml.UnmarshalStrict(raw, &r); err != nil {
		t.Fatalf("the rendered run is broken: %v\n%s", err, raw)
	}
	return r
}

// render does what the EventListener does with a request, with its own code.
func render(t *testing.T, body object, header http.Header) (pipelinev1.PipelineRun, error) {
	t.Helper()
	return renderOf(t, load(t), body, header)
}

func renderOf(t *testing.T, m manifests, body object, header http.Header) (pipelinev1.PipelineRun, error) {
	t.Helper()
	from := only(t, m.listeners).Spec.Triggers[0]
	resolved, err := template.ResolveTrigger(
		triggersv1.Trigger{Spec: triggersv1.TriggerSpec{Bindings: from.Bindings, Template: *from.Template}},
		func(string) (*triggersv1.TriggerBinding, error) { return only(t, m.bindings), nil },
		nil,
		func(string) (*triggersv1.TriggerTemplate, error) { return only(t, m.templates), nil },
	)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	params, err := template.ResolveParams(resolved, raw, header, nil, template.NewTriggerContext("event"))
	if err != nil {
		return pipelinev1.PipelineRun{}, err
	}
	made := template.ResolveResources(resolved.TriggerTemplate, params)
	if len(made) != 1 {
		t.Fatalf("the template makes %d objects; a second would be skipped when the run is there already", len(made))
	}
	return decodeRun(t, made[0]), nil
}

// The run carries what Revet finds it again by.
func TestRenderedRun(t *testing.T) {
	got, err := render(t, request(), nil)
	if err != nil {
		t.Fatal(err)
	}
	type facts struct {
		Name, Namespace, GenerateName string
		Labels, Annotations           map[string]string
		Reference, Class, Account     string
		Automount                     bool
	}
	want := facts{
		Name:        run,
		Labels:      map[string]string{"revet.dev/run": run},
		Annotations: map[string]string{"revet.dev/entry-uid": entry, "revet.dev/digest": digest},
		Reference:   reference, Class: "kata", Account: "scan-and-validate",
	}
	pod := got.Spec.TaskRunTemplate.PodTemplate
	if diff := cmp.Diff(want, facts{
		Name: got.Name, Namespace: got.Namespace, GenerateName: got.GenerateName, Labels: got.Labels, Annotations: got.Annotations,
		Reference: got.Spec.Params[0].Value.StringVal, Class: *pod.RuntimeClassName,
		Account: got.Spec.TaskRunTemplate.ServiceAccountName, Automount: *pod.AutomountServiceAccountToken,
	}); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
}

// An ImageTrigger without a class gets the template's, not an empty one, which
// no Pod can have: the request leaves the field out.
func TestRenderedRunWithoutAClass(t *testing.T) {
	body := request()
	body["sandbox"] = object{}
	got, err := render(t, body, nil)
	if err != nil {
		t.Fatal(err)
	}
	if class := *got.Spec.TaskRunTemplate.PodTemplate.RuntimeClassName; class != "kata" {
		t.Errorf("the class is %q", class)
	}
}

// A run that goes around the class gets none, and no other field that it would
// not have had; what the trigger says of nodes and time arrives.
func TestRenderedRunAroundTheClass(t *testing.T) {
	body := request()
	body["sandbox"] = object{
		"podField": "schedulerName", "podValue": "default-scheduler", "nodeLabel": "example.com/pool", "nodeLabelValue": "scans",
		"tolerations": []any{object{"key": "scans", "operator": "Equal", "value": "only", "effect": "NoExecute"}}, "runTimeout": "10m0s",
	}
	got, err := render(t, body, nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := got.Spec.TaskRunTemplate.PodTemplate
	if pod.RuntimeClassName != nil || pod.SchedulerName != "default-scheduler" {
		t.Errorf("the class is %v, the scheduler %q", pod.RuntimeClassName, pod.SchedulerName)
	}
	if diff := cmp.Diff(map[string]string{"example.com/pool": "scans"}, pod.NodeSelector); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	want := []corev1.Toleration{{Key: "scans", Operator: corev1.TolerationOpEqual, Value: "only", Effect: corev1.TaintEffectNoExecute}}
	if diff := cmp.Diff(want, pod.Tolerations); diff != "" {
		t.Errorf("tolerations (-want +got):\n%s", diff)
	}
	if limit := got.Spec.Timeouts.Pipeline.Duration; limit != 10*time.Minute {
		t.Errorf("the time limit is %s", limit)
	}
}

// hostile are values that would break out of quotes, of JSON, of a variable, of
// a line or of a shell, if anything let them.
var hostile = []string{
	`"`, `\"`, `","spec":{"serviceAccountName":"admin"},"x":"`, `'; rm -rf / #`, "$(tasks.scan-and-validate.results.verdict)",
	"$(params.reference)", "$(tt.params.run)", "$(uid)", "$(body.run)", "$$(context.pipelineRun.name)", "`id`", "$(id)", "a\nb: c", "\x00", "\u2028", "{{ .x }}",
}

// Nothing that the owner of an image chooses, a tag or a label, changes the
// run in any way.
func TestHostileTagsDoNotReachTheRun(t *testing.T) {
	want, err := render(t, request(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range hostile {
		body := request()
		body["cause"] = object{"type": "Push", "key": value}
		body["source"] = value
		body["previous"] = object{"digest": value, "verdict": value}
		image := body["image"].(object)
		image["tags"], image["labels"] = []any{value}, object{value: value}
		image["repository"], image["base"], image["mediaType"] = value, value, value
		image["platforms"] = []any{value}
		got, err := render(t, body, http.Header{"Ce-Imagetag": {value}, "Ce-Subject": {value}})
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q changes the run (-want +got):\n%s", value, diff)
		}
	}
}

// Even in the fields that Revet itself fills, a value stays where it was put
// and is read as text: the run has the same form, and Tekton evaluates nothing.
func TestHostileValuesStayInTheirPlace(t *testing.T) {
	for _, value := range hostile {
		if strings.Contains(value, "$(tt.params.") || value == "$(uid)" {
			continue // see TestTriggersSubstitutesTwice
		}
		body := request()
		body["run"], body["entryUID"] = value, value
		image := body["image"].(object)
		image["reference"], image["digest"] = value, value
		got, err := render(t, body, nil)
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		// Tekton reads $$( as the text $(.
		text := strings.ReplaceAll(value, "$(", "$$(")
		want, err := render(t, request(), nil)
		if err != nil {
			t.Fatal(err)
		}
		want.Name = text
		want.Labels = map[string]string{"revet.dev/run": text}
		want.Annotations = map[string]string{"revet.dev/entry-uid": text, "revet.dev/digest": text}
		want.Spec.Params[0].Value.StringVal = text
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", value, diff)
		}
	}
}

// Triggers replaces one parameter after another, in no order, so that a value
// can name another parameter and get its value in. That is why the binding
// takes only what Revet made or parsed itself, which this test holds.
func TestTriggersSubstitutesTwice(t *testing.T) {
	var paths []string
	for _, p := range only(t, load(t).bindings).Spec.Params {
		paths = append(paths, p.Value)
	}
	same(t, "what the binding takes", []string{
		"$(body.run)", "$(body.entryUID)", "$(body.image.reference)", "$(body.image.digest)", "$(body.sandbox.podField)", "$(body.sandbox.podValue)",
		"$(body.sandbox.nodeLabel)", "$(body.sandbox.nodeLabelValue)", "$(body.sandbox.tolerations[0].key)", "$(body.sandbox.tolerations[0].operator)",
		"$(body.sandbox.tolerations[0].value)", "$(body.sandbox.tolerations[0].effect)", "$(body.sandbox.runTimeout)",
	}, paths)
}

// A request that lacks something makes no run, rather than one under a name or
// of an image that nobody asked for.
func TestIncompleteRequestsMakeNoRun(t *testing.T) {
	for _, field := range []string{"run", "entryUID", "image"} {
		body := request()
		delete(body, field)
		if got, err := render(t, body, nil); err == nil {
			t.Errorf("without %s there is the run %+v", field, got)
		}
	}
}
