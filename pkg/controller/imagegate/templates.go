package imagegate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

const (
	// templatePage is how many workloads are read at once.
	templatePage = 200
	// maxUntrusted is how many workloads one gate lists whose label does not count. With
	// names of full length these are 200 KB, beside 1.2 MB of digests. If there are more,
	// no workload's label counts. In a namespace that has more than maxUntrustedIn, none of
	// its workloads' labels counts, and it takes the room of one.
	maxUntrusted   = 500
	maxUntrustedIn = 20
	// maxEntered is how many namespaces are listed one by one.
	maxEntered = 50
	// maxUntrustedShown bounds status.untrustedTemplates.
	maxUntrustedShown = 20
	// templateRecheck is how often labelled templates are listed again while some are
	// untrusted: some of them may have lost the label, and controllers may have made others
	// of them.
	templateRecheck = 10 * time.Minute
	templateRetry   = 10 * time.Second
)

// notListed is written while nobody knows which workloads carried the label before the gate
// guarded it: then no workload's label counts. So it is in Audit and Warn, where anybody may set
// the label: they tell what Deny would refuse, and refuse nothing.
func notListed() map[string]string {
	return map[string]string{gate.EveryOwner: "no workload's label counts before mode Deny is in force and the templates that have it were listed"}
}

// guardState is what is known of the templates that carried the label before a gate in mode
// Deny guarded it.
type guardState struct {
	// since is when this process first saw the gate in Deny without a list; zero if it is
	// not, or if there is a list.
	since time.Time
	// owners are the workloads whose label does not count. Nil is not known.
	owners map[string]string
	// listed are the namespaces that the list covers. Nil if another process made it: then
	// mark says which it covers.
	listed map[types.UID]bool
	// mark is what the gate's status is to say of the namespaces that the list covers.
	mark string
	// relist is when to look at them again.
	relist time.Time
	// failed is true if the last attempt failed.
	failed bool
	// unlisted is true if this process saw the gate in another mode than Deny: what the gate's
	// objects say then may be older.
	unlisted bool
}

// Guard returns the workloads whose break-glass label does not count, by UID, given what the
// gate's objects say. Only what carried the label before mode Deny was in force counts as
// such; later, setting the label takes the right to bypass the gate. So the list is made once
// after each change to Deny, and no label of a workload counts before it is complete. A
// namespace that the gate comes to gate later is listed then: nobody guarded it before.
func (o *Observer) Guard(g *v1alpha1.ImageGate, written map[string]string) map[string]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.of(g)
	if s.report.Generation != g.Generation {
		wake(o.wakeCensus) // the rules of this generation are known by now
		wake(o.wakeTemplates)
	}
	d := &s.guard
	_, none := written[gate.EveryOwner]
	switch guarding := g.Spec.Mode == v1alpha1.GateDeny && g.Status.Mode == v1alpha1.GateDeny; {
	case !guarding:
		*d = guardState{unlisted: true}
		return notListed()
	case d.owners != nil:
		return d.owners
	case written != nil && !none && !d.unlisted:
		d.owners, d.since, d.relist, d.mark = written, time.Time{}, o.Now(), g.Status.TemplatesListed
		wake(o.wakeTemplates)
		return d.owners
	case d.since.IsZero():
		d.since = o.Now()
		wake(o.wakeTemplates)
	}
	return notListed()
}

// runTemplates lists templates when it is time to.
func (o *Observer) runTemplates(ctx context.Context) {
	for {
		if !await(ctx, o.wakeTemplates, o.templates(ctx)) {
			return
		}
	}
}

// guarded is a gate whose templates have to be listed.
type guarded struct {
	*v1alpha1.ImageGate
	scope Scope
	// before are the workloads that were untrusted. Nil for the first list.
	before map[string]string
	// listed and mark say which namespaces the list of before covers. gated are the gated
	// ones, and entered the names of those that it does not cover.
	listed, gated map[types.UID]bool
	mark          string
	entered       map[string]bool
	since         time.Time
	// whole is true if all namespaces have to be listed, and false if the entered ones.
	whole bool
	found map[string]string
	// foundIn counts what was found by namespace.
	foundIn map[string]int
	many    bool
}

// templates lists templates for the gates for which it is time, and says when to come again.
func (o *Observer) templates(ctx context.Context) time.Duration {
	due, again := o.dueTemplates(ctx)
	if len(due) == 0 {
		return again
	}
	if err := o.listDue(ctx, due); err != nil {
		if ctx.Err() == nil {
			o.Log.Warn("listing the templates that carry the break-glass label failed; until then no workload's label counts where it was not listed before", zap.Error(err))
		}
		return templateRetry
	}
	_, again = o.dueTemplates(ctx)
	return again
}

// listDue lists all namespaces once for the gates that need that, and for each of the others
// those that it has come to gate: whoever makes namespaces shall not cost a list of everything.
func (o *Observer) listDue(ctx context.Context, due []*guarded) error {
	var whole []*guarded
	var failed error
	for _, d := range due {
		if d.whole {
			whole = append(whole, d)
			continue
		}
		var err error
		for _, namespace := range slices.Sorted(maps.Keys(d.entered)) {
			if err = o.listTemplates(ctx, []*guarded{d}, namespace); err != nil {
				break
			}
		}
		o.listed(d, err)
		failed = errors.Join(failed, err)
	}
	if len(whole) > 0 {
		err := o.listTemplates(ctx, whole, metav1.NamespaceAll)
		for _, d := range whole {
			o.listed(d, err)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

func (o *Observer) dueTemplates(ctx context.Context) (due []*guarded, again time.Duration) {
	again = templateRecheck
	for name, scope := range o.led() {
		d, at := o.guarding(name, scope)
		if d == nil {
			continue
		}
		again = min(again, o.Interval) // namespaces may enter
		left := at.Sub(o.Now())
		if !d.since.IsZero() && left > 0 {
			again = min(again, left)
			continue
		}
		err := o.Cached.Get(ctx, client.ObjectKey{Name: name}, d.ImageGate)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil || d.UID != scope.UID || d.Generation != scope.Generation {
			again = min(again, time.Second)
			continue
		}
		switch err := o.cover(ctx, d); {
		case err != nil:
			o.Log.Warn("finding the namespaces that a gate gates failed", zap.String("gate", name), zap.Error(err))
			again = min(again, time.Second)
		case d.since.IsZero() && left > 0 && len(d.entered) == 0:
			o.covers(d)
			again = min(again, left)
		default:
			d.whole = d.before == nil || left <= 0 || len(d.entered) > maxEntered
			if !d.whole {
				d.found = maps.Clone(d.before)
			}
			due = append(due, d)
		}
	}
	return due, again
}

// guarding returns what is known of a gate that guards templates, and when to list them; nil
// for another gate.
func (o *Observer) guarding(name string, scope Scope) (d *guarded, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.gates[name]
	if s == nil || (s.guard.since.IsZero() && s.guard.owners == nil) {
		return nil, time.Time{}
	}
	d = &guarded{
		ImageGate: &v1alpha1.ImageGate{}, scope: scope, before: s.guard.owners, since: s.guard.since,
		listed: s.guard.listed, mark: s.guard.mark, found: map[string]string{}, foundIn: map[string]int{},
	}
	if _, many := d.before[gate.EveryOwner]; many {
		d.before = nil
	}
	switch {
	case !d.since.IsZero():
		at = d.since.Add(o.Settle)
	case len(s.guard.owners) > 0:
		at = s.guard.relist
	default:
		at = o.Now().Add(templateRecheck) // none is untrusted: there is nothing to look at again
	}
	return d, at
}

// cover finds the namespaces that a gate gates, and those that its list does not cover: nobody
// guarded the label there before. What another process listed was in force for the namespaces
// of its mark.
func (o *Observer) cover(ctx context.Context, d *guarded) error {
	selector, err := metav1.LabelSelectorAsSelector(&d.Spec.NamespaceSelector)
	if err != nil {
		return fmt.Errorf("spec.namespaceSelector: %w", err)
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := o.Cached.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing namespaces: %w", err)
	}
	rule, version := d.rule(), "0"
	listedRule, listedVersion, _ := strings.Cut(d.mark, "-")
	d.gated, d.entered = map[types.UID]bool{}, map[string]bool{}
	for i := range list.Items {
		n := &list.Items[i]
		if newer(n.ResourceVersion, version) {
			version = n.ResourceVersion
		}
		if !selector.Matches(labels.Set(n.Labels)) || d.scope.Has(n.Name) {
			continue
		}
		d.gated[n.UID] = true
		covered := d.listed[n.UID]
		if d.listed == nil {
			covered = listedRule == rule && !newer(n.ResourceVersion, listedVersion)
		}
		if !covered {
			d.entered[n.Name] = true
		}
	}
	d.mark = rule + "-" + version
	return nil
}

// rule tells apart by what a gate gates namespaces.
func (d *guarded) rule() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", d.Spec.NamespaceSelector.String(), d.scope.Names, d.scope.Prefixes))
	return hex.EncodeToString(sum[:4])
}

// covers notes that a list covers all namespaces that are gated now.
func (o *Observer) covers(d *guarded) {
	o.mu.Lock()
	s := o.gates[d.Name]
	news := s != nil && s.uid == d.UID && s.guard.owners != nil && s.guard.mark != d.mark
	if news {
		s.guard.listed, s.guard.mark = d.gated, d.mark
	}
	o.mu.Unlock()
	if news {
		o.Changed(d.Name)
	}
}

// listed takes over a list of templates.
func (o *Observer) listed(d *guarded, err error) {
	o.mu.Lock()
	s := o.gates[d.Name]
	if s == nil || s.uid != d.UID || s.guard.since != d.since || (s.guard.owners == nil && s.guard.since.IsZero()) {
		o.mu.Unlock()
		return // the gate left Deny meanwhile
	}
	tell := err != nil && !s.guard.failed
	s.guard.failed = err != nil
	added := 0
	for uid := range d.found {
		if _, was := d.before[uid]; !was {
			added++
		}
	}
	if err == nil {
		owners := d.found
		if d.many {
			owners = map[string]string{gate.EveryOwner: fmt.Sprintf("more than %d templates carried the label", maxUntrusted)}
		}
		relist := s.guard.relist
		if d.whole {
			relist = o.Now().Add(templateRecheck)
		}
		s.guard = guardState{owners: owners, listed: d.gated, mark: d.mark, relist: relist}
	}
	o.mu.Unlock()
	if tell {
		meanwhile := "so that the label of none counts: "
		if d.before != nil {
			meanwhile = "so that it counts for those in namespaces that the gate has come to gate: "
		}
		o.Recorder.Eventf(d.ImageGate, corev1.EventTypeWarning, "TemplatesNotListed", "%s", cut(
			"the workloads that carried the break-glass label before the gate guarded it cannot be listed, "+meanwhile+err.Error()))
	}
	if err == nil && added > 0 && (d.before == nil || len(d.entered) > 0) {
		o.Recorder.Eventf(d.ImageGate, corev1.EventTypeWarning, "UntrustedTemplates",
			"%d workloads carried the break-glass label before the gate guarded it; it does not count for their Pods", added)
	}
	o.Changed(d.Name)
}
