package events

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// The attributes that Knative Triggers filter on.
const (
	AttributeRepository = "imagerepository"
	AttributeTag        = "imagetag"
	AttributeDigest     = "imagedigest"
	AttributeCause      = "verifycause"
	AttributeOutcome    = "outcome"
	AttributeNotChecked = "notchecked"
	AttributeGate       = "gate"
	AttributeStanding   = "standing"
	AttributeVerdict    = "verdict"
	// AttributeRevision is what the image claims. Events of a digest that claims none lack it.
	AttributeRevision = "imagerevision"
)

// noVerdict stands in AttributeVerdict for an entry without one.
const noVerdict = "none"

// maxPublished is how many pushes of one entry get an event: the newest. With three events
// of each of the ten runs that an entry shows, these are fewer than status.emitted holds,
// which must never drop a key that can still be derived.
const maxPublished = 16

// Event is one event to send.
type Event struct {
	// Key identifies the event within its entry and stands in status.emitted.
	Key   string
	event cdEvent
	// attributes are the extension attributes.
	attributes map[string]string
}

// Derive returns all events of an entry, oldest first. It is pure: the same entry gives
// the same events.
func Derive(entry *v1alpha1.ImageVerification) []Event {
	var events []Event
	for _, p := range coveredPushes(entry) {
		events = append(events, published(entry, p))
	}
	for i := range entry.Status.Runs {
		run := &entry.Status.Runs[i]
		events = append(events, queued(entry, run))
		if run.StartedAt != nil {
			events = append(events, started(entry, run))
		}
		if run.Outcome != "" {
			events = append(events, finished(entry, run))
		}
	}
	return events
}

// Pending reports whether an entry has events that were not sent yet.
func Pending(entry *v1alpha1.ImageVerification) bool { return len(pending(entry)) > 0 }

// pending returns the events that were not sent yet.
func pending(entry *v1alpha1.ImageVerification) []Event {
	sent := map[string]bool{}
	for _, k := range entry.Status.Emitted {
		sent[k] = true
	}
	var open []Event
	for _, e := range Derive(entry) {
		if !sent[e.Key] {
			open = append(open, e)
		}
	}
	return open
}

// coveredPushes returns the newest pushes that a run covers, oldest first. Skipped and
// undecided pushes have no event.
func coveredPushes(entry *v1alpha1.ImageVerification) []v1alpha1.PushRecord {
	var pushes []v1alpha1.PushRecord
	for i := range entry.Status.Tags {
		if t := &entry.Status.Tags[i]; t.Run > 0 {
			pushes = append(pushes, t.PushRecord)
		}
	}
	sort.SliceStable(pushes, func(i, j int) bool { return pushes[i].PushedAt.Before(&pushes[j].PushedAt) })
	return pushes[max(0, len(pushes)-maxPublished):]
}

func published(entry *v1alpha1.ImageVerification, p v1alpha1.PushRecord) Event {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %d", p.Tag, p.PushedAt.Unix(), p.Sequence))
	e := newEvent(entry, "published-"+hex.EncodeToString(sum[:6]), TypePublished, p.PushedAt.Time)
	e.event.Subject.ID = packageURL(entry.Spec.Repository.Pull, entry.Spec.Digest, p.Tag)
	e.attributes[AttributeTag] = p.Tag
	e.attributes[AttributeCause] = string(v1alpha1.CausePush)
	return e
}

func queued(entry *v1alpha1.ImageVerification, run *v1alpha1.RunStatus) Event {
	e := newRunEvent(entry, run, "queued", TypeQueued, run.RequestedAt.Time)
	e.event.Subject.Content.Trigger = &trigger{Type: lifecycle.RuleOf(run.Cause).EventTrigger}
	return e
}

func started(entry *v1alpha1.ImageVerification, run *v1alpha1.RunStatus) Event {
	e := newRunEvent(entry, run, "started", TypeStarted, run.StartedAt.Time)
	e.event.Subject.Content.Trigger = &trigger{Type: lifecycle.RuleOf(run.Cause).EventTrigger}
	return e
}

func finished(entry *v1alpha1.ImageVerification, run *v1alpha1.RunStatus) Event {
	e := newRunEvent(entry, run, "finished", TypeFinished, endOf(run))
	e.event.Subject.Content.Outcome = outcomeOf(run.Outcome)
	e.event.Subject.Content.Reason = run.Reason
	e.attributes[AttributeOutcome] = string(run.Outcome)
	if len(run.Off) > 0 {
		e.attributes[AttributeNotChecked] = strings.Join(run.Off, ",")
	}
	// The outcome is the run's; what counts for the image is the verdict, which may be an
	// earlier run's.
	e.attributes[AttributeVerdict] = noVerdict
	data := e.event.CustomData
	if v := entry.Status.Verdict; v != nil {
		e.attributes[AttributeVerdict] = string(v.Outcome)
		if v.Number == run.Number {
			data.PolicyDigest = v.PolicyDigest
		}
	}
	data.Verdict, data.Message, data.Report = string(run.Outcome), run.Message, run.Report
	data.RuntimeClasses = run.Sandbox.Observed
	if summary := json.RawMessage(run.Summary); json.Valid(summary) {
		data.Summary = summary
	}
	return e
}

// endOf returns the last known time of a run that ended. A run that never started has no
// end of its own, and the time of an event must not depend on when it is sent.
func endOf(run *v1alpha1.RunStatus) time.Time {
	switch {
	case run.FinishedAt != nil:
		return run.FinishedAt.Time
	case run.StartedAt != nil:
		return run.StartedAt.Time
	case run.FiredAt != nil:
		return run.FiredAt.Time
	default:
		return run.RequestedAt.Time
	}
}

func newRunEvent(entry *v1alpha1.ImageVerification, run *v1alpha1.RunStatus, verb, kind string, at time.Time) Event {
	e := newEvent(entry, fmt.Sprintf("%s-%d", verb, run.Number), kind, at)
	e.event.Subject.ID = run.Name
	e.event.Subject.Content.Environment = &reference{ID: entry.Namespace}
	e.event.Subject.Content.TestSuite = &testSuite{
		ID:   entry.Namespace + "/" + entry.Spec.Trigger.Name,
		Name: entry.Spec.Trigger.Name,
	}
	e.attributes[AttributeTag] = entry.RunTag(run)
	e.attributes[AttributeCause] = string(run.Cause.Type)
	return e
}

func newEvent(entry *v1alpha1.ImageVerification, key, kind string, at time.Time) Event {
	attributes := map[string]string{
		AttributeRepository: entry.Spec.Repository.Name,
		AttributeDigest:     entry.Spec.Digest,
	}
	if facts := entry.ImageFacts(); facts != nil && facts.ClaimedRevision != "" {
		attributes[AttributeRevision] = facts.ClaimedRevision
	}
	source := "/apis/" + v1alpha1.GroupVersion.String() + "/namespaces/" + entry.Namespace + "/imageverifications/" + entry.Name
	return Event{
		Key: key,
		event: cdEvent{
			Context: cdContext{
				SpecVersion: specVersion,
				ID:          string(entry.UID) + "-" + key,
				Source:      source,
				Type:        kind,
				Timestamp:   at.UTC(),
				ChainID:     string(entry.UID),
			},
			Subject:               cdSubject{Source: source},
			CustomData:            &customData{Image: entry.Spec.Repository.Pull + "@" + entry.Spec.Digest},
			CustomDataContentType: cloudevents.ApplicationJSON,
		},
		attributes: attributes,
	}
}

// CloudEvent returns the event as it is sent.
func (e Event) CloudEvent() (*cloudevents.Event, error) {
	c := cloudevents.New()
	c.SetID(e.event.Context.ID)
	c.SetSource(e.event.Context.Source)
	c.SetType(e.event.Context.Type)
	c.SetSubject(e.event.Subject.ID)
	c.SetTime(e.event.Context.Timestamp)
	for name, value := range e.attributes {
		c.SetExtension(name, value)
	}
	if err := c.SetData(cloudevents.ApplicationJSON, e.event); err != nil {
		return nil, fmt.Errorf("encoding event %q: %w", e.event.Context.ID, err)
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("event %q is no valid CloudEvent: %w", e.event.Context.ID, err)
	}
	return &c, nil
}
