package coverage

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// rightsCure says how the user may ask what an account may see.
func rightsCure(err error, namespace string) string {
	if !apierrors.IsForbidden(err) {
		return "run the command again"
	}
	return fmt.Sprintf("have somebody grant you: kubectl create role access-reviewer -n %[1]s --verb=create "+
		"--resource=localsubjectaccessreviews.authorization.k8s.io && "+
		"kubectl create rolebinding access-reviewer -n %[1]s --role=access-reviewer --user=YOU", namespace)
}

// runsCure says how the user may read runs.
func runsCure(err error, namespace string) string {
	switch {
	case errors.Is(err, ErrNoRuns):
		return "install Tekton Pipelines"
	case apierrors.IsForbidden(err):
		return fmt.Sprintf("have somebody grant you: kubectl create role pipelinerun-reader -n %[1]s --verb=get,list "+
			"--resource=pipelineruns.tekton.dev && "+
			"kubectl create rolebinding pipelinerun-reader -n %[1]s --role=pipelinerun-reader --user=YOU", namespace)
	default:
		return "run the command again"
	}
}
