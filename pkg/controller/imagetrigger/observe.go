package imagetrigger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/filter"
	"github.com/revet-dev/revet/pkg/sandbox"
	"github.com/revet-dev/revet/pkg/selector"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/sweep"
	"github.com/revet-dev/revet/pkg/tekton"
)

// maxNamespaces bounds how many namespaces of one trigger a pass asks about. A sweep asks
// about the others, where there is something new.
const maxNamespaces = 100

// maxRightQuestions bounds the access reviews about streams in one pass. It is enough for all names
// that selectors can list in one namespace.
const maxRightQuestions = 300

// observed is what one pass read about a trigger. A nil or empty field means that all is
// well only where the field says so.
type observed struct {
	// selectorErr, filterErr and sandboxErr are nil if they compile.
	selectorErr error
	filterErr   error
	sandboxErr  error
	selector    *selector.Selector

	uri string
	// sinkErr is nil if uri may be used.
	sinkErr *tekton.SinkError
	report  tekton.Report
	// classMissing is true if the requested RuntimeClass does not exist; otherwise
	// classSince is when it was made, zero if none is requested.
	classMissing bool
	classSince   time.Time

	rights rights
	pull   pulling
	// trouble and troubleMessage say why runs do not appear; empty if they do.
	trouble        string
	troubleMessage string
	// sweep is the latest of this spec, or nil.
	sweep *sweep.Result
}

// rights is what the trigger's and the listener's accounts may do.
type rights struct {
	account        source.Account
	accountMissing bool
	// runners are the listener's accounts that may not create runs.
	runners []source.Account
	// streams is false if no ImageStreams are selected.
	streams bool
	// selected and visible count the selected namespaces that were asked about,
	// and those whose streams the account sees; hidden names some of the others.
	selected int
	visible  int
	hidden   []string
	// notAsked counts those that were asked about some names only, as there are too many.
	notAsked int
	// everywhere is true if the account sees the streams of all namespaces.
	everywhere bool
}

// compile checks what a sweep needs.
func compile(trigger *v1alpha1.ImageTrigger) observed {
	var o observed
	o.selector, o.selectorErr = selector.Compile(trigger)
	return o
}

// compileRest checks what else needs no request, and takes longer.
func (o *observed) compileRest(trigger *v1alpha1.ImageTrigger) {
	o.sandboxErr = sandbox.Check(trigger.Spec.Sandbox)
	if trigger.Spec.Filter != "" {
		_, o.filterErr = filter.Compile(trigger.Spec.Filter)
	}
}

// count refuses a trigger that does not count among those of its namespace. What it reads is
// there without a request.
func (r *Reconciler) count(ctx context.Context, trigger *v1alpha1.ImageTrigger, o *observed) error {
	if r.Cached == nil || o.selector == nil {
		return nil // the first error is told first
	}
	last, err := r.lastCounted(ctx, trigger.Namespace)
	if err != nil {
		return err
	}
	if excess := selector.Counts(trigger, last); excess != nil {
		o.selector, o.selectorErr = nil, excess
	}
	return nil
}

const (
	// manyTriggers is from how many on it is remembered for a second which trigger of a
	// namespace is the last that counts: to look through all of them for each of them would
	// take the time of other namespaces.
	manyTriggers  = 4 * selector.MaxTriggers
	rememberedFor = time.Second
	maxRemembered = 1024
)

// counted is the last trigger of a namespace that counted at a time.
type counted struct {
	last *v1alpha1.ImageTrigger
	at   time.Time
}

// lastCounted returns the last trigger of a namespace that counts; nil if all do.
func (r *Reconciler) lastCounted(ctx context.Context, namespace string) (*v1alpha1.ImageTrigger, error) {
	now := r.Now()
	r.mu.Lock()
	have, ok := r.counted[namespace]
	r.mu.Unlock()
	if age := now.Sub(have.at); ok && age >= 0 && age < rememberedFor {
		return have.last, nil
	}
	var all v1alpha1.ImageTriggerList
	if err := r.Cached.List(ctx, &all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the triggers of namespace %q: %w", namespace, err)
	}
	last := selector.LastCounted(namespace, all.Items)
	if len(all.Items) < manyTriggers || last == nil {
		return last, nil
	}
	key := v1alpha1.ImageTrigger{}
	key.Name, key.CreationTimestamp = last.Name, last.CreationTimestamp // and not all of the list
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.counted) >= maxRemembered {
		clear(r.counted)
	}
	r.counted[namespace] = counted{&key, now}
	return last, nil
}

// tooMany reports whether the trigger does not count among those of its namespace.
func (o *observed) tooMany() bool {
	var excess *selector.Excess
	return errors.As(o.selectorErr, &excess)
}

// observe reads from the API server. Its errors are transient.
func (r *Reconciler) observe(ctx context.Context, trigger *v1alpha1.ImageTrigger, o *observed, m *memory) error {
	uri, err := r.Sinks.Resolve(ctx, trigger.Namespace, trigger.Spec.Sink)
	switch {
	case err == nil:
		o.uri = uri.String()
	case errors.As(err, &o.sinkErr):
	default:
		return err
	}
	if o.report, err = r.Sinks.Check(ctx, trigger); err != nil {
		return err
	}
	if name := trigger.Spec.Sandbox.RuntimeClassName; name != "" {
		var exists bool
		if o.classSince, exists, err = r.Sinks.RuntimeClassSince(ctx, name); err != nil {
			return err
		}
		o.classMissing = !exists
	}
	if r.Runs != nil { // Inspect may do without
		if o.trouble, o.troubleMessage, err = r.Runs.Trouble(ctx, trigger.UID); err != nil {
			return err
		}
	}
	if o.rights, err = r.observeRights(ctx, trigger, o); err != nil {
		return err
	}
	o.pull = r.observePull(ctx, trigger, o, m.pulls)
	return nil
}

func (r *Reconciler) observeRights(ctx context.Context, trigger *v1alpha1.ImageTrigger, o *observed) (rights, error) {
	found := rights{account: source.AccountOf(trigger)}
	exists, err := r.Sinks.HasServiceAccount(ctx, found.account)
	if err != nil {
		return rights{}, err
	}
	found.accountMissing = !exists
	for _, runner := range o.report.Runners {
		allowed, err := r.Sinks.MayCreateRuns(ctx, runner, trigger.Namespace)
		if err != nil {
			return rights{}, err
		}
		if !allowed {
			found.runners = append(found.runners, runner)
		}
	}
	if o.selector == nil || found.accountMissing {
		return found, nil // that is reported
	}
	var others bool
	if found.streams, others = o.selector.SelectsStreams(); !found.streams {
		return found, nil
	}
	return found, r.observeStreams(ctx, trigger, others, &found)
}

// observeStreams asks which selected namespaces the account sees.
func (r *Reconciler) observeStreams(ctx context.Context, trigger *v1alpha1.ImageTrigger, others bool, found *rights) error {
	namespaces := []string{trigger.Namespace}
	if others {
		var err error
		found.everywhere, err = r.Streams.MayGet(ctx, found.account, "", "")
		if err != nil || found.everywhere {
			return err
		}
		if namespaces, err = r.selectedNamespaces(ctx, trigger); err != nil {
			return err
		}
	}
	found.selected = len(namespaces)
	hidden, left := namespaces[:min(len(namespaces), maxNamespaces)], maxRightQuestions
	for _, name := range append([]string{""}, streamNames(trigger)...) {
		if left -= len(hidden); left < 0 {
			found.notAsked = len(hidden)
			return nil
		}
		var still []string
		for _, namespace := range hidden {
			seen, err := r.Streams.MayGet(ctx, found.account, namespace, name)
			switch {
			case err != nil:
				return err
			case seen:
				found.visible++
			default:
				still = append(still, namespace)
			}
		}
		hidden = still
	}
	found.hidden = hidden
	return nil
}

// selectedNamespaces lists the namespaces that any of the selectors selects.
func (r *Reconciler) selectedNamespaces(ctx context.Context, trigger *v1alpha1.ImageTrigger) ([]string, error) {
	all, err := r.Streams.Namespaces(ctx)
	if err != nil {
		return nil, err
	}
	return SelectedNamespaces(trigger, all)
}

// streamNames returns the names without wildcards in the selectors. An account may have
// rights to these alone.
func streamNames(trigger *v1alpha1.ImageTrigger) []string {
	var names []string
	for i := range trigger.Spec.Images {
		if streams := trigger.Spec.Images[i].ImageStreams; streams != nil {
			for _, n := range streams.Names {
				if !isPattern(n) {
					names = append(names, n)
				}
			}
		}
	}
	return names
}
