package events

import (
	"context"
	"errors"
	"fmt"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/running"
)

// Turned returns the event that tells that the verdict of something that runs turned: an
// incident that was detected, or one that is resolved. Both have the same subject for one
// digest behind one gate, and the environment is the gate. The same turn has the same id,
// whoever notices it.
func Turned(t running.Turn) Event {
	digest := t.Digest.String()
	repository := repositoryOf(t.Image)
	source := "/apis/" + v1alpha1.GroupVersion.String() + "/imagegates/" + t.Gate
	kind, outcome := TypeResolved, v1alpha1.OutcomePass
	if t.Worse() {
		kind, outcome = TypeDetected, ""
		if t.To == running.Failed {
			outcome = v1alpha1.OutcomeFail
		}
	}
	at := t.At
	if t.Verdict != nil {
		at = t.Verdict.At.Time // an old verdict that expires is one turn, whenever it is noticed
	}
	key := fmt.Sprintf("%s-%s-%d", strings.TrimPrefix(digest, "sha256:"), strings.ToLower(t.To.String()), at.Unix())
	e := Event{
		Key: key,
		event: cdEvent{
			Context: cdContext{
				SpecVersion: specVersion, ID: t.GateUID + "-" + key, Source: source, Type: kind, Timestamp: t.At.UTC(),
			},
			Subject: cdSubject{
				ID: t.Gate + "/" + digest, Source: source,
				Content: content{
					Description: fmt.Sprintf("was %s and is %s: %s", t.From, t.To, t.Message),
					Environment: &reference{ID: t.Gate},
					ArtifactID:  packageURL(repository, digest, ""),
				},
			},
			CustomData: &customData{
				Image: repository + "@" + digest, Verdict: string(outcome), Message: t.Message,
				Gate: t.Gate, From: t.From.String(), To: t.To.String(), Pod: t.Pod.String(),
			},
			CustomDataContentType: cloudevents.ApplicationJSON,
		},
		attributes: map[string]string{
			AttributeRepository: repository, AttributeDigest: digest, AttributeGate: t.Gate, AttributeStanding: t.To.String(),
		},
	}
	if t.Message == "" {
		e.event.Subject.Content.Description = fmt.Sprintf("was %s and is %s", t.From, t.To)
	}
	if outcome != "" {
		e.attributes[AttributeOutcome] = string(outcome)
	}
	return e
}

// repositoryOf cuts the digest and the tag off a reference.
func repositoryOf(reference string) string {
	name, _, _ := strings.Cut(reference, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name
}

// SendTurn sends the event of a turn, if there is a sink. An event that the sink can never
// take is no error, as sending it again would not help; the caller finds it in refused.
func (e *Emitter) SendTurn(ctx context.Context, t running.Turn) (refused, err error) {
	if !e.Enabled() {
		return nil, nil
	}
	err = e.send(ctx, Turned(t))
	var failure *EmitError
	if errors.As(err, &failure) && failure.Permanent {
		return err, nil
	}
	return nil, err
}
