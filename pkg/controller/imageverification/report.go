package imageverification

import (
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// transition logs a change of phase, or of what the entry waits for. It records a Kubernetes
// Event too, except for what happens to every push: an Event costs a request.
func (r *Reconciler) transition(p *pass, before v1alpha1.Phase, reason string) {
	s := &p.entry.Status
	if s.Phase == before && (s.Reason == reason || !troubled(s)) {
		return
	}
	fields := []zap.Field{zap.String("phase", string(s.Phase)), zap.String("reason", s.Reason), zap.String("push", s.TagNames)}
	if len(s.Runs) > 0 {
		fields = append(fields, zap.String("run", s.Runs[len(s.Runs)-1].Name))
	}
	p.log.Info("entry moved on", fields...)
	kind := corev1.EventTypeNormal
	switch s.Phase {
	case v1alpha1.PhaseFailed, v1alpha1.PhaseError:
		kind = corev1.EventTypeWarning
	case v1alpha1.PhaseRunning:
		return // its PipelineRun has Events of its own
	case v1alpha1.PhasePending, v1alpha1.PhaseRequested:
		if !troubled(s) {
			return
		}
		kind = corev1.EventTypeWarning
	default:
	}
	message := s.Message
	if message == "" {
		message = s.TagNames + " is " + string(s.Phase)
	}
	r.recorder.Event(p.entry, kind, s.Reason, message)
}

// troubled reports whether an entry waits for something that a person has to cure, or that
// should not have happened.
func troubled(s *v1alpha1.ImageVerificationStatus) bool {
	if s.Phase != v1alpha1.PhasePending && s.Phase != v1alpha1.PhaseRequested {
		return false
	}
	switch lifecycle.Reason(s.Reason) {
	case "", lifecycle.Requested, lifecycle.RequestedOnce, lifecycle.Queued:
		return false
	default:
		return true
	}
}
