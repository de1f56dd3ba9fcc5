package intake

import (
	"context"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// knownTypes is the prefix of the event types that Revet decodes.
const knownTypes = "dev.knative.apiserver."

// ownTypes are the prefixes of the types of events that Revet or a pipeline caused. A Broker
// delivers these to the receiver again, and would do so until their time to live ends.
var ownTypes = []string{"dev.revet.", "dev.cdevents.", "dev.tekton.event."}

// PassOver returns why Revet does not decode events of a type; "" for a type that it decodes.
func PassOver(eventType string) Reason {
	if strings.HasPrefix(eventType, knownTypes) {
		return ""
	}
	for _, own := range ownTypes {
		if strings.HasPrefix(eventType, own) {
			return OwnEvent
		}
	}
	return UnknownType
}

// Event handles one CloudEvent.
func (i *Intake) Event(ctx context.Context, e *cloudevents.Event) Result {
	if reason := PassOver(e.Type()); reason != "" {
		return Handled(KindOther, reason)
	}
	obs, err := openshift.Decode(e)
	if err != nil {
		return Result{Status: Refused, Reason: Undecodable, Kind: KindOther, Err: err}
	}
	failpoint.Hit("intake.decoded")
	switch {
	case obs.Ignored == openshift.UnknownType:
		return Handled(KindOther, UnknownType)
	case obs.Ignored != "":
		return Handled(KindOther, UnknownKind)
	case obs.Object.Kind == openshift.Image:
		return Handled(KindImage, ImageEvent)
	case obs.Verb == openshift.Delete:
		return Handled(KindStream, Deleted)
	default:
		return i.stream(ctx, obs)
	}
}
