package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/tekton"
)

// sinkSender sends requests to the address that the trigger's status names.
type sinkSender struct {
	sender *tekton.Sender
}

// Send implements imageverification.Sink.
func (s sinkSender) Send(ctx context.Context, t *v1alpha1.ImageTrigger, e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus) error {
	if t.Status.SinkURI == "" {
		return &imageverification.SendError{Reason: lifecycle.SinkInvalid, Err: fmt.Errorf("the trigger %q has no address to send to", t.Name)}
	}
	request, err := tekton.NewRequest(t, e, run)
	if err != nil {
		return &imageverification.SendError{Reason: lifecycle.SinkInvalid, Err: err}
	}
	return sendError(s.sender.Send(ctx, t.Status.SinkURI, request))
}

// sendError says what a failed request means for the run.
func sendError(err error) error {
	var failed *tekton.SendError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &failed):
		return &imageverification.SendError{Reason: lifecycle.SinkSilent, Err: err}
	}
	reason := lifecycle.SinkInvalid
	switch {
	case failed.MayHaveArrived:
		reason = lifecycle.SinkSilent
	case failed.Reason == tekton.SinkUnreachable:
		reason = lifecycle.SinkUnreachable
	case failed.Reason == tekton.SinkRefused:
		reason = lifecycle.SinkRefused
	}
	return &imageverification.SendError{Reason: reason, RetryAfter: failed.RetryAfter, Err: err}
}
