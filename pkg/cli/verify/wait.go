package verify

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
)

// readEvery is how often an entry is read. The role revet-replay may not watch.
const readEvery = 2 * time.Second

// await reads the entry until the request has its verdict, and returns nil if that is a pass.
// What it waits for goes to standard error, once each.
func await(ctx context.Context, env command.Environment, cl command.Cluster, key client.ObjectKey, id string) error {
	ticks := time.NewTicker(readEvery)
	defer ticks.Stop()
	told := ""
	say := func(s string) {
		if s != told {
			told = s
			fmt.Fprintln(env.Streams.ErrOut, command.Printable(s))
		}
	}
	for {
		var e v1alpha1.ImageVerification
		err := cl.Get(ctx, key, &e)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("there is no verdict of %s yet, which is: %s; it goes on: kubectl revet explain %s -n %s", key.Name, told, key.Name, key.Namespace)
		case apierrors.IsNotFound(err):
			return fmt.Errorf("there is no verdict: somebody deleted ImageVerification %q", key.Name)
		case apierrors.IsForbidden(err):
			return fmt.Errorf("reading ImageVerification %q: %w", key.Name, err)
		case err != nil:
			say("not known, as it could not be read: " + err.Error())
		case !decided(&e, id):
			say(command.State(&e))
		default:
			return verdict(env, &e)
		}
		select {
		case <-ctx.Done():
		case <-ticks.C:
		}
	}
}

// decided reports whether the request has had its run, or will have none. An answered
// request may be replaced by newer ones.
func decided(e *v1alpha1.ImageVerification, id string) bool {
	if slices.Contains(e.Spec.Requests, id) && !slices.Contains(e.Status.HandledRequests, id) {
		return false
	}
	switch e.Phase() {
	case v1alpha1.PhasePassed, v1alpha1.PhaseFailed, v1alpha1.PhaseError, v1alpha1.PhaseSkipped:
		return true
	default:
		return false
	}
}

// verdict tells how the entry ended. Error and Skipped are no verdict.
func verdict(env command.Environment, e *v1alpha1.ImageVerification) error {
	explain := fmt.Sprintf("kubectl revet explain %s -n %s", e.Name, e.Namespace)
	what := command.State(e)
	switch e.Phase() {
	case v1alpha1.PhasePassed:
		fmt.Fprintf(env.Streams.Out, "%s\n", command.Printable(what))
		return nil
	case v1alpha1.PhaseFailed:
		return &command.StatusError{Status: exitFailed, Err: fmt.Errorf("%s; see: %s", what, explain)}
	default:
		if cure := command.CureOf(e.Status.Reason, e.Status.Message); cure != "" {
			return fmt.Errorf("there is no verdict: %s; cure: %s", what, cure)
		}
		return fmt.Errorf("there is no verdict: %s; see: %s", what, explain)
	}
}
