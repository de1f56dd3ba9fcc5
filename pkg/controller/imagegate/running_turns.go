package imagegate

import (
	"context"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/running"
)

const (
	// toldFor is how long what was told of a digest is kept that no longer runs, so that a
	// Pod that is being replaced, or runs once an hour, is not taken for a new one.
	toldFor = 24 * time.Hour
	// maxTurnEvents bounds the Events of one census of a gate. The rest is one Event.
	maxTurnEvents = 10
	// maxTurns bounds the CDEvents that wait to be sent, for one gate, and sendTurns those
	// that are sent after one census.
	maxTurns  = 1000
	sendTurns = 100
)

// turnState is what people were told of the digests that run behind one gate.
type turnState struct {
	// told has the digests, as 64 hexadecimal digits.
	told map[string]told
	// recalled is what the process before this one wrote. The first census uses it up.
	recalled map[string]running.Standing
	counted  bool
	// outbox are the turns to send, the oldest first.
	outbox []running.Turn
	before toldBefore
	// toldAt is up to when all turns were told; zero if nobody knows.
	toldAt time.Time
	// taken is when the last census was, and behind is true if some of its turns found no room
	// in the outbox. They are found again by the next one.
	taken  time.Time
	behind bool
}

type told struct {
	standing running.Standing
	seen     time.Time
}

// recall takes over that digests were verified, or had been, when the gate's object was
// written. What turned since, no process has told.
func (t *turnState) recall(written *v1alpha1.VerifiedImages) {
	if t.counted {
		return
	}
	if t.recalled == nil {
		t.recalled = map[string]running.Standing{}
	}
	for hex := range written.Ran {
		t.recalled[hex] = running.Expired
	}
	for hex := range written.Digests {
		t.recalled[hex] = running.Verified
	}
}

// take compares a census with what was told, and returns what to tell: at most room turns.
func (t *turnState) take(s *sight, c *running.Census, room int) []running.Turn {
	if t.told == nil {
		t.told = map[string]told{}
	}
	var turns []running.Turn
	t.taken, t.behind = c.At, false
	for d, place := range c.Digests {
		f := c.Findings[d]
		hex, now := hexOf(d.String()), running.OfFinding(f)
		before, known := t.told[hex]
		if !known {
			before.standing = now
			if !t.counted {
				before.standing = t.toldOf(hex, f, s.maxAge())
			}
		}
		tell, remember := running.Turned(before.standing, now)
		if tell && len(turns) >= room {
			tell, remember, t.behind = false, before.standing, true
		}
		t.told[hex] = told{remember, c.At}
		if !tell {
			continue
		}
		turn := running.Turn{
			Gate: s.Name, GateUID: string(s.UID), Digest: d, Place: place, From: before.standing, To: now,
			Message: f.Message, Verdict: f.Verdict, At: f.At,
		}
		if turn.At.IsZero() || now == running.Expired {
			turn.At = c.At
		}
		turns = append(turns, turn)
	}
	for hex, was := range t.told {
		// Nothing was told of what is unknown, and anybody makes Pods of ever other digests.
		if c.At.Sub(was.seen) > toldFor || was.standing == running.Unknown && was.seen.Before(c.At) {
			delete(t.told, hex)
		}
	}
	t.recalled, t.counted = nil, true
	return turns
}

// tell records Events for turns, and has CDEvents sent.
func (o *Observer) tell(ctx context.Context, s *sight, turns []running.Turn) {
	for i, t := range turns {
		if i == maxTurnEvents {
			o.Recorder.Eventf(s.ImageGate, corev1.EventTypeWarning, "RunningTurned",
				"the verdicts of %d further images that run turned; list them with \"kubectl revet coverage --running\"", len(turns)-i)
			break
		}
		o.Recorder.Eventf(s.ImageGate, kindOf(t), "Running"+t.To.String(), "%s", cut(describe(t)))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := o.gates[s.Name]
	if kept == nil {
		return
	}
	for _, t := range turns {
		o.Metrics.turned(ctx, t)
		if o.Turns != nil {
			kept.turns.outbox = append(kept.turns.outbox, t)
		}
	}
	kept.turns.settle()
}

func kindOf(t running.Turn) string {
	if t.Worse() {
		return corev1.EventTypeWarning
	}
	return corev1.EventTypeNormal
}

func describe(t running.Turn) string {
	text := "image " + image.Cut(t.Image, 256) + " (" + t.Digest.String() + "), which runs in Pod " + t.Pod.String() +
		" and maybe others, was " + t.From.String() + " and is " + t.To.String()
	if t.Message != "" {
		text += ": " + t.Message
	}
	return text
}

// sendTurns sends what waits. A sink that does not take one is tried again after the next
// census, so that nothing overtakes.
func (o *Observer) sendTurns(ctx context.Context) {
	for name := range o.led() {
		for range sendTurns {
			t, ok := o.nextTurn(name)
			if !ok {
				break
			}
			refused, err := o.Turns.SendTurn(ctx, t)
			if refused != nil {
				o.Log.Warn("the sink refuses the event of a turn", zap.String("gate", name), zap.Stringer("digest", t.Digest), zap.Error(refused))
			}
			if err != nil {
				o.Log.Warn("telling that the verdict of something that runs turned failed",
					zap.String("gate", name), zap.Stringer("digest", t.Digest), zap.Error(err))
				return
			}
			o.sentTurn(name)
		}
	}
}

func (o *Observer) nextTurn(name string) (running.Turn, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.gates[name]
	if s == nil || len(s.turns.outbox) == 0 {
		return running.Turn{}, false
	}
	return s.turns.outbox[0], true
}

func (o *Observer) sentTurn(name string) {
	o.mu.Lock()
	s, settled := o.gates[name], false
	if s != nil && len(s.turns.outbox) > 0 {
		s.turns.outbox = s.turns.outbox[1:]
		settled = s.turns.settle()
	}
	o.mu.Unlock()
	if settled {
		o.Changed(name)
	}
}
