package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/eventlistener"
	"github.com/revet-dev/revet/pkg/reconciler/imageverification"
	"github.com/revet-dev/revet/pkg/verdict"
)

// sinkSender sends requests to the address that the trigger's status names.
type sinkSender struct {
	sender *eventlistener.Sender
}

// Send implements imageverification.Sink.
func (s sinkSender) Send(ctx context.Context, t *v1alpha1.ImageTrigger, e *v1alpha1.ImageVerification, run *v1alpha1.RunStatus) error {
	if t.Status.SinkURI == "" {
		return &imageverification.SendError{Reason: verdict.SinkInvalid, Err: fmt.Errorf("the trigger %q has no address to send to", t.Name)}
	}
	request, err := eventlistener.NewRequest(t, e, run)
	if err != nil {
		return &imageverification.SendError{Reason: verdict.SinkInvalid, Err: err}
	}
	return sendError(s.sender.Send(ctx, t.Status.SinkURI, request))
}

// sendError says what a failed request means for the run.
func sendError(err error) error {
	var failed *eventlistener.SendError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &failed):
		return &imageverification.SendError{Reason: verdict.SinkSilent, Err: err}
	}
	reason := verdict.SinkInvalid
	switch {
	case failed.MayHaveArrived:
		reason = verdict.SinkSilent
	case failed.Reason == eventlistener.SinkUnreachable:
		reason = verdict.SinkUnreachable
	case failed.Reason == eventlistener.SinkRefused:
		reason = verdict.SinkRefused
	}
	return &imageverification.SendError{Reason: reason, RetryAfter: failed.RetryAfter, Err: err}
}
