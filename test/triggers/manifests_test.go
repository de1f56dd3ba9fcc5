package triggers_test

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"knative.dev/pkg/apis"

	"github.com/revet-dev/revet/pkg/pipeline/verdict"
)

// Tekton's own admission accepts the manifests, defaulted as it defaults them.
func TestManifestsPassTektonsValidation(t *testing.T) {
	m := load(t)
	type object interface {
		apis.Defaultable
		apis.Validatable
	}
	for name, o := range map[string]object{
		"Task":            only(t, m.tasks),
		"Pipeline":        only(t, m.pipelines),
		"EventListener":   only(t, m.listeners),
		"TriggerBinding":  only(t, m.bindings),
		"TriggerTemplate": only(t, m.templates),
	} {
		ctx := apis.WithinCreate(context.Background())
		o.SetDefaults(ctx)
		if err := o.Validate(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The manifests go into the namespace that the user names.
func TestManifestsNameNoNamespace(t *testing.T) {
	m := load(t)
	for _, o := range m.all {
		if o.GetNamespace() != "" {
			t.Errorf("%s names the namespace %q", o.GetName(), o.GetNamespace())
		}
	}
	for _, b := range m.roleBindings {
		for _, s := range b.Subjects {
			if s.Namespace != "" {
				t.Errorf("RoleBinding %s names the namespace %q", b.Name, s.Namespace)
			}
		}
	}
}

// What one object names in another is there, under that name.
func TestManifestsFitEachOther(t *testing.T) {
	m := load(t)
	task, pipe := only(t, m.tasks), only(t, m.pipelines)
	listener, binding, template := only(t, m.listeners), only(t, m.bindings), only(t, m.templates)
	run := runOf(t, template)

	trigger := listener.Spec.Triggers[0]
	step := pipe.Spec.Tasks[0]
	for _, pair := range []struct{ what, names, is string }{
		{"the listener's binding", trigger.Bindings[0].Ref, binding.Name},
		{"the listener's template", *trigger.Template.Ref, template.Name},
		{"the run's pipeline", run.Spec.PipelineRef.Name, pipe.Name},
		{"the pipeline's task", step.TaskRef.Name, task.Name},
		{"the listener's account", listener.Spec.ServiceAccountName, m.accounts[0].Name},
		{"the run's account", run.Spec.TaskRunTemplate.ServiceAccountName, m.accounts[1].Name},
		{"the rules", rulesVolume(t, task).ConfigMap.Name, only(t, m.configMaps).Name},
	} {
		if pair.names != pair.is {
			t.Errorf("%s is named %q and is %q", pair.what, pair.names, pair.is)
		}
	}

	var bound, wanted []string
	for _, p := range binding.Spec.Params {
		bound = append(bound, p.Name)
	}
	for _, p := range template.Spec.Params {
		wanted = append(wanted, p.Name)
	}
	same(t, "parameters of binding and template", wanted, bound)
	same(t, "parameters of template and those it uses", wanted, used(`\$\(tt\.params\.([^)]+)\)`, string(template.Spec.ResourceTemplates[0].Raw)))
	same(t, "parameters of run and pipeline", specs(pipe.Spec.Params), given(run.Spec.Params))
	same(t, "parameters of pipeline task and task", specs(task.Spec.Params), given(step.Params))
	var args []string
	for _, s := range task.Spec.Steps {
		args = append(args, s.Args...)
	}
	same(t, "parameters of task and those it uses", specs(task.Spec.Params), used(`\$\(params\.([^)]+)\)`, strings.Join(args, " ")))
}

// The results are those that the steps write and that Revet reads.
func TestResults(t *testing.T) {
	m := load(t)
	task, pipe := only(t, m.tasks), only(t, m.pipelines)
	read := []string{verdict.ResultVerdict, verdict.ResultDigest, verdict.ResultSummary, verdict.ResultReport}
	var ofTask, ofPipeline []string
	for _, r := range task.Spec.Results {
		// Tekton would take a summary of another type for an object.
		if r.Type != pipelinev1.ResultsTypeString {
			t.Errorf("task result %s has the type %q", r.Name, r.Type)
		}
		ofTask = append(ofTask, r.Name)
	}
	for _, r := range pipe.Spec.Results {
		ofPipeline = append(ofPipeline, r.Name)
		if want := "$(tasks." + pipe.Spec.Tasks[0].Name + ".results." + r.Name + ")"; r.Value.StringVal != want {
			t.Errorf("pipeline result %s is %s, want %s", r.Name, r.Value.StringVal, want)
		}
	}
	same(t, "results of the pipeline", read, ofPipeline)
	same(t, "results of the task", append(read, verdict.ResultError), ofTask)
	if pipeline.DefaultResultPath != verdict.DefaultResults {
		t.Errorf("Tekton's results are in %q, the steps write to %q", pipeline.DefaultResultPath, verdict.DefaultResults)
	}
}

// No value reaches a shell, and each step is our image, confined.
func TestSteps(t *testing.T) {
	task := only(t, load(t).tasks)
	template := task.Spec.StepTemplate.SecurityContext
	if template == nil || !*template.RunAsNonRoot || !*template.ReadOnlyRootFilesystem || *template.AllowPrivilegeEscalation ||
		!slices.Equal(template.Capabilities.Drop, []corev1.Capability{"ALL"}) || template.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("the security context of the steps is %+v", template)
	}
	mounted := map[string]bool{}
	for _, v := range task.Spec.StepTemplate.VolumeMounts {
		mounted[v.Name] = true
	}
	for _, s := range task.Spec.Steps {
		if s.Script != "" {
			t.Errorf("step %s has a script", s.Name)
		}
		if s.SecurityContext != nil {
			t.Errorf("step %s overrides the security context", s.Name)
		}
		if s.Image != "ko://github.com/revet-dev/revet/cmd/step" || !slices.Equal(s.Command, []string{"/ko-app/" + path.Base(s.Image)}) {
			t.Errorf("step %s runs %v of %q", s.Name, s.Command, s.Image)
		}
		if s.Args[0] != s.Name {
			t.Errorf("step %s runs the command %q", s.Name, s.Args[0])
		}
		if s.ComputeResources.Limits.Memory().IsZero() || s.ComputeResources.Requests.Cpu().IsZero() {
			t.Errorf("step %s has no bounds", s.Name)
		}
		for _, v := range s.VolumeMounts {
			mounted[v.Name] = true
		}
	}
	for _, v := range task.Spec.Volumes {
		if !mounted[v.Name] {
			t.Errorf("volume %s is mounted nowhere", v.Name)
		}
		if v.EmptyDir != nil && v.EmptyDir.SizeLimit == nil {
			t.Errorf("volume %s has no limit", v.Name)
		}
	}
}

// The listener may read what it needs and create PipelineRuns; the pipeline's
// account may do nothing; nobody may read Secrets.
func TestRights(t *testing.T) {
	m := load(t)
	want := []rbacv1.PolicyRule{
		{APIGroups: []string{"triggers.tekton.dev"}, Verbs: []string{"get", "list", "watch"},
			Resources: []string{"eventlisteners", "triggers", "triggerbindings", "triggertemplates", "interceptors"}},
		{APIGroups: []string{"tekton.dev"}, Resources: []string{"pipelineruns"}, Verbs: []string{"create"}},
	}
	if diff := cmp.Diff(want, only(t, m.roles).Rules); diff != "" {
		t.Errorf("role (-want +got):\n%s", diff)
	}
	want = []rbacv1.PolicyRule{{APIGroups: []string{"triggers.tekton.dev"}, Verbs: []string{"get", "list", "watch"},
		Resources: []string{"clusterinterceptors", "clustertriggerbindings"}}}
	if diff := cmp.Diff(want, only(t, m.clusterRoles).Rules); diff != "" {
		t.Errorf("cluster role (-want +got):\n%s", diff)
	}
	account := m.accounts[1]
	if account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
		t.Errorf("the account %s mounts its token", account.Name)
	}
	for _, b := range m.roleBindings {
		for _, s := range b.Subjects {
			if s.Name == account.Name {
				t.Errorf("the account %s is bound to %s", account.Name, b.RoleRef.Name)
			}
		}
	}
}

func rulesVolume(t *testing.T, task *pipelinev1.Task) corev1.Volume {
	t.Helper()
	for _, v := range task.Spec.Volumes {
		if v.Name == "rules" && v.ConfigMap != nil {
			return v
		}
	}
	t.Fatal("the task has no volume of rules")
	return corev1.Volume{}
}

func specs(params []pipelinev1.ParamSpec) []string {
	var names []string
	for _, p := range params {
		names = append(names, p.Name)
	}
	return names
}

func given(params []pipelinev1.Param) []string {
	var names []string
	for _, p := range params {
		names = append(names, p.Name)
	}
	return names
}

func used(pattern, text string) []string {
	var names []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, match[1]) {
			names = append(names, match[1])
		}
	}
	return names
}

func same(t *testing.T, what string, want, got []string) {
	t.Helper()
	want, got = slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
