package running

import (
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/image"
)

// Turn says that the verdict of something that runs turned.
type Turn struct {
	// Gate and GateUID name the gate that judges.
	Gate, GateUID string
	Digest        image.Digest
	// Place is one of the places at which the digest runs.
	Place
	// From and To are Verified, Expired, Failed or Unknown.
	From, To Standing
	// Message says why, for people.
	Message string
	// Verdict is the one that decided; nil if none did.
	Verdict *v1alpha1.Verdict
	// At is when the verdict was given, or else when the turn was noticed.
	At time.Time
}

// Worse reports whether the digest lost its verdict, rather than got it back.
func (t Turn) Worse() bool { return t.To != Verified }

// OfFinding returns what a digest counts as of which the gate concluded f.
func OfFinding(f gate.Finding) Standing {
	switch f.Standing {
	case gate.Verified:
		return Verified
	case gate.Expired:
		return Expired
	case gate.Failed:
		return Failed
	default:
		return Unknown
	}
}

// Turned reports whether people have to be told that a digest that runs stands otherwise than
// they were told last, and what to remember as told. A digest that is unknown for a while,
// because an entry was deleted or is being read, keeps what was told of it; one that failed
// does not get better by expiring.
func Turned(told, now Standing) (tell bool, remember Standing) {
	switch {
	case now == told, now == Unknown, told == Failed && now == Expired:
		return false, told
	case now == Failed, told == Verified:
		return true, now
	case now == Verified && (told == Failed || told == Expired):
		return true, now
	default: // it was unknown, and is known now
		return false, now
	}
}
