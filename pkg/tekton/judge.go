package tekton

import (
	"encoding/json"
	"strings"
	"time"

	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// judge compares the objects that one sample makes with what they must be. It is pure.
func judge(p *probe, tt *triggersv1beta1.TriggerTemplate, made []unstructured.Unstructured, s *sample, namespace string) {
	run := -1
	for i := range made {
		switch {
		case !isTekton(&made[i]):
		case made[i].GetKind() == "PipelineRun":
			p.startsRun = true
			if run >= 0 {
				p.refuse(RunsMoreThanOnce, "makes two PipelineRuns of one request; leave one")
			}
			run = i
		case made[i].GetKind() == "TaskRun":
			p.startsRun = true
			p.refuse(TaskRunNotSupported, "makes a TaskRun; make a PipelineRun of it, even if its pipeline has only one task")
		default:
		}
	}
	if run < 0 {
		p.refuse(NoPipelineRun, "makes no PipelineRun; add one to the resourcetemplates of %s", templateName(tt))
		return
	}
	p.run = &made[run]
	if run != len(made)-1 {
		p.refuse(NotLastTemplate, "makes a %s after the PipelineRun; put the PipelineRun last, as a request that is sent again stops at it", made[run+1].GetKind())
	}
	judgeEarlier(p, tt, run)
	judgeIdentity(p, &made[run], s, namespace)
	judgeUse(p, &made[run], s)
}

func isTekton(o *unstructured.Unstructured) bool {
	return strings.HasPrefix(o.GetAPIVersion(), "tekton.dev/")
}

func templateName(tt *triggersv1beta1.TriggerTemplate) string {
	if tt.Name == "" {
		return "its template"
	}
	return "TriggerTemplate " + `"` + tt.Name + `"`
}

// judgeEarlier checks the resources before the PipelineRun. One with a constant name exists
// from the second request on, and the listener stops at an object that exists.
func judgeEarlier(p *probe, tt *triggersv1beta1.TriggerTemplate, run int) {
	for i := 0; i < run; i++ {
		var object struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		err := json.Unmarshal(tt.Spec.ResourceTemplates[i].Raw, &object)
		if err == nil && object.Metadata.Name != "" && !strings.Contains(object.Metadata.Name, "$(") {
			p.refuse(EarlierTemplateBlocks,
				"makes %s %q before the PipelineRun, which exists from the second request on and stops the listener; leave it out, or give it metadata.generateName",
				object.Kind, object.Metadata.Name)
		}
	}
}

// judgeIdentity checks what Revet recognises the run by.
func judgeIdentity(p *probe, o *unstructured.Unstructured, s *sample, namespace string) {
	switch {
	case o.GetName() == s.data.Run:
	case o.GetName() == "" && o.GetGenerateName() != "":
		p.refuse(GenerateName,
			"gives its PipelineRun metadata.generateName, so that a request sent twice starts two runs; instead write metadata: {name: $(tt.params.run)}, with the binding {name: run, value: $(body.run)}")
	default:
		p.refuse(NameNotRun,
			"names its PipelineRun %q instead of after the run; write metadata: {name: $(tt.params.run)}, with the binding {name: run, value: $(body.run)}", o.GetName())
	}
	if got := o.GetNamespace(); got != "" && got != namespace {
		p.refuse(OtherNamespace, "makes its PipelineRun in namespace %q, where it is not looked for; leave metadata.namespace out", got)
	}
	if o.GetLabels()[v1alpha1.RunLabel] != s.data.Run {
		p.refuse(LabelMissing, "does not label its PipelineRun with the run; add metadata: {labels: {%s: $(tt.params.run)}}, with the binding {name: run, value: $(body.run)}", v1alpha1.RunLabel)
	}
	for _, a := range []struct{ name, want, param, path string }{
		{v1alpha1.EntryUIDAnnotation, s.data.EntryUID, "entryUID", "body.entryUID"},
		{v1alpha1.DigestAnnotation, s.data.Image.Digest, "digest", "body.image.digest"},
	} {
		if o.GetAnnotations()[a.name] != a.want {
			p.refuse(AnnotationMissing, "does not annotate its PipelineRun with %s; add metadata: {annotations: {%s: $(tt.params.%s)}}, with the binding {name: %s, value: $(%s)}",
				a.name, a.name, a.param, a.param, a.path)
		}
	}
}

// judgeUse checks what the run gets, and where its Pods execute.
func judgeUse(p *probe, o *unstructured.Unstructured, s *sample) {
	spec, err := json.Marshal(o.Object["spec"])
	if err != nil || !strings.Contains(string(spec), s.data.Image.Digest) {
		p.refuse(ImageUnused, "gives its PipelineRun neither the image's reference nor its digest; add spec: {params: [{name: reference, value: $(tt.params.reference)}]}, with the binding {name: reference, value: $(body.image.reference)}")
	}
	judgeSandbox(p, o, s)
}

// classCure is how a template takes the class from the request.
const classCure = "write spec: {taskRunTemplate: {podTemplate: {$(tt.params.podField): $(tt.params.podValue)}}}, with the bindings {name: podField, value: $(body.sandbox.podField)} and {name: podValue, value: $(body.sandbox.podValue)}"

// judgeSandbox checks where the run's Pods execute. What the trigger does not ask for is
// the template's choice.
func judgeSandbox(p *probe, o *unstructured.Unstructured, s *sample) {
	want := s.data.Sandbox
	for _, c := range classes(o) {
		switch {
		case want.PodField == "" || c.class == want.RuntimeClassName:
		case want.RuntimeClassName == "":
			p.refuse(SandboxNotInTemplate,
				"gives the Pods of its PipelineRun the RuntimeClass %q at %s also where the trigger's weight, exclude or fallback asks for none; %s", c.class, c.field, classCure)
		default:
			p.refuse(SandboxNotInTemplate,
				"gives the Pods of its PipelineRun the RuntimeClass %q at %s, but the trigger asks for %q; write spec: {taskRunTemplate: {podTemplate: {runtimeClassName: $(tt.params.runtimeClassName)}}}, with the binding {name: runtimeClassName, value: $(body.sandbox.runtimeClassName)}",
				c.class, c.field, want.RuntimeClassName)
		}
	}
	pod := podTemplate(o)
	if label := want.NodeLabel; label != "" {
		if got, _, _ := unstructured.NestedString(pod, "nodeSelector", label); got != want.NodeLabelValue {
			p.refuse(NodesNotInTemplate, "does not give the Pods of its PipelineRun the trigger's nodeSelector; "+
				"write spec: {taskRunTemplate: {podTemplate: {nodeSelector: {$(tt.params.nodeLabel): $(tt.params.nodeLabelValue)}}}}, with bindings of $(body.sandbox.nodeLabel) and $(body.sandbox.nodeLabelValue)")
		}
	}
	for _, t := range want.Tolerations {
		if !tolerates(pod, t) {
			p.refuse(NodesNotInTemplate, "does not give the Pods of its PipelineRun the trigger's toleration; "+
				"write it to spec.taskRunTemplate.podTemplate.tolerations, with bindings of $(body.sandbox.tolerations[0].key), operator, value and effect")
		}
	}
	if limit := want.RunTimeout; limit != "" {
		got, _, _ := unstructured.NestedString(o.Object, "spec", "timeouts", "pipeline")
		if d, err := time.ParseDuration(got); err != nil || d.String() != limit {
			p.refuse(TimeoutNotInTemplate, "gives its PipelineRun the time limit %q, but the trigger's runTimeout is %s; write spec: {timeouts: {pipeline: $(tt.params.runTimeout)}}, with the binding {name: runTimeout, value: $(body.sandbox.runTimeout)}", got, limit)
		}
	}
}
