package imagetrigger

import (
	"cmp"
	"fmt"
	"strings"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// maxMessage is the longest message of an Event that the API server accepts.
const maxMessage = 1024

// report records and logs what changed.
func (r *Reconciler) report(before, after *v1alpha1.ImageTrigger, seen observed, m *memory) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	is := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionReady)
	if is != nil && (was == nil || was.Status != is.Status || was.Reason != is.Reason) {
		kind, message := corev1.EventTypeNormal, "pushes are verified"
		if is.Status != metav1.ConditionTrue {
			kind, message = corev1.EventTypeWarning, is.Message
		}
		r.Recorder.Event(after, kind, is.Reason, image.Cut(message, maxMessage))
		r.Log.Info("trigger changed", zap.String("trigger", after.Name), zap.String("namespace", after.Namespace),
			zap.String("ready", string(is.Status)), zap.String("reason", is.Reason), zap.String("message", is.Message))
	}
	r.reportCondition(before, after, v1alpha1.ConditionConfirmed, "runs appear again")
	r.reportCondition(before, after, v1alpha1.ConditionPullAllowed, "")
	if warnings := warningsOf(seen); warnings != m.warned {
		m.warned = warnings
		if warnings != "" {
			r.Recorder.Event(after, corev1.EventTypeWarning, "SinkWarning", image.Cut(warnings, maxMessage))
		}
	}
	if seen.sweep != nil && seen.sweep.FinishedAt.After(m.reported) {
		m.reported = seen.sweep.FinishedAt
		if n := seen.sweep.Recovered; n > 0 {
			r.Recorder.Event(after, corev1.EventTypeNormal, "PushesRecovered",
				fmt.Sprintf("a sweep recorded %d pushes that no event had brought", n))
		}
	}
}

// reportCondition records that a condition which does not count for Ready became
// False, or True again. Without a text of its own, again is the condition's message.
func (r *Reconciler) reportCondition(before, after *v1alpha1.ImageTrigger, kind, again string) {
	was := meta.FindStatusCondition(before.Status.Conditions, kind)
	is := meta.FindStatusCondition(after.Status.Conditions, kind)
	switch {
	case is == nil || (was != nil && was.Status == is.Status && was.Reason == is.Reason):
	case is.Status == metav1.ConditionFalse:
		r.Recorder.Event(after, corev1.EventTypeWarning, is.Reason, image.Cut(is.Message, maxMessage))
	case is.Status == metav1.ConditionTrue && was != nil && was.Status == metav1.ConditionFalse:
		r.Recorder.Event(after, corev1.EventTypeNormal, is.Reason, image.Cut(cmp.Or(again, is.Message), maxMessage))
	}
}

// warningsOf joins the findings that do not refuse a sink that was checked.
func warningsOf(seen observed) string {
	if !seen.report.Checked {
		return ""
	}
	var warnings []string
	for _, f := range seen.report.Findings {
		if !f.Refuses {
			warnings = append(warnings, string(f.Reason)+": "+f.Message)
		}
	}
	return strings.Join(warnings, "; ")
}
