package imageverification

import (
	"context"

	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Trouble says why runs of a trigger do not start: because a run could not start in its
// RuntimeClass, or else why the oldest run that was requested more than once has not
// appeared. The reason is empty if all start. Trouble reads the cache of entries, so that
// it knows of the runs of other leaders too.
func (r *Reconciler) Trouble(ctx context.Context, trigger types.UID) (reason, message string, err error) {
	entries, err := list(ctx, r.cached, fieldOpen, string(trigger))
	if err != nil {
		return "", "", err
	}
	var oldest *v1alpha1.RunStatus
	for i := range entries {
		if runs := entries[i].Status.Runs; len(runs) > 0 {
			if last := &runs[len(runs)-1]; lifecycle.Reason(last.Reason) == lifecycle.SandboxUnavailable {
				return last.Reason, "run " + last.Name + ": " + last.Message, nil
			}
		}
		run := entries[i].Status.CurrentRun()
		if run == nil || run.ConfirmedAt != nil || run.Attempts < 2 || run.Reason == "" {
			continue
		}
		if oldest == nil || run.RequestedAt.Before(&oldest.RequestedAt) {
			oldest = run
		}
	}
	if oldest == nil {
		return "", "", nil
	}
	return oldest.Reason, "run " + oldest.Name + ": " + oldest.Message, nil
}
