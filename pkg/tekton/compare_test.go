package tekton

import (
	"testing"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

const comparedDigest = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"

// compared is a trigger, its entry, the run that was asked for, and what the listener made of it.
func compared(t *testing.T, l listener) (*Checker, *v1alpha1.ImageTrigger, *v1alpha1.ImageVerification, *v1alpha1.RunStatus, *pipelinev1.PipelineRun) {
	t.Helper()
	asked := trigger("kata")
	e := &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app", UID: "entry"},
		Spec: v1alpha1.ImageVerificationSpec{
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: "r.example.com/app", Pull: "r.example.com/app"},
			Digest:     comparedDigest, FirstPush: v1alpha1.PushRecord{Tag: "1", Source: v1alpha1.SourceEvent},
		},
	}
	run := &v1alpha1.RunStatus{
		Name: "app-1", Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: "1@x"}, Sandbox: v1alpha1.SandboxStatus{Requested: "kata"},
	}
	c := NewChecker(newTestClient(t, l.build(t)...), testPolicy, "revet-system")
	request, err := NewRequest(asked, e, run)
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := c.PipelineRun(t.Context(), asked, request)
	if err != nil {
		if !l.interceptors {
			t.Fatal(err)
		}
		return c, asked, e, run, &pipelinev1.PipelineRun{}
	}
	var made pipelinev1.PipelineRun
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(rendered.Object, &made); err != nil {
		t.Fatal(err)
	}
	made.SetDefaults(t.Context()) // as Tekton's webhook does
	return c, asked, e, run, &made
}

// A PipelineRun that the listener did not make is told by the field that differs; what Tekton fills
// in, or somebody who stops a run, makes no difference.
func TestDiffers(t *testing.T) {
	inline := &pipelinev1.PipelineSpec{Results: []pipelinev1.PipelineResult{{Name: "verdict", Value: *pipelinev1.NewStructuredValues("pass")}}}
	for _, test := range []struct {
		name   string
		change func(*pipelinev1.PipelineRunSpec)
		want   string
	}{
		{"as it was made", func(*pipelinev1.PipelineRunSpec) {}, ""},
		{"stopped", func(s *pipelinev1.PipelineRunSpec) { s.Status = pipelinev1.PipelineRunSpecStatusCancelled }, ""},
		{"held back", func(s *pipelinev1.PipelineRunSpec) { s.Status = pipelinev1.PipelineRunSpecStatusPending }, "spec.status"},
		{"the operator's default of Pods", func(s *pipelinev1.PipelineRunSpec) {
			s.TaskRunTemplate.PodTemplate.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "x"}}
		}, ""},
		{"a pipeline of its own", func(s *pipelinev1.PipelineRunSpec) { s.PipelineRef, s.PipelineSpec = nil, inline }, "spec.pipelineRef.name"},
		{"a pipeline of its own beside the template's", func(s *pipelinev1.PipelineRunSpec) { s.PipelineSpec = inline }, "spec.pipelineSpec.results"},
		{"another pipeline", func(s *pipelinev1.PipelineRunSpec) { s.PipelineRef.Name = "other" }, "spec.pipelineRef.name"},
		{"a pipeline from elsewhere", func(s *pipelinev1.PipelineRunSpec) { s.PipelineRef.Resolver = "git" }, "spec.pipelineRef.resolver"},
		{"another image", func(s *pipelinev1.PipelineRunSpec) {
			s.Params[0].Value = *pipelinev1.NewStructuredValues("r.example.com/good@" + comparedDigest)
		}, "spec.params[0].value"},
		{"one parameter more", func(s *pipelinev1.PipelineRunSpec) {
			s.Params = append(s.Params, pipelinev1.Param{Name: "policy", Value: *pipelinev1.NewStructuredValues("none")})
		}, "spec.params"},
		{"a Task's account", func(s *pipelinev1.PipelineRunSpec) {
			s.TaskRunSpecs = []pipelinev1.PipelineTaskRunSpec{{PipelineTaskName: "scan", ServiceAccountName: "x"}}
		}, "spec.taskRunSpecs"},
		{"a workspace", func(s *pipelinev1.PipelineRunSpec) { s.Workspaces = []pipelinev1.WorkspaceBinding{{Name: "x"}} }, "spec.workspaces"},
		{"an environment", func(s *pipelinev1.PipelineRunSpec) {
			s.TaskRunTemplate.PodTemplate.Env = []corev1.EnvVar{{Name: "X", Value: "y"}}
		}, "spec.taskRunTemplate.podTemplate.env"},
		{"other names of hosts", func(s *pipelinev1.PipelineRunSpec) {
			s.TaskRunTemplate.PodTemplate.HostAliases = []corev1.HostAlias{{IP: "10.0.0.1", Hostnames: []string{"r.example.com"}}}
		}, "spec.taskRunTemplate.podTemplate.hostAliases"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, asked, e, run, made := compared(t, listener{})
			test.change(&made.Spec)
			got, err := c.Differs(t.Context(), asked, e, run, made)
			if err != nil || got != test.want {
				t.Errorf("it differs at %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

// What changes between two requests for one run is not compared.
func TestDiffersIgnoresWhatChangesMeanwhile(t *testing.T) {
	typed := listener{
		edit:   []string{"params: [{", "params: [{name: type, value: '$(tt.params.type)'}, {"},
		params: []string{"type=$(body.image.mediaType)"},
	}
	c, asked, e, run, made := compared(t, typed)
	e.Status.Image = &v1alpha1.ImageFacts{MediaType: "application/vnd.oci.image.index.v1+json"}
	if got, err := c.Differs(t.Context(), asked, e, run, made); got != "" || err != nil {
		t.Errorf("with more known of the image it differs at %q, %v", got, err)
	}
	asked.Spec.Sandbox.NodeSelector = map[string]v1alpha1.LabelValue{"pool": "kata"}
	if got, err := c.Differs(t.Context(), asked, e, run, made); got != "" || err != nil {
		t.Errorf("with another sandbox it differs at %q, %v", got, err)
	}
}

// Where it cannot be known what the listener makes, nothing is said to differ.
func TestDiffersSaysNothingItDoesNotKnow(t *testing.T) {
	for name, l := range map[string]listener{
		"interceptors": {interceptors: true},
		"no listener":  {change: func(el *triggersv1beta1.EventListener) { el.Name = "other" }},
	} {
		t.Run(name, func(t *testing.T) {
			_, asked, e, run, _ := compared(t, listener{})
			c := NewChecker(newTestClient(t, l.build(t)...), testPolicy, "revet-system")
			if got, err := c.Differs(t.Context(), asked, e, run, &pipelinev1.PipelineRun{}); got != "" || err != nil {
				t.Errorf("it differs at %q, %v", got, err)
			}
		})
	}
}

// The volume of a run, and the account of a Task, are compared with what the template says.
func TestDiffersInVolumesAndAccounts(t *testing.T) {
	apart := listener{edit: []string{"taskRunTemplate: {", `workspaces: [{name: documents, volumeClaimTemplate: {spec: {
    accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}}}],
    taskRunSpecs: [{pipelineTaskName: publish-documents, serviceAccountName: publisher}],
    taskRunTemplate: {`}}
	for _, test := range []struct {
		name   string
		change func(*pipelinev1.PipelineRunSpec)
		want   string
	}{
		{"as it was made", func(*pipelinev1.PipelineRunSpec) {}, ""},
		{"another account", func(s *pipelinev1.PipelineRunSpec) { s.TaskRunSpecs[0].ServiceAccountName = "x" }, "spec.taskRunSpecs[0].serviceAccountName"},
		{"the account for another Task", func(s *pipelinev1.PipelineRunSpec) { s.TaskRunSpecs[0].PipelineTaskName = "scan" }, "spec.taskRunSpecs[0].pipelineTaskName"},
		{"no account", func(s *pipelinev1.PipelineRunSpec) { s.TaskRunSpecs = nil }, "spec.taskRunSpecs"},
		{"another class of Pods for a Task", func(s *pipelinev1.PipelineRunSpec) {
			s.TaskRunSpecs[0].PodTemplate = s.TaskRunTemplate.PodTemplate
		}, "spec.taskRunSpecs[0].podTemplate.runtimeClassName"},
		{"a volume that is there", func(s *pipelinev1.PipelineRunSpec) {
			s.Workspaces[0] = pipelinev1.WorkspaceBinding{Name: "documents", PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "x"}}
		}, "spec.workspaces[0].persistentVolumeClaim.claimName"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, asked, e, run, made := compared(t, apart)
			test.change(&made.Spec)
			got, err := c.Differs(t.Context(), asked, e, run, made)
			if err != nil || got != test.want {
				t.Errorf("it differs at %q, %v; want %q", got, err, test.want)
			}
		})
	}
}
