package ledger

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/push"
)

// Coverage is what the ledger covers of one repository, for one trigger.
type Coverage interface {
	push.Known
	// Seen reports whether the ledger has any push of a tag. If it has, another digest of
	// the tag is a change, and was not there before the first look.
	Seen(tag string) bool
	// Empty reports whether the ledger has no push of the repository.
	Empty() bool
	// Forgot reports whether nobody knows whether the ledger has the push that an observation
	// shows: it is not covered, and not recorded.
	Forgot(o push.Observation) bool
}

// known answers what the entries of one trigger and repository cover.
type known struct {
	index *Index
	key   indexKey
}

// Covers reports whether the ledger has the push that an observation shows, or a later one
// of the same tag to the same digest.
func (k known) Covers(o push.Observation) bool {
	switch k.key.repository.Kind {
	case push.ImageStream:
		covered := false
		k.index.ask(k.key, func(r *repository) {
			have := r.find(o.Digest.Hex())
			covered = have != nil && have.covers(tagRecord{v1alpha1.KeyOfTag(o.Tag), push.Moment{PushedAt: o.Created.Unix()}})
		})
		return covered
	case push.Registry:
		_, head := k.head(o.Tag)
		return head == o.Digest.Hex()
	default:
		return false // no kind of repository: nothing is covered
	}
}

// Forgot implements Coverage.
func (k known) Forgot(o push.Observation) bool {
	forgot, key := false, v1alpha1.KeyOfTag(o.Tag)
	k.index.ask(k.key, func(r *repository) {
		have := r.find(o.Digest.Hex())
		if have == nil || have.through == forgotNothing {
			return
		}
		if _, told := have.find(key); !told {
			forgot = forgets(have.through, k.key.repository.Kind, o.Created.Unix(), r.head(key))
		}
	})
	return forgot
}

// has reports whether there is an entry of a digest.
func (k known) has(d image.Digest) bool {
	has := false
	k.index.ask(k.key, func(r *repository) { has = r.find(d.Hex()) != nil })
	return has
}

// Seen implements Coverage.
func (k known) Seen(tag string) bool { return k.tag(tag).Digest != "" }

// Empty implements Coverage.
func (k known) Empty() bool {
	empty := true
	k.index.ask(k.key, func(*repository) { empty = false })
	return empty
}

// head returns the highest sequence of a tag and the digest that has it, in hexadecimal.
// A registry shows no times: a push is a change of the tag. If two receivers saw two
// pushes at once, two digests have the same sequence. The tag's state is not known then,
// no digest is returned, and the next look records the tag again.
func (k known) head(tag string) (sequence int64, digest string) {
	h := k.tag(tag)
	if len(h.Ties) > 0 || h.Sequence == 0 {
		return h.Sequence, ""
	}
	return h.Sequence, h.Digest
}

func (k known) tag(tag string) push.Head {
	var h push.Head
	key := v1alpha1.KeyOfTag(tag)
	k.index.ask(k.key, func(r *repository) { h = r.head(key) })
	return h
}

// WithinScope narrows what is known to what a trigger is responsible for: the trigger needs
// no entry for items that admit refuses, nor for history before status.historyHorizon. A
// head is never before the horizon.
func WithinScope(known push.Known, t *v1alpha1.ImageTrigger, admit func(pushedAt time.Time, head bool) bool) push.Known {
	return scope{known, t.Status.HistoryHorizon, admit}
}

type scope struct {
	known   push.Known
	horizon *metav1.Time
	admit   func(time.Time, bool) bool
}

func (s scope) Covers(o push.Observation) bool {
	if !s.admit(o.Created, o.Head) {
		return true
	}
	if !o.Head && s.horizon != nil && o.Created.Before(s.horizon.Time) {
		return true
	}
	return s.known.Covers(o)
}

// Head returns the newest push of a tag, of the entry's repository and by its trigger. It
// costs no request. Pushes of one second have no order: the entry's own counts if it is
// among them.
func (l *Ledger) Head(entry *v1alpha1.ImageVerification, tag string) lifecycle.Head {
	h := l.index.known(entry.Spec.Trigger.UID, RepositoryOf(entry)).tag(tag)
	if h.Digest == "" {
		return lifecycle.Head{}
	}
	digest := h.All()[0]
	if own := hexOf(entry.Spec.Digest); h.Has(own) {
		digest = own
	}
	return lifecycle.Head{Digest: digestPrefix + digest, PushedAt: time.Unix(h.PushedAt, 0).UTC(), Sequence: h.Sequence}
}
