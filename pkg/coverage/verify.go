package coverage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/sweep"
)

// Ledger reads entries from the API server, never from a cache.
type Ledger interface {
	Entries(ctx context.Context, namespace string) ([]v1alpha1.ImageVerification, error)
	// Entry returns nil for one that is not there.
	Entry(ctx context.Context, namespace, name string) (*v1alpha1.ImageVerification, error)
}

// ErrNoRuns means that the cluster does not know PipelineRuns.
var ErrNoRuns = errors.New("this cluster has no PipelineRuns")

// Runs reads the PipelineRuns of a namespace that carry a run's name.
type Runs interface {
	Runs(ctx context.Context, namespace string) ([]lifecycle.PipelineRun, error)
}

// The reasons why Verify does not know, besides those of package sweep.
const (
	// EntriesNotRead: the ledger could not be read again.
	EntriesNotRead = "EntriesNotRead"
	// RightsNotAsked: nobody could ask what the trigger's account may see.
	RightsNotAsked = "RightsNotAsked"
	// RunsNotRead: the PipelineRuns of the entries could not be read.
	RunsNotRead = "RunsNotRead"
	// FirstSweepIncomplete: a registry shows tags of which nobody can tell whether they
	// were pushed since the trigger was made.
	FirstSweepIncomplete = "FirstSweepIncomplete"
	// NotReadable: what cannot be read may be a signature or the like, which is exempt.
	NotReadable = "NotReadable"
)

// Sources are what Verify reads. Registry may be nil: then registries are unknown.
type Sources struct {
	Cluster  sweep.Cluster
	Images   sweep.Images
	Registry sweep.Registry
	Ledger   Ledger
	Runs     Runs
	Now      func() time.Time
}

// Verify reads everything again and gives a report of each trigger, in their order.
func Verify(ctx context.Context, s Sources, triggers []*v1alpha1.ImageTrigger) ([]Report, error) {
	v := &verifier{
		Sources: s, rights: &presume{Cluster: s.Cluster}, entries: map[string]*v1alpha1.ImageVerification{},
		runs: map[string]*runs{}, runErrors: map[string]error{},
	}
	if err := v.readEntries(ctx, triggers); err != nil {
		return nil, err
	}
	sweeper, err := v.sweeper()
	if err != nil {
		return nil, err
	}
	results := sweeper.Once(ctx, triggers...)
	reports := make([]Report, 0, len(triggers))
	for i, t := range triggers {
		reports = append(reports, v.report(ctx, t, &results[i]))
	}
	return reports, nil
}

type verifier struct {
	Sources
	rights *presume
	look   *look
	// entries are by namespace and name.
	entries map[string]*v1alpha1.ImageVerification
	// runs are by namespace; nil where they cannot be read.
	runs      map[string]*runs
	runErrors map[string]error
}

func (v *verifier) readEntries(ctx context.Context, triggers []*v1alpha1.ImageTrigger) error {
	var all []v1alpha1.ImageVerification
	read := map[string]bool{}
	for _, t := range triggers {
		if read[t.Namespace] {
			continue
		}
		read[t.Namespace] = true
		entries, err := v.Ledger.Entries(ctx, t.Namespace)
		if err != nil {
			return err
		}
		all = append(all, entries...)
	}
	for i := range all {
		v.entries[all[i].Namespace+"/"+all[i].Name] = &all[i]
	}
	v.look = newLook(all, v.Now)
	return nil
}

// sweeper is one that looks and writes nothing.
func (v *verifier) sweeper() (*sweep.Sweeper, error) {
	metrics, err := sweep.NewMetrics(noop.NewMeterProvider().Meter(""))
	if err != nil {
		return nil, err
	}
	return sweep.New(sweep.Dependencies{
		Cluster: v.rights, Images: v.Images, Registry: v.Registry, Ledger: v.look, Examiner: v.look,
		Metrics: metrics, Log: zap.NewNop(), Now: v.Now, Done: func(types.NamespacedName) {},
	}, sweep.DefaultOptions())
}

// report says of one trigger what was found. A ledger or runs that cannot be read make
// this trigger not known, and no other one.
func (v *verifier) report(ctx context.Context, t *v1alpha1.ImageTrigger, swept *sweep.Result) Report {
	asOf := metav1.NewTime(swept.StartedAt.Truncate(time.Second))
	r := Report{Namespace: t.Namespace, Trigger: t.Name, Verified: true, AsOf: &asOf, Repositories: int(swept.Repositories)}
	for _, u := range swept.Unknown {
		r.unknown(u)
	}
	if err := v.rights.presumed(source.AccountOf(t)); err != nil {
		r.unknown(v1alpha1.Unknown{
			Reason: RightsNotAsked, Count: 1, Cure: rightsCure(err, t.Namespace),
			Message: "nobody knows what the trigger's account may see; the report takes it to be everything: " + err.Error(),
		})
	}
	v.readRuns(ctx, t.Namespace)
	f := v.look.of(t.UID)
	err := v.lookAgain(ctx, t, f)
	if err == nil {
		err = v.auditCovered(ctx, t, f, &r)
	}
	if err != nil {
		r.unknown(v1alpha1.Unknown{Reason: EntriesNotRead, Count: 1, Message: err.Error(), Cure: "run the command again"})
	}
	if err := v.runErrors[t.Namespace]; err != nil && v.needsRuns(t, err) {
		r.unknown(v1alpha1.Unknown{
			Reason: RunsNotRead, Count: 1, Cure: runsCure(err, t.Namespace),
			Message: "the runs of the entries could not be checked: " + err.Error(),
		})
	}
	unread := v.addOpen(t, f, &r)
	r.addExempt(f)
	v.addDoubles(t, &r)
	r.order()
	r.conclude(r.Gap - unread)
	return r
}

// needsRuns reports whether a trigger cannot be verified without the runs, which could
// not be read. If the cluster has no PipelineRuns at all, entries that claim no run need
// none.
func (v *verifier) needsRuns(t *v1alpha1.ImageTrigger, err error) bool {
	if !errors.Is(err, ErrNoRuns) {
		return true
	}
	for _, e := range v.entries {
		if e.Namespace == t.Namespace && e.Spec.Trigger.UID == string(t.UID) && len(e.Status.Runs) > 0 {
			return true
		}
	}
	return false
}

func (v *verifier) readRuns(ctx context.Context, namespace string) {
	if v.runs[namespace] != nil || v.runErrors[namespace] != nil {
		return
	}
	all, err := v.Runs.Runs(ctx, namespace)
	if err != nil {
		v.runErrors[namespace] = err
		return
	}
	v.runs[namespace] = newRuns(all)
}

// lookAgain moves what was recorded since the ledger was read to what is covered.
func (v *verifier) lookAgain(ctx context.Context, t *v1alpha1.ImageTrigger, f *found) error {
	for o := range f.open {
		if err := v.readEntry(ctx, t.Namespace, ledger.EntryName(string(t.UID), o.Repository, o.Digest)); err != nil {
			return err
		}
	}
	for o := range f.open {
		if v.look.ledger.Known(t, o.Repository).Covers(o) {
			delete(f.open, o)
			f.covered[o] = true
		}
	}
	return nil
}

func (v *verifier) readEntry(ctx context.Context, namespace, name string) error {
	e, err := v.Ledger.Entry(ctx, namespace, name)
	if err != nil {
		return err
	}
	key := namespace + "/" + name
	if e == nil {
		delete(v.entries, key)
		return nil
	}
	v.entries[key] = e
	v.look.observe(e)
	return nil
}

// auditCovered counts what is covered by entries that stand up to it.
func (v *verifier) auditCovered(ctx context.Context, t *v1alpha1.ImageTrigger, f *found, r *Report) error {
	findings, err := v.audit(ctx, t)
	if err != nil {
		return err
	}
	r.Pushes += len(f.covered)
	for o := range f.covered {
		name := ledger.EntryName(string(t.UID), o.Repository, o.Digest)
		e := v.entries[t.Namespace+"/"+name]
		problem := findings[name]
		var tag *v1alpha1.TagStatus
		if e != nil {
			tag = tagOf(e, o.Tag)
		}
		switch {
		case tag == nil: // covered by an entry of another name, or one that has gone
			r.uncover(o, "", finding{NotRecorded, ""})
		case problem.reason != "":
			r.uncover(o, name, problem)
		default:
			r.Covered++
			r.count(e, tag)
		}
	}
	return nil
}

// audit returns what is wrong with the trigger's entries, by name. What seems wrong
// is read again first.
func (v *verifier) audit(ctx context.Context, t *v1alpha1.ImageTrigger) (map[string]finding, error) {
	findings := map[string]finding{}
	var suspects []string
	for _, e := range v.entries {
		if e.Namespace == t.Namespace && e.Spec.Trigger.UID == string(t.UID) && v.runs[t.Namespace].audit(e, v.Now()).reason != "" {
			suspects = append(suspects, e.Name)
		}
	}
	if len(suspects) == 0 {
		return findings, nil
	}
	for _, name := range suspects {
		if err := v.readEntry(ctx, t.Namespace, name); err != nil {
			return nil, err
		}
	}
	if v.runs[t.Namespace] != nil {
		delete(v.runs, t.Namespace)
		v.readRuns(ctx, t.Namespace) // without them, the records alone are checked
	}
	for _, name := range suspects {
		if e := v.entries[t.Namespace+"/"+name]; e != nil {
			if f := v.runs[t.Namespace].audit(e, v.Now()); f.reason != "" {
				findings[name] = f
			}
		}
	}
	return findings, nil
}

// addOpen counts what nothing covers. What a registry showed before its first
// complete sweep may be older than the trigger, so nobody knows; nor does anybody of tags that
// an entry has forgotten. Unread is how many pushes may be no gap.
func (v *verifier) addOpen(t *v1alpha1.ImageTrigger, f *found, r *Report) (unread int) {
	for o, found := range f.open {
		if found.source == v1alpha1.SourceExisting {
			r.unknown(v1alpha1.Unknown{Reason: FirstSweepIncomplete, Count: 1,
				Message: "a registry has had no complete sweep yet: nobody knows which of its tags were pushed since the trigger was made",
				Cure:    "wait for the controller's first complete sweep; the trigger's condition Swept says what keeps it"})
			continue
		}
		r.Pushes++
		if name, forged := v.squatter(t, o); forged != "" {
			r.uncover(o, name, finding{EntryForged, forged})
			continue
		}
		if v.look.ledger.Known(t, o.Repository).Forgot(o) {
			unread++
			r.forgotten(o, ledger.EntryName(string(t.UID), o.Repository, o.Digest))
			continue
		}
		err := f.doubted[place{o.Repository, o.Tag, o.Digest}]
		if err == nil {
			r.uncover(o, "", finding{NotRecorded, ""})
			continue
		}
		unread++
		r.uncover(o, "", finding{NotRecorded, fmt.Sprintf("it may be a signature or the like, which could not be read: %v", err)})
		r.unknown(v1alpha1.Unknown{Reason: NotReadable, Count: 1,
			Message: fmt.Sprintf("%s:%s may be a signature or the like, which is exempt; it could not be read: %v", o.Repository.Name, o.Tag, err),
			Cure:    "give the trigger's service account a pull secret for the registry, or have the operator list the registry"})
	}
	return unread
}

// forgotten counts a push of which nobody knows whether its entry covers it.
func (r *Report) forgotten(o push.Observation, entry string) {
	message := fmt.Sprintf("%s:%s shows %s, which was pushed to more tags than its entry tells of: "+
		"nobody knows whether this push is recorded", o.Repository.Name, o.Tag, o.Digest)
	r.uncover(o, entry, finding{TooManyTags, message})
	r.unknown(v1alpha1.Unknown{
		Reason: sweep.TooManyTags, Count: 1, Message: message, Cure: sweep.TooManyTagsCure(r.Namespace),
	})
}

// squatter returns the name of a push's entry if somebody created another one under it, and
// why that is not the push's.
func (v *verifier) squatter(t *v1alpha1.ImageTrigger, o push.Observation) (name, forged string) {
	name = ledger.EntryName(string(t.UID), o.Repository, o.Digest)
	if e := v.entries[t.Namespace+"/"+name]; e != nil {
		forged = ledger.Forged(e)
	}
	return name, forged
}

// addExempt counts what cannot run.
func (r *Report) addExempt(f *found) {
	for at, why := range f.exempt {
		r.Exempt = append(r.Exempt, Exempt{Repository: at.repository.Name, Tag: at.tag, Digest: at.digest.String(), Reason: why})
	}
	r.Artefacts = len(r.Exempt)
}

func (r *Report) uncover(o push.Observation, entry string, f finding) {
	u := Uncovered{Repository: o.Repository.Name, Tag: o.Tag, Digest: o.Digest.String(), Entry: entry, Reason: f.reason, Message: f.message}
	if o.Repository.Kind == push.ImageStream {
		at := metav1.NewTime(o.Created)
		u.PushedAt = &at
	}
	r.Gap++
	r.Uncovered = append(r.Uncovered, u)
}

func (v *verifier) addDoubles(t *v1alpha1.ImageTrigger, r *Report) {
	all := v.runs[t.Namespace]
	if all == nil {
		return
	}
	for _, e := range v.entries {
		if e.Namespace == t.Namespace && e.Spec.Trigger.UID == string(t.UID) {
			r.DoubledRuns = append(r.DoubledRuns, all.doubles(e)...)
		}
	}
	r.Doubled = len(r.DoubledRuns)
}

func tagOf(e *v1alpha1.ImageVerification, name string) *v1alpha1.TagStatus {
	t, ok := e.TagOf(name)
	if !ok {
		return nil
	}
	return &t
}

func parseDigest(e *v1alpha1.ImageVerification) (image.Digest, error) {
	d, err := image.ParseDigest(e.Spec.Digest)
	if err != nil {
		return d, fmt.Errorf("the entry's digest: %w", err)
	}
	return d, nil
}
