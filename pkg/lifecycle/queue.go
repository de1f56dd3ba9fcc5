package lifecycle

import (
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Head is the newest push of a tag in the ledger, for one trigger and repository. The
// zero value is "no push is known".
type Head struct {
	// Digest is what the tag was pushed to.
	Digest   string
	PushedAt time.Time
	// Sequence orders pushes where the repository shows no times.
	Sequence int64
}

// after reports whether the head was certainly pushed after p. Two pushes of one second
// have no order.
func (h Head) after(p v1alpha1.PushRecord) bool {
	if h.Sequence != 0 || p.Sequence != 0 {
		return h.Sequence > p.Sequence
	}
	return h.PushedAt.After(p.PushedAt.Time)
}

// Heads returns the head of each tag of an entry, in the order of its tags.
func Heads(e *v1alpha1.ImageVerification, head func(tag string) Head) []Head {
	all := e.Tags()
	heads := make([]Head, len(all))
	for i := range all {
		heads[i] = head(all[i].Tag)
	}
	return heads
}

// The classes of a queue, first to last.
const (
	classPush = iota
	classManual
	classRetry
	classRenewal
	classUnknown
)

// Rank orders the entries that wait for a run: of one trigger by all of it, and of different
// ones by Class. The zero value goes first.
type Rank struct {
	// Class is the class of the cause.
	Class int
	// At is when it was pushed, or when its retry is due.
	At time.Time
	// Overtaken is true if a newer push of its tag goes before it.
	Overtaken bool
}

// Low reports whether the rank is of runs that must never hold up others.
func (r Rank) Low() bool { return r.Class == classRenewal }

// Compare returns a negative number if r goes before other.
func (r Rank) Compare(other Rank) int {
	switch {
	case r.Class != other.Class:
		return r.Class - other.Class
	case !r.At.Equal(other.At):
		return r.At.Compare(other.At)
	case r.Overtaken != other.Overtaken && r.Overtaken:
		return 1
	case r.Overtaken != other.Overtaken:
		return -1
	default:
		return 0
	}
}

// RankOf ranks an entry that waits for a run of a cause.
func RankOf(e *v1alpha1.ImageVerification, cause v1alpha1.Cause, heads []Head) Rank {
	rule := RuleOf(cause)
	rank := rule.rank(e, heads)
	rank.Class = rule.Class
	return rank
}

func rankFirstPush(e *v1alpha1.ImageVerification, _ []Head) Rank {
	return Rank{At: e.Spec.FirstPush.PushedAt.Time}
}

func rankRetry(e *v1alpha1.ImageVerification, _ []Head) Rank {
	if last := e.Status.LatestRun(); last != nil {
		return Rank{At: due(last, retried(&e.Status), 1)}
	}
	return Rank{}
}

// rankPush ranks undecided pushes. If all their tags were pushed again, the entry goes
// right after the first of those pushes: what the tags show now is verified first,
// nothing else waits for it, and no push is lost.
func rankPush(e *v1alpha1.ImageVerification, heads []Head) Rank {
	rank := Rank{At: e.Spec.FirstPush.PushedAt.Time}
	if push := Undecided(e); push != nil {
		rank.At = push.PushedAt.Time
	}
	tags := e.Tags()
	if len(heads) != len(tags) || e.Status.MoreTags.Open() {
		return rank
	}
	var after time.Time
	for i := range tags {
		if tags[i].Run != 0 {
			continue
		}
		if !heads[i].after(tags[i].PushRecord) || heads[i].Digest == e.Spec.Digest {
			return rank
		}
		if after.IsZero() || heads[i].PushedAt.Before(after) {
			after = heads[i].PushedAt
		}
	}
	if after.IsZero() {
		return rank
	}
	return Rank{At: after, Overtaken: true}
}
