package triggers_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/workspace"
	corev1 "k8s.io/api/core/v1"

	"github.com/revet-dev/revet/triggers"
)

const publishTask, publishAccount, documentsWorkspace = "publish-documents", "scan-and-validate-publish", "documents"

// The form in which publishing is a Pod of its own differs in that alone: without what it adds, it
// is the other one.
func TestPublishingApartChangesNothingElse(t *testing.T) {
	want, got := load(t), loadApart(t)
	pipe := only(t, got.pipelines)
	pipe.Spec.Workspaces = nil
	pipe.Spec.Tasks = slices.DeleteFunc(pipe.Spec.Tasks, func(p pipelinev1.PipelineTask) bool { return p.Name == publishTask })
	for i := range pipe.Spec.Tasks {
		pipe.Spec.Tasks[i].Workspaces = nil
		pipe.Spec.Tasks[i].Params = slices.DeleteFunc(pipe.Spec.Tasks[i].Params, func(p pipelinev1.Param) bool { return p.Name == "published" })
	}
	scan := got.task(t, "scan-image")
	scan.Spec.Workspaces = nil
	for i := range scan.Spec.Steps {
		scan.Spec.Steps[i].Workspaces = nil
		scan.Spec.Steps[i].Args = slices.DeleteFunc(scan.Spec.Steps[i].Args, func(a string) bool { return strings.HasPrefix(a, "--documents=") })
	}
	run, err := renderOf(t, got, request(), nil)
	if err != nil {
		t.Fatal(err)
	}
	delete(run.Annotations, cleanUp)
	run.Spec.Workspaces, run.Spec.TaskRunSpecs = nil, nil
	plain, err := render(t, request(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plain, run); diff != "" {
		t.Errorf("the run (-want +got):\n%s", diff)
	}
	got.templates[0].Spec.ResourceTemplates, want.templates[0].Spec.ResourceTemplates = nil, nil
	if diff := cmp.Diff(want.all, got.all); diff != "" {
		t.Errorf("manifests (-want +got):\n%s", diff)
	}
}

// cleanUp has Tekton delete the volume of a run that has ended.
const cleanUp = "tekton.dev/auto-cleanup-pvc"

// Property: no Pod that parses an image has the account that pushes, and the Pod that has it runs
// one step, which parses none. All Pods are in the sandbox.
func TestNothingThatParsesHasTheAccountThatPushes(t *testing.T) {
	m := loadApart(t)
	run, err := renderOf(t, m, request(), nil)
	if err != nil {
		t.Fatal(err)
	}
	publishes := 0
	for _, task := range only(t, m.pipelines).Spec.Tasks {
		spec := run.GetTaskRunSpec(task.Name)
		if *spec.PodTemplate.RuntimeClassName != "kata" || *spec.PodTemplate.AutomountServiceAccountToken || !*spec.PodTemplate.SecurityContext.RunAsNonRoot {
			t.Errorf("the Pod of %s is made by %+v", task.Name, spec.PodTemplate)
		}
		if spec.ServiceAccountName != publishAccount {
			continue
		}
		publishes++
		steps := m.task(t, task.TaskRef.Name).Spec.Steps
		if task.Name != publishTask || len(steps) != 1 || steps[0].Image != "ko://github.com/revet-dev/revet/cmd/step" || steps[0].Args[0] != publishTask {
			t.Errorf("%s has the account that pushes, and runs %+v", task.Name, steps)
		}
	}
	if publishes != 1 {
		t.Errorf("%d Tasks have the account that pushes", publishes)
	}
	for _, a := range m.accounts {
		if a.Name == publishAccount && (a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken) {
			t.Errorf("account %s has a token", a.Name)
		}
	}
}

// Of the steps that see the image none but publish sees the volume, and publish-documents cannot
// write to it. Tekton's own code says what it mounts.
func TestTheVolumeIsSeenByTwoSteps(t *testing.T) {
	m := loadApart(t)
	volume := corev1.Volume{Name: "ws", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "x"}}}
	got := map[string]bool{} // by step, whether it can write
	for _, task := range m.tasks {
		if len(task.Spec.Workspaces) == 0 {
			continue
		}
		spec, err := workspace.Apply(t.Context(), task.Spec, []pipelinev1.WorkspaceBinding{{Name: documentsWorkspace}}, map[string]corev1.Volume{documentsWorkspace: volume})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range spec.Steps {
			for _, mount := range slices.Concat(spec.StepTemplate.VolumeMounts, s.VolumeMounts) {
				if mount.Name == volume.Name {
					got[task.Name+"/"+s.Name] = !mount.ReadOnly
				}
			}
		}
	}
	if diff := cmp.Diff(map[string]bool{"scan-image/publish": true, "publish-documents/publish-documents": false}, got); diff != "" {
		t.Errorf("who sees the volume, and writes to it (-want +got):\n%s", diff)
	}
}

// Each run has a volume of its own, which goes when the run has ended, and what is published reaches
// the verdict.
func TestTheVolumeOfARun(t *testing.T) {
	m := loadApart(t)
	run, err := renderOf(t, m, request(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Spec.Workspaces) != 1 || run.Spec.Workspaces[0].Name != documentsWorkspace || run.Spec.Workspaces[0].VolumeClaimTemplate == nil {
		t.Fatalf("the run's workspaces are %+v", run.Spec.Workspaces)
	}
	claim := run.Spec.Workspaces[0].VolumeClaimTemplate.Spec
	if size := claim.Resources.Requests[corev1.ResourceStorage]; size.String() != "1Gi" || claim.StorageClassName != nil ||
		!slices.Equal(claim.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}) {
		t.Errorf("the claim is %+v", claim)
	}
	if run.Annotations[cleanUp] != "true" {
		t.Errorf("the run's annotations are %v", run.Annotations)
	}
	byTask := map[string]map[string]string{}
	for _, task := range only(t, m.pipelines).Spec.Tasks {
		byTask[task.Name] = map[string]string{}
		for _, p := range task.Params {
			byTask[task.Name][p.Name] = p.Value.StringVal
		}
	}
	if got := byTask[publishTask]["outcome"]; got != "$(tasks.scan-image.results.outcome)" {
		t.Errorf("%s has the outcome %q", publishTask, got)
	}
	if got := byTask["join-verdict"]["published"]; got != "$(tasks.publish-documents.results.published)" {
		t.Errorf("join-verdict has %q", got)
	}
}

// The mark #group gives the Pods a group, and is in the template only.
func TestGroup(t *testing.T) {
	run, err := renderOf(t, loadAs(t, func(raw []byte) []byte { raw, _ = triggers.Group(raw); return raw }), request(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if group := run.Spec.TaskRunTemplate.PodTemplate.SecurityContext.FSGroup; group == nil || *group != 65532 {
		t.Errorf("the group is %v", group)
	}
}
