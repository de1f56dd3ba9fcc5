package gate

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// tryOut asks the API server about the object's Pod by a dry run, and notes in the rows
// where it says something else.
func (w *world) tryOut(ctx context.Context, o object, rows []*Image) {
	enforced := false
	for _, row := range rows {
		enforced = enforced || row.Mode == v1alpha1.GateDeny
	}
	if !enforced || w.untried[o.namespace] {
		return
	}
	pod := podOf(o)
	err := w.cl.Writer.Create(ctx, pod, client.DryRunAll)
	switch {
	case err == nil:
		compareAdmitted(pod, rows)
	case refusedByGate(err, rows):
		compareRefused(err, rows)
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "cannot create resource"):
		w.untried[o.namespace] = true
		w.note("The API server was not asked about namespace %s: you may not create Pods there.", o.namespace)
	default:
		w.note("The API server was not asked about %s, as it refuses its Pod for another reason: %v", o.name, err)
	}
}

// podOf returns the Pod that the object is, or makes. One is never made with ephemeral
// containers.
func podOf(o object) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, GenerateName: "revet-gate-test-", Labels: o.labels, Annotations: o.annotations},
		Spec:       *o.spec.DeepCopy(),
	}
	pod.Spec.EphemeralContainers = nil
	return pod
}

// policyOf is how the API server names a policy of a gate that denied a request.
func policyOf(g string) string { return "ValidatingAdmissionPolicy 'revet-gate-" + g + "-" }

func refusedByGate(err error, rows []*Image) bool {
	for _, row := range rows {
		if row.Gate != "" && strings.Contains(err.Error(), policyOf(row.Gate)) {
			return true
		}
	}
	return false
}

// compareAdmitted compares with a Pod that the API server would make.
func compareAdmitted(pod *corev1.Pod, rows []*Image) {
	images := map[string]string{}
	for _, use := range gate.Uses(&pod.Spec) {
		images[use.Field] = use.Image
	}
	for _, row := range rows {
		if row.Mode != v1alpha1.GateDeny {
			continue
		}
		made, there := images[row.Field[strings.LastIndex(row.Field, "spec."):]]
		if !there {
			continue // an ephemeral container
		}
		row.Tried = true
		switch {
		case row.Happens == NotKnown:
			row.Why += "; the API server would make the Pod now"
		case row.Happens == Refused:
			row.Disagreement = "it would make the Pod, with " + made
		case row.Pinned != "" && !strings.HasSuffix(made, "@"+row.Pinned):
			row.Disagreement = "it would make the Pod with " + made
		}
	}
}

// compareRefused compares with a Pod that a gate refuses. The API server names one of the
// images that are refused, and not each.
func compareRefused(err error, rows []*Image) {
	expected := map[string]bool{}
	for _, row := range rows {
		if row.Happens == Refused || row.Happens == NotKnown {
			expected[row.Gate] = true
		}
	}
	for _, row := range rows {
		if row.Mode != v1alpha1.GateDeny {
			continue
		}
		row.Tried = true
		if row.Happens == NotKnown {
			row.Why += "; the API server refuses the Pod: " + err.Error()
			continue
		}
		if strings.Contains(err.Error(), policyOf(row.Gate)) && !expected[row.Gate] {
			row.Disagreement = fmt.Sprintf("it refuses the Pod: %v", err)
			row.Happens, row.InDeny = Refused, Refused
		}
	}
}
