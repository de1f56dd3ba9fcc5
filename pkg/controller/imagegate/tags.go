package imagegate

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// tagsObject is the object that holds a gate's tags. The policy of references without a
// digest looks it up, so that it exists even if it is empty.
type tagsObject struct {
	meta         *metav1.ObjectMeta
	tags, owners map[string]string
	known        bool
	lost         bool
	// since is when the object was first seen to differ; zero if it does not.
	since time.Time
	// rested is when it may be written again at the earliest.
	rested time.Time
}

// tagsRest is how long an object of tags rests after a write. Each push changes one, and it
// is written as a whole: those of all gates share a part of the rate, so that large ones do
// not take what digests need.
func (p *pass) tagsRest(bytes int) time.Duration {
	return p.budget.Rest(bytes*max(len(p.all()), 1), tagsShare)
}

// writeTags writes the object of tags if it is not what it should be.
func (p *pass) writeTags(ctx context.Context, plan *plan) error {
	t, name := &p.state.tags, gate.TagsName(p.gate.Name)
	seen, ok := p.state.version(name)
	if t.known && t.meta != nil && ok && (seen == "" || newer(seen, t.meta.ResourceVersion)) {
		p.tell(corev1.EventTypeWarning, "PutBack", "somebody else changed or deleted VerifiedImages %s; it is put back", name)
		t.known, t.rested = false, time.Time{}
	}
	if !t.known {
		if err := p.readTags(ctx, name, plan); err != nil {
			return err
		}
	}
	tags, owners := p.tags(), t.owners
	if p.Running != nil {
		owners = p.owners
	}
	if p.owns(t.meta) && maps.Equal(t.tags, tags) && maps.Equal(t.owners, owners) {
		t.since = time.Time{}
		return nil
	}
	// A tag that is pinned to what failed is refused by its digest, so that tags can wait.
	urgency, rested := gate.Addition, t.rested
	switch {
	case t.lost:
		urgency = gate.Revocation
	case !maps.Equal(t.owners, owners):
		urgency, rested = gate.Removal, time.Time{}
	}
	if t.since.IsZero() {
		t.since = p.now
	}
	if left := readyAt(t.since, rested, coalesce).Sub(p.now); left > 0 && t.meta != nil {
		p.soon(left)
		return nil
	}
	size := bytesOf(tags)
	if wait, ok := p.spend(urgency, size); !ok {
		p.soon(wait)
		return nil
	}
	o := &v1alpha1.VerifiedImages{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.SystemNamespace, Name: name},
		Tags:       tags, UntrustedOwners: owners,
	}
	p.own(&o.ObjectMeta)
	err := p.put(ctx, o, t.meta)
	switch {
	case outdated(err, t.meta != nil):
		t.known = false
		p.soon(0)
		return nil
	case apierrors.IsNotFound(err):
		return fmt.Errorf("writing VerifiedImages %q: %w: %w", name, errNowhere, err)
	case err != nil:
		return fmt.Errorf("writing VerifiedImages %q: %w", name, err)
	}
	*t = tagsObject{meta: &o.ObjectMeta, tags: tags, owners: owners, known: true, rested: p.now.Add(p.tagsRest(size))}
	return nil
}

func (p *pass) readTags(ctx context.Context, name string, plan *plan) error {
	t := &p.state.tags
	var o v1alpha1.VerifiedImages
	err := p.Live.Get(ctx, client.ObjectKey{Namespace: p.SystemNamespace, Name: name}, &o)
	switch {
	case apierrors.IsNotFound(err):
		*t = tagsObject{known: true, since: t.since, lost: plan.bound(gate.OneShard) || plan.bound(gate.SixteenShards)}
	case err != nil:
		return fmt.Errorf("reading VerifiedImages %q: %w", name, err)
	default:
		o.ManagedFields = nil
		*t = tagsObject{meta: &o.ObjectMeta, tags: o.Tags, owners: o.UntrustedOwners, known: true, since: t.since, rested: t.rested}
	}
	return nil
}

// tags are what tags stand for. Every push of every trusted entry counts for them, so that
// they are concluded at intervals that leave most of the time for the rest. Digests do not
// wait for them: a tag that is pinned to a digest that failed is refused by its digest.
func (p *pass) tags() map[string]string {
	s := p.state
	if p.gate.Spec.PinTags == v1alpha1.PinOff {
		s.pinned = gate.PinnedTags{}
		return nil
	}
	if !s.tagsTouched {
		return s.pinned.Tags
	}
	if left := s.tagsNext.Sub(p.now); left > 0 {
		p.soon(left)
		if s.pinned.Tags == nil {
			return s.tags.tags
		}
		return s.pinned.Tags
	}
	exempt, err := gate.ExemptionsOf(p.gate)
	if err != nil {
		return s.tags.tags // the spec is not valid, which Ready says
	}
	rules, _ := s.judges()
	begun := p.Now()
	s.pinned = rules.Pins(p.gate.Spec.PinTags, p.entries.pushes(rules), p.find, func(name gate.Name) bool {
		return exempt.Match(name.String(), p.now)
	}, gate.MaxTagBytes)
	s.tagsTouched, s.tagsNext = false, p.now.Add(max(coalesce, 20*p.Now().Sub(begun)))
	return s.pinned.Tags
}

// bytesOf is about how large an object of tags is.
func bytesOf(tags map[string]string) int {
	size := 1 << 10
	for name, to := range tags {
		size += len(name) + len(to) + 6
	}
	return size
}
