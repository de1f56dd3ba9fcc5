package triggers_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

// The Task with Grype is the Task of the pipeline, but for the program of one step and
// the room that it needs: whatever is changed in one has to be changed in the other.
func TestGrypesTaskIsTheOtherTask(t *testing.T) {
	raw, err := os.ReadFile("../../docs/examples/grype/scan-image.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var theirs pipelinev1.Task
	if err := yaml.UnmarshalStrict(raw, &theirs); err != nil {
		t.Fatal(err)
	}
	testSteps(t, &theirs)
	m := load(t)
	ours := m.task(t, "scan-image").DeepCopy()
	replaced := 0
	for i := range ours.Spec.Steps {
		if s := &ours.Spec.Steps[i]; s.Name == "scan" && i < len(theirs.Spec.Steps) {
			replaced++
			s.Image, s.Command = "ko://github.com/revet-dev/revet/cmd/grype", []string{"/ko-app/grype"}
			s.ComputeResources = theirs.Spec.Steps[i].ComputeResources
		}
	}
	for i := range ours.Spec.Volumes {
		if v := &ours.Spec.Volumes[i]; v.Name == "work" {
			replaced++
			limit := resource.MustParse("12Gi")
			v.EmptyDir.SizeLimit = &limit
		}
	}
	for i := range ours.Spec.Params {
		if p := &ours.Spec.Params[i]; p.Name == "database" {
			replaced++
			p.Description = theirs.Spec.Params[i].Description
		}
	}
	if diff := cmp.Diff(ours, &theirs); diff != "" || replaced != 3 {
		t.Errorf("%d parts replaced; triggers/300-scan-image.yaml so and docs/examples/grype/scan-image.yaml (-want +got):\n%s", replaced, diff)
	}
}
