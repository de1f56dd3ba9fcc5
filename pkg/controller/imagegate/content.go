package imagegate

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/gate"
)

// division are the objects that hold a gate's digests, divided in one way.
type division struct {
	shards gate.Shards
	pages  []*page
	// looked is false if all digests have to be compared with what is written.
	looked bool
	// rested is when additions may be written again.
	rested time.Time
}

// page is one object that holds digests.
type page struct {
	*gate.Page
	name string
	// meta is the object as last read or written, without its content; nil if there is none.
	meta *metav1.ObjectMeta
	// stale is true if the object has to be read again.
	stale bool
	// lost is true if the object was there and is gone: the API server refuses everything.
	lost bool
	// complete is true once all that was known when the page was looked at is written.
	complete bool
	// owners are the untrusted owners as last written.
	owners map[string]string
	// rested is when the page may be written again.
	rested time.Time
}

// readyAt is when an object is written that differs since a time, and rests until another.
func readyAt(since, rested time.Time, coalesce time.Duration) time.Time {
	if ready := since.Add(coalesce); ready.After(rested) {
		return ready
	}
	return rested
}

func (d *division) unlook() { d.looked = false }

// lookAll compares everything, if that has not been done.
func (d *division) lookAll(desired *gate.Desired, now time.Time) {
	if d.looked {
		return
	}
	look := func(hex string) { d.pages[d.shards.Index(hex)].Look(hex, desired, now) }
	desired.Each(look)
	for _, pg := range d.pages {
		pg.Each(look)
	}
	d.looked = true
}

// look compares one digest in all divisions.
func (s *state) look(hex string, now time.Time) {
	for _, d := range s.divisions {
		d.pages[d.shards.Index(hex)].Look(hex, s.desired, now)
	}
}

func newDivision(shards gate.Shards, name string) *division {
	d := &division{shards: shards}
	for _, n := range shards.ObjectNames(name) {
		d.pages = append(d.pages, &page{Page: gate.NewPage(nil, nil), name: n})
	}
	return d
}

// load reads the objects of divisions that this process does not know yet, and those that
// somebody else wrote.
func (p *pass) load(ctx context.Context, plan *plan) error {
	s := p.state
	for _, shards := range []gate.Shards{gate.OneShard, gate.SixteenShards} {
		d := s.divisions[shards]
		if d == nil {
			d = newDivision(shards, p.gate.Name)
			for _, pg := range d.pages {
				pg.stale = true
			}
			s.divisions[shards] = d
		}
		for _, pg := range d.pages {
			if err := p.refresh(ctx, d, pg, plan); err != nil {
				return err
			}
		}
	}
	return nil
}

// refresh reads an object again if somebody else wrote it.
func (p *pass) refresh(ctx context.Context, d *division, pg *page, plan *plan) error {
	seen, known := p.state.version(pg.name)
	if known && pg.meta != nil && (seen == "" || newer(seen, pg.meta.ResourceVersion)) {
		pg.stale = true
	}
	if !pg.stale {
		return nil
	}
	before := pg.meta
	var o v1alpha1.VerifiedImages
	err := p.Live.Get(ctx, client.ObjectKey{Namespace: p.SystemNamespace, Name: pg.name}, &o)
	switch {
	case apierrors.IsNotFound(err):
		pg.meta, pg.Page = nil, gate.NewPage(nil, nil)
		pg.lost = before != nil || plan.bound(d.shards)
	case err != nil:
		return fmt.Errorf("reading VerifiedImages %q: %w", pg.name, err)
	default:
		o.ManagedFields = nil
		pg.meta, pg.Page, pg.lost, pg.owners = &o.ObjectMeta, gate.NewPage(o.Digests, o.Ran), false, o.UntrustedOwners
		for hex, at := range o.Ran {
			if t, err := time.Parse(time.RFC3339, at); err == nil && p.state.desired != nil {
				p.state.desired.Saw(hex, t)
			}
		}
		if p.Running != nil {
			p.Running.Recall(p.gate, &o)
		}
	}
	if before != nil {
		p.tell(corev1.EventTypeWarning, "PutBack", "somebody else changed or deleted VerifiedImages %s; it is put back", pg.name)
		pg.rested, d.rested = time.Time{}, time.Time{}
	}
	pg.stale, d.looked = false, false
	return nil
}

// writtenOwners are the workloads whose break-glass label does not count, as the gate's
// objects say it; nil if there is no object.
func (p *pass) writtenOwners() map[string]string {
	var all map[string]string
	for _, d := range p.state.divisions {
		for _, pg := range d.pages {
			if pg.meta == nil {
				continue
			}
			if all == nil {
				all = map[string]string{}
			}
			maps.Copy(all, pg.owners)
		}
	}
	return all
}

// newer compares resourceVersions, which are numbers that grow.
func newer(a, b string) bool {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	return (errX != nil || errY != nil) && a != b || x > y
}

// job is one object to write.
type job struct {
	division *division
	page     *page
	due      gate.Due
}

// writePages writes what the budget allows of the divisions that are kept, in the order of
// urgency.
func (p *pass) writePages(ctx context.Context, plan *plan) error {
	var jobs []job
	for _, d := range p.kept(plan) {
		for _, pg := range d.pages {
			pg.Hold(d.shards == gate.OneShard && p.shards != d.shards, p.now)
			due := pg.Due(p.state.desired, p.now, p.find)
			if pg.meta == nil {
				due.Urgency = max(due.Urgency, gate.Addition)
				if pg.lost {
					due.Urgency = gate.Revocation
				}
			}
			if p.Running != nil && !maps.Equal(pg.owners, p.owners) {
				due.Urgency = max(due.Urgency, gate.Removal)
			}
			if due.Urgency != gate.NoChange || !p.owns(pg.meta) {
				jobs = append(jobs, job{d, pg, due})
			} else {
				pg.complete = true
			}
		}
	}
	slices.SortStableFunc(jobs, func(a, b job) int {
		return cmp.Or(cmp.Compare(b.due.Urgency, a.due.Urgency), a.due.Since.Compare(b.due.Since))
	})
	for _, j := range jobs {
		if err := p.write(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// kept are the divisions whose objects are written: the wanted one, and one that is in force.
func (p *pass) kept(plan *plan) []*division {
	var kept []*division
	for _, shards := range []gate.Shards{gate.OneShard, gate.SixteenShards} {
		if shards == p.shards || plan.bound(shards) {
			kept = append(kept, p.state.divisions[shards])
		}
	}
	return kept
}

// write writes one object, unless more changes are awaited or the budget forbids it.
func (p *pass) write(ctx context.Context, j job) error {
	pg := j.page
	wait, rested := coalesce, pg.rested
	switch j.due.Urgency {
	case gate.Revocation:
		wait = coalesceRevocations
	case gate.Addition:
		rested = j.division.rested
	default:
	}
	if pg.meta != nil {
		if left := readyAt(j.due.Since, rested, wait).Sub(p.now); left > 0 {
			p.soon(left)
			return nil
		}
	}
	digests, ran, omitted := pg.Next(p.state.desired, p.Limits.Room(j.division.shards), p.now)
	bytes := gate.Bytes(digests, ran)
	if wait, ok := p.spend(j.due.Urgency, bytes); !ok {
		p.soon(wait)
		return nil
	}
	o := &v1alpha1.VerifiedImages{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.SystemNamespace, Name: pg.name},
		Digests:    digests, Ran: ran, UntrustedOwners: pg.owners,
	}
	if p.Running != nil {
		o.UntrustedOwners = p.owners
	}
	p.own(&o.ObjectMeta)
	err := p.put(ctx, o, pg.meta)
	switch {
	case outdated(err, pg.meta != nil):
		pg.stale = true
		p.soon(0)
		return nil
	case apierrors.IsNotFound(err):
		return fmt.Errorf("writing VerifiedImages %q: %w: %w", pg.name, errNowhere, err)
	case err != nil:
		return fmt.Errorf("writing VerifiedImages %q: %w", pg.name, err)
	}
	if pg.meta == nil {
		failpoint.Hit("gate.made.VerifiedImages")
	}
	pg.meta, pg.lost, pg.complete, pg.owners = &o.ObjectMeta, false, true, o.UntrustedOwners
	pg.Wrote(digests, ran, omitted)
	rest := p.budget.Rest(bytes, digestsShare)
	j.division.rested, pg.rested = p.now.Add(rest), p.now.Add(min(rest, longestRest))
	return nil
}

// put creates an object, or updates it if it was read or written before.
func (p *pass) put(ctx context.Context, o *v1alpha1.VerifiedImages, before *metav1.ObjectMeta) error {
	err := p.held(ctx, p.gate.Name, func(ctx context.Context) error {
		if before == nil {
			return p.Live.Create(ctx, o, fieldOwner)
		}
		o.ResourceVersion, o.UID = before.ResourceVersion, before.UID
		return p.Live.Update(ctx, o, fieldOwner)
	})
	o.ManagedFields = nil
	return err
}

// outdated reports whether a write failed because the object is another one now, or is there
// or is gone: it has to be read again.
func outdated(err error, there bool) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || there && apierrors.IsNotFound(err)
}

// spend takes the bytes of a write from the budget that all gates share.
func (p *pass) spend(u gate.Urgency, bytes int) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.budget.Spend(u, bytes, p.now)
}

// own makes the gate the owner of an object.
func (p *pass) own(o *metav1.ObjectMeta) {
	o.Labels = map[string]string{v1alpha1.GateLabel: p.gate.Name, "app.kubernetes.io/part-of": "revet"}
	o.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(p.gate, v1alpha1.GroupVersion.WithKind("ImageGate"))}
}

// owns reports whether an object is the gate's.
func (p *pass) owns(o *metav1.ObjectMeta) bool {
	return o != nil && o.Labels[v1alpha1.GateLabel] == p.gate.Name && metav1.IsControlledBy(o, p.gate)
}

// fieldOwner is under which name the API server records writes.
const fieldOwner = client.FieldOwner("revet-controller")
