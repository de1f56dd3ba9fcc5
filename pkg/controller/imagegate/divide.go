package imagegate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/gate"
)

// nameTakenError says that an object stands where one of the gate's should.
type nameTakenError struct{ kind, name, owner string }

func (e *nameTakenError) Error() string {
	if e.owner == "" {
		return fmt.Sprintf("%s %s exists and belongs to no gate; delete it, or rename the gate", e.kind, e.name)
	}
	return fmt.Sprintf("%s %s belongs to gate %q; rename one of the gates", e.kind, e.name, e.owner)
}

// divide puts the policies of the wanted division in force, and then removes everything
// else that the gate owns.
func (p *pass) divide(ctx context.Context, plan *plan) error {
	other := gate.OneShard
	if p.shards == gate.OneShard {
		other = gate.SixteenShards
	}
	dividing := plan.bound(other)
	if !plan.bound(p.shards) && !p.ready(dividing, other) {
		p.preparing = "the digests are written before the policies that look them up; the budget of bytes sets the pace"
		p.soon(coalesce)
		if dividing {
			p.dividing = fmt.Sprintf("the digests are being divided among %d objects; those of before are in force meanwhile", p.shards)
			return p.ensure(ctx, plan, other)
		}
		return nil
	}
	if err := p.ensure(ctx, plan, p.shards); err != nil {
		return err
	}
	p.inForce = true
	failpoint.Hit("gate.policies-written")
	if dividing {
		gone, err := p.replaces(ctx, plan, other)
		if err != nil || !gone {
			p.inForce = err == nil
			return err
		}
	}
	delete(p.state.proven, p.shards)
	return p.removeOthers(ctx, plan)
}

// ready reports whether everything is written that the wanted division looks up.
func (p *pass) ready(dividing bool, other gate.Shards) bool {
	if p.state.tags.meta == nil {
		return false
	}
	wanted, present := p.state.divisions[p.shards], p.state.divisions[other]
	for i, pg := range wanted.pages {
		if pg.meta == nil || !pg.complete {
			return false
		}
		for j, old := range present.pages {
			if dividing && (i == 0 || j == 0 || i == j) && !pg.Covers(old.Page, p.state.desired, p.now) {
				return false
			}
		}
	}
	return true
}

// replaces reports whether the policies of the other division may go, since those of the
// wanted one refuse what they should.
func (p *pass) replaces(ctx context.Context, plan *plan, other gate.Shards) (bool, error) {
	s := p.state
	if !p.ready(true, other) {
		p.dividing = "the objects of both divisions are brought to the same content"
		p.soon(coalesce)
		return false, nil
	}
	since, known := s.proven[p.shards]
	if !known {
		// In the other modes nothing can be refused, and a gap of some seconds costs an
		// annotation in the audit log.
		if p.mode == v1alpha1.GateDeny {
			if missing, err := p.probe(ctx, plan); err != nil || missing != "" {
				p.dividing = fmt.Sprintf("both divisions are in force until the new one is seen to refuse in a dry-run: %s", missing)
				p.soon(5 * time.Second)
				return false, err
			}
		}
		since = p.Now()
		s.proven[p.shards] = since
		failpoint.Hit("gate.proven")
	}
	if left := since.Add(settle).Sub(p.Now()); left > 0 {
		p.dividing = fmt.Sprintf("both divisions are in force for %s more", left.Round(time.Second))
		p.soon(left)
		return false, nil
	}
	return true, nil
}

// ensure makes the policies and bindings of a division what they should be.
func (p *pass) ensure(ctx context.Context, plan *plan, shards gate.Shards) error {
	for _, key := range plan.order[shards] {
		wanted, ok := plan.wanted[shards][key].DeepCopyObject().(client.Object)
		if !ok {
			return fmt.Errorf("%s is no object of the API server", key)
		}
		if err := p.ensureOne(ctx, key, wanted, plan.exists[key]); err != nil {
			return err
		}
	}
	return nil
}

func (p *pass) ensureOne(ctx context.Context, key objectKey, wanted client.Object, live *metav1.PartialObjectMetadata) error {
	encoded, err := json.Marshal(wanted)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", key, err)
	}
	sum := sha256.Sum256(encoded)
	hash := hex.EncodeToString(sum[:])
	before, known := p.state.accepted[key.String()]
	if live != nil {
		if owner := live.Labels[v1alpha1.GateLabel]; owner != "" && owner != p.gate.Name {
			return &nameTakenError{key.kind, key.name, owner}
		}
		if known && before.hash == hash && before.uid == live.UID && live.Generation <= before.generation &&
			live.Labels[v1alpha1.GateLabel] == p.gate.Name &&
			equality.Semantic.DeepEqual(live.OwnerReferences, wanted.GetOwnerReferences()) {
			before.until = time.Time{} // from now on its absence means that somebody deleted it
			p.state.accepted[key.String()] = before
			return nil
		}
	} else if known && before.hash == hash && p.now.Before(before.until) {
		p.soon(before.until.Sub(p.now))
		return nil // the watch has not brought what was just made
	}
	edited := known && before.hash == hash
	err = p.held(ctx, p.gate.Name, func(ctx context.Context) error {
		if live == nil {
			return p.Live.Create(ctx, wanted, fieldOwner)
		}
		wanted.SetResourceVersion(live.ResourceVersion)
		wanted.SetUID(live.UID)
		return p.Live.Update(ctx, wanted, fieldOwner)
	})
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), live != nil && apierrors.IsNotFound(err):
		delete(p.state.accepted, key.String())
		p.soon(200 * time.Millisecond) // the watch brings what there is
		if apierrors.IsNotFound(err) {
			p.notFound()
		}
		return nil
	case err != nil:
		return fmt.Errorf("writing %s: %w", key, err)
	}
	if edited && (live == nil || wanted.GetGeneration() != live.Generation) {
		p.tell(corev1.EventTypeWarning, "PutBack", "somebody else changed or deleted %s; it is put back", key)
	}
	if live == nil {
		failpoint.Hit("gate.made." + key.kind)
	}
	p.state.wrote = p.now
	p.state.accepted[key.String()] = accepted{hash, wanted.GetUID(), wanted.GetGeneration(), p.now.Add(watchLag)}
	return nil
}

// removeOthers removes what the gate owns and does not need: bindings, then policies, then
// what they look up.
func (p *pass) removeOthers(ctx context.Context, plan *plan) error {
	keep := map[objectKey]bool{}
	for key := range plan.wanted[p.shards] {
		keep[key] = true
	}
	for _, pg := range p.state.divisions[p.shards].pages {
		keep[objectKey{"VerifiedImages", pg.name}] = true
	}
	keep[objectKey{"VerifiedImages", gate.TagsName(p.gate.Name)}] = true
	s := p.state
	for key := range s.leaving {
		if keep[key] || plan.exists[key] == nil {
			delete(s.leaving, key)
		}
	}
	err := p.remove(ctx, p.gate.Name, plan.exists, func(key objectKey) bool {
		if keep[key] || key.kind != "VerifiedImages" {
			return keep[key]
		}
		// Its policies went before, and API servers need a moment to learn of that.
		since, known := s.leaving[key]
		if !known {
			since = p.now
			s.leaving[key] = since
		}
		left := since.Add(settle).Sub(p.now)
		if left > 0 {
			p.soon(left)
		}
		return left > 0
	}, p.removed)
	if err != nil {
		return err
	}
	for shards, d := range s.divisions {
		if shards == p.shards {
			continue
		}
		for _, pg := range d.pages {
			if pg.meta != nil && s.removed[pg.meta.UID] {
				pg.meta, pg.Page, pg.complete = nil, gate.NewPage(nil, nil), false
			}
		}
		d.unlook()
	}
	return nil
}

// removed notes that an object is gone, which the watch may still show.
func (p *pass) removed(uid types.UID) { p.state.removed[uid] = true }

// remove deletes what exists with the gate's label, but for what is kept.
func (r *Reconciler) remove(ctx context.Context, name string, exists map[objectKey]*metav1.PartialObjectMetadata,
	keep func(objectKey) bool, removed func(types.UID),
) error {
	var keys []objectKey
	for key, o := range exists {
		if o.Labels[v1alpha1.GateLabel] == name && !keep(key) {
			keys = append(keys, key)
		}
	}
	order := func(k objectKey) int {
		switch {
		case k.binding():
			return 0
		case k.kind != "VerifiedImages":
			return 1
		default:
			return 2
		}
	}
	slices.SortFunc(keys, func(a, b objectKey) int {
		if d := order(a) - order(b); d != 0 {
			return d
		}
		return slices.Compare([]string{a.kind, a.name}, []string{b.kind, b.name})
	})
	for _, key := range keys {
		o := exists[key].DeepCopy()
		err := r.held(ctx, name, func(ctx context.Context) error {
			return r.Live.Delete(ctx, o, client.Preconditions{UID: &o.UID})
		})
		if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting %s: %w", key, err)
		}
		removed(o.UID)
		failpoint.Hit("gate.removed." + key.kind)
	}
	return nil
}

// removeAll removes what a gate left that is gone, and reports what stays for a moment. The
// garbage collector removes policies and what they look up too, but in no order: a policy
// without what it looks up refuses everything. Bindings it leaves, for the kind
// VerifiedImages owns them.
func (r *Reconciler) removeAll(ctx context.Context, name string) (wait time.Duration, err error) {
	exists, err := r.labelled(ctx, name)
	if err != nil {
		return 0, err
	}
	var left bool
	gone := len(exists) > 0 && r.gone(name)
	err = r.remove(ctx, name, exists, func(key objectKey) bool {
		stays := key.kind == "VerifiedImages" && !gone
		left = left || stays
		return stays
	}, func(types.UID) {})
	if err != nil {
		r.stays(name) // what bound it may still be there
		return 0, err
	}
	if !left {
		return 0, nil
	}
	return settle, nil
}

// labelled looks up in the cache what carries a gate's label.
func (r *Reconciler) labelled(ctx context.Context, name string) (map[objectKey]*metav1.PartialObjectMetadata, error) {
	exists := map[objectKey]*metav1.PartialObjectMetadata{}
	for _, kind := range r.owned() {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind)
		if err := r.Cached.List(ctx, list, client.UnsafeDisableDeepCopy, client.MatchingLabels{v1alpha1.GateLabel: name}); err != nil {
			return nil, fmt.Errorf("listing %s: %w", kind.Kind, err)
		}
		for i := range list.Items {
			list.Items[i].SetGroupVersionKind(kind)
			exists[objectKey{kind.Kind, list.Items[i].Name}] = &list.Items[i]
		}
	}
	return exists, nil
}

// unbind takes all policies of the gate out of force.
func (p *pass) unbind(ctx context.Context) error {
	exists, err := p.labelled(ctx, p.gate.Name)
	if err != nil {
		return err
	}
	return p.remove(ctx, p.gate.Name, exists, func(key objectKey) bool { return !key.binding() }, p.removed)
}

// stays notes that a gate's policies are there.
func (r *Reconciler) stays(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.leaving, name)
}

// gone reports whether the policies of a gate that is gone were removed long enough ago.
func (r *Reconciler) gone(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, known := r.leaving[name]
	if !known {
		r.leaving[name] = r.Now()
		return false
	}
	if r.Now().Sub(since) < settle {
		return false
	}
	delete(r.leaving, name)
	return true
}

func asTaken(err error, to **nameTakenError) bool { return errors.As(err, to) }
