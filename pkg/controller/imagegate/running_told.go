package imagegate

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/running"
)

// What was told of digests that run stays with the process that told it. The next one goes by
// the status, which says up to when everything was told, and how the worst Pods stood then:
//
//   - a digest that failed, or whose verdict expired, since a moment before that time is told.
//     If it was told already, that is once more, with the same id;
//   - one that is verified again is told if the status lists its Pod, or if what the API server
//     looks up still has it as expired.
//
// So a digest that failed or expired is told at least once, whatever ends a process. Not told is
// one that nobody saw run before it was verified again, and a turn that another spec brought
// about, not a verdict, if the process ends before it has told of it.

// verdictLag is how much later than its run ends a verdict may come to be known. A finished run
// stays for 10 minutes at least, and one that is looked for later has no verdict.
const verdictLag = 10 * time.Minute

// toldBefore is what a gate's status said when this process began to lead it.
type toldBefore struct {
	// at is up to when everything was told; zero if nothing ever was.
	at time.Time
	// listed are the digests of the worst Pods, by their 64 hexadecimal digits. They were told
	// as they stand if complete is true.
	listed   map[string]running.Standing
	complete bool
}

func toldBy(s v1alpha1.RunningStatus) toldBefore {
	if s.ToldAt == nil || s.ObservedAt == nil {
		return toldBefore{}
	}
	b := toldBefore{at: s.ToldAt.Time, listed: map[string]running.Standing{}, complete: !s.ToldAt.Before(s.ObservedAt)}
	for _, w := range s.Worst {
		for _, standing := range []running.Standing{running.Expired, running.Failed} {
			if hex := hexOf(w.Digest); hex != "" && w.Standing == standing.String() {
				b.listed[hex] = standing
			}
		}
	}
	return b
}

// toldOf returns how a digest stands by what was told before this process, given what the gate
// concludes now: as now if there is nothing to tell.
func (t *turnState) toldOf(hex string, f gate.Finding, maxAge time.Duration) running.Standing {
	now := running.OfFinding(f)
	listed, isListed := t.before.listed[hex]
	if isListed && listed == now && t.before.complete {
		return now
	}
	recalled, isRecalled := t.recalled[hex]
	since := t.before.at.Add(-verdictLag)
	switch known := !t.before.at.IsZero(); {
	case known && now == running.Expired && passed(f) && f.At.Add(maxAge).After(since):
		return running.Verified
	case isListed && listed != now:
		return listed
	case isRecalled:
		return recalled
	case known && now == running.Failed && f.At.After(since):
		return running.Unknown
	default:
		return now
	}
}

// settle notes that all turns of the last census are told, if they are, and reports whether.
func (t *turnState) settle() bool {
	if len(t.outbox) > 0 || t.behind || t.taken.IsZero() {
		return false
	}
	t.toldAt = t.taken
	return true
}

// shown is what the status says of it.
func (t *turnState) shown() *metav1.Time {
	at := t.toldAt
	if at.IsZero() {
		at = t.before.at // until this process has told what turned since
	}
	if at.IsZero() {
		return nil
	}
	shown := metav1.NewTime(at).Rfc3339Copy()
	return &shown
}

// maxAge is how old a verdict may be behind the gate.
func (s *sight) maxAge() time.Duration {
	rules, err := gate.RulesOf(s.ImageGate)
	if err != nil {
		return 0 // the gate would not be judged
	}
	return rules.MaxAge()
}
