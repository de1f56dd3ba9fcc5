package imageverification

import (
	"context"

	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Trouble says why the requests of a trigger are not followed by their runs: what
// a run says that could not start in its RuntimeClass and was not made good, or else
// the oldest one that was requested more than once and has not appeared. The
// reason is empty if there is none. It reads the ledger's cache, so that it
// answers for what other leaders fire too.
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
