package doctor

import (
	"cmp"
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// sandbox checks that Pods really had the requested RuntimeClass, and can have it.
func (d *doctor) sandbox(ctx context.Context, t *v1alpha1.ImageTrigger, entries []v1alpha1.ImageVerification) []Finding {
	const check = "sandbox"
	class := t.Spec.Sandbox.RuntimeClassName
	if class == "" {
		return []Finding{warn(check, "set spec.sandbox.runtimeClassName, for example to kata", "runs are not sandboxed: spec.sandbox names no RuntimeClass")}
	}
	findings, served := d.runtimeClass(ctx, class)
	for i := range entries {
		if runs := entries[i].Status.Runs; len(runs) > 0 && lifecycle.Reason(runs[len(runs)-1].Reason) == lifecycle.SandboxUnavailable {
			run := runs[len(runs)-1]
			return append(findings, problem(check, command.Cure(run.Reason), "run %s: %s", run.Name, run.Message))
		}
	}
	for i := range entries {
		for j := len(entries[i].Status.Runs) - 1; j >= 0; j-- {
			run := &entries[i].Status.Runs[j]
			if run.Sandbox.Requested != class || len(run.Sandbox.Observed) == 0 {
				continue
			}
			if slices.ContainsFunc(run.Sandbox.Observed, func(c string) bool { return c != class }) {
				return append(findings, problem(check, command.Cure(string(lifecycle.NotSandboxed)),
					"run %s asked for %s, and its Pods had %s", run.Name, served, command.ClassNames(run.Sandbox.Observed)))
			}
			return append(findings, ok(check, "the Pods of run %s had %s on node %s", run.Name, served, cmp.Or(run.Sandbox.Node, "unknown")))
		}
	}
	return append(findings, warn(check, "push an image, or ask for a run with kubectl revet replay", "no run has shown yet that Pods get %s", served))
}

// runtimeClass reads a RuntimeClass, and returns its name with what serves it.
func (d *doctor) runtimeClass(ctx context.Context, class string) ([]Finding, string) {
	var rc nodev1.RuntimeClass
	err := d.Get(ctx, client.ObjectKey{Name: class}, &rc)
	switch {
	case err == nil:
		return d.nodes(ctx, &rc), command.ClassName(class, map[string]string{class: rc.Handler})
	case apierrors.IsNotFound(err):
		return nil, class // the condition SandboxAvailable says so
	default:
		return []Finding{notRead("RuntimeClass", `RuntimeClass "`+class+`"`, err)}, class
	}
}

// nodes checks that a RuntimeClass that selects nodes has a node to run on.
func (d *doctor) nodes(ctx context.Context, rc *nodev1.RuntimeClass) []Finding {
	const check = "nodes"
	if rc.Scheduling == nil || len(rc.Scheduling.NodeSelector) == 0 {
		return nil
	}
	wanted := labels.FormatLabels(rc.Scheduling.NodeSelector)
	var nodes corev1.NodeList
	err := d.List(ctx, &nodes, client.MatchingLabels(rc.Scheduling.NodeSelector))
	switch {
	case err != nil:
		return []Finding{notRead(check, "the nodes with the labels "+wanted+`, which RuntimeClass "`+rc.Name+`" needs`, err)}
	case len(nodes.Items) == 0:
		return []Finding{problem(check, "label a node that has the handler, or correct the RuntimeClass",
			"no node has the labels that RuntimeClass %q needs: %s", rc.Name, wanted)}
	default:
		return nil
	}
}
