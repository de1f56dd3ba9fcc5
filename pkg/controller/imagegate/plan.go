package imagegate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// Owned are the kinds that gates own, given the version in which MutatingAdmissionPolicies
// are served, if they are. Metadata informers of them feed OwnedHandler.
func Owned(mutating string) []schema.GroupVersionKind {
	kinds := []schema.GroupVersionKind{
		admissionv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicyBinding"),
		admissionv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicy"),
	}
	kinds = append(kinds, OwnedMutating(mutating)...)
	return append(kinds, v1alpha1.GroupVersion.WithKind("VerifiedImages"))
}

// OwnedMutating are those of Owned that only some clusters serve.
func OwnedMutating(version string) []schema.GroupVersionKind {
	if version == "" {
		return nil
	}
	served := schema.GroupVersion{Group: admissionv1.GroupName, Version: version}
	return []schema.GroupVersionKind{served.WithKind("MutatingAdmissionPolicyBinding"), served.WithKind("MutatingAdmissionPolicy")}
}

func (r *Reconciler) owned() []schema.GroupVersionKind { return Owned(r.Mutating()) }

// objectKey identifies what a gate owns.
type objectKey struct{ kind, name string }

func (k objectKey) String() string { return k.kind + " " + k.name }

func (k objectKey) binding() bool { return strings.HasSuffix(k.kind, "Binding") }

// plan is what the spec asks for, beside what exists.
type plan struct {
	// wanted are the policies and bindings of each division. It is empty if the spec is not
	// valid.
	wanted map[gate.Shards]map[objectKey]client.Object
	order  map[gate.Shards][]objectKey
	// exists is what carries the gate's label or a wanted name.
	exists map[objectKey]*metav1.PartialObjectMetadata
}

// plan compiles the spec, and looks up in the cache what exists.
func (p *pass) plan(ctx context.Context) (*plan, error) {
	compiled, err := p.compile(ctx)
	if err != nil {
		return nil, err
	}
	pl := &plan{
		wanted: map[gate.Shards]map[objectKey]client.Object{}, order: map[gate.Shards][]objectKey{},
		exists: map[objectKey]*metav1.PartialObjectMetadata{},
	}
	names := map[objectKey]bool{}
	for shards, objects := range compiled {
		pl.wanted[shards] = map[objectKey]client.Object{}
		for _, o := range objects {
			kind, err := apiutil.GVKForObject(o, p.Live.Scheme())
			if err != nil {
				return nil, fmt.Errorf("an object of the gate: %w", err)
			}
			key := objectKey{kind.Kind, o.GetName()}
			names[key] = true
			pl.wanted[shards][key] = o
			pl.order[shards] = append(pl.order[shards], key)
		}
		slices.SortStableFunc(pl.order[shards], func(a, b objectKey) int { return cmp.Compare(rank(a), rank(b)) })
	}
	for _, kind := range p.owned() {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind)
		if err := p.Cached.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing %s: %w", kind.Kind, err)
		}
		for i := range list.Items {
			o := &list.Items[i]
			key := objectKey{kind.Kind, o.Name}
			if !p.state.removed[o.UID] && (o.Labels[v1alpha1.GateLabel] == p.gate.Name || names[key]) {
				o.SetGroupVersionKind(kind)
				pl.exists[key] = o
			}
		}
	}
	return pl, nil
}

// rank orders writes: what is bound comes before its binding.
func rank(k objectKey) int {
	if k.binding() {
		return 1
	}
	return 0
}

// only reports whether an object belongs to one division alone.
func (pl *plan) only(shards gate.Shards, key objectKey) bool {
	for other, wanted := range pl.wanted {
		if _, ok := wanted[key]; ok != (other == shards) {
			return false
		}
	}
	return true
}

// bound reports whether policies of a division may be in force.
func (pl *plan) bound(shards gate.Shards) bool {
	for key := range pl.exists {
		if key.binding() && pl.only(shards, key) {
			return true
		}
	}
	return false
}

// compile makes the policies and bindings of both divisions, unless nothing changed since.
func (p *pass) compile(ctx context.Context) (map[gate.Shards][]client.Object, error) {
	around, err := p.surroundings(ctx)
	if err != nil {
		return nil, err
	}
	scope := Scope{
		UID: p.gate.UID, Generation: p.gate.Generation,
		Exclusion: gate.Exclusion{Names: around.Excluded, Prefixes: around.ExcludedPrefixes},
	}
	if p.invalid != nil {
		scope.Generation-- // nothing that runs is judged by the present spec
	}
	p.state.setScope(scope)
	input, err := json.Marshal([]any{p.gate.Name, p.gate.UID, p.gate.Spec, around})
	if err != nil {
		return nil, fmt.Errorf("encoding the gate: %w", err)
	}
	s := p.state
	if s.compiledFor == string(input) {
		return s.compiled, nil
	}
	compiled := map[gate.Shards][]client.Object{}
	for _, shards := range []gate.Shards{gate.OneShard, gate.SixteenShards} {
		around.Shards = int(shards)
		objects, err := p.Compile(p.gate, around)
		if err != nil {
			p.invalid = err
			return s.compiled, nil //nolint:nilerr // what was in force stays, and the status says why
		}
		compiled[shards] = flatten(objects)
	}
	s.compiled, s.compiledFor = compiled, string(input)
	return compiled, nil
}

// flatten lists the objects of a gate.
func flatten(o gate.Objects) []client.Object {
	var all []client.Object
	for i := range o.Policies {
		all = append(all, o.Policies[i])
	}
	for i := range o.Bindings {
		all = append(all, o.Bindings[i])
	}
	for i := range o.Pins {
		all = append(all, o.Pins[i])
	}
	return all
}

// maxMatched is how many namespaces that the operator's patterns match stand in each policy by
// name. Whoever may make namespaces could fill the policies otherwise. The newer ones are
// excluded by the patterns alone, which count as long as what a policy looks up is there.
const maxMatched = 500

// oldestOf returns the names of the oldest namespaces that a gate would select but for their
// exclusion. Those that it would not select are left to the patterns: each name costs a
// little in every creation of a Pod.
func oldestOf(namespaces []metav1.PartialObjectMetadata, excluded func(*metav1.PartialObjectMetadata) bool) []string {
	var all []*metav1.PartialObjectMetadata
	for i := range namespaces {
		if excluded(&namespaces[i]) {
			all = append(all, &namespaces[i])
		}
	}
	slices.SortFunc(all, func(a, b *metav1.PartialObjectMetadata) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	names := make([]string, 0, min(len(all), maxMatched))
	for _, o := range all[:min(len(all), maxMatched)] {
		names = append(names, o.Name)
	}
	return names
}

// surroundings finds out what the policies depend on besides the spec.
func (p *pass) surroundings(ctx context.Context) (gate.Surroundings, error) {
	mutating := p.Mutating()
	around := gate.Surroundings{
		SystemNamespace: p.SystemNamespace, Mode: p.mode, MutatingServed: mutating != "", MutatingVersion: mutating,
		Controllers: p.Controllers(),
		Now:         p.now.UTC().Truncate(24 * time.Hour), // exemptions end with a day
	}
	var sinks []string
	for _, t := range p.gate.Spec.Trust {
		var trigger v1alpha1.ImageTrigger
		if err := p.Entries.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: t.Trigger}, &trigger); client.IgnoreNotFound(err) != nil {
			return gate.Surroundings{}, fmt.Errorf("reading trigger %s/%s: %w", t.Namespace, t.Trigger, err)
		}
		sinks = append(sinks, trigger.Spec.Sink.URI, trigger.Status.SinkURI)
	}
	excluded := gate.ExclusionOf(p.Exclude(), p.gate.Spec.Trust, sinks, p.SystemNamespace, p.ProbeNamespace)
	around.Excluded, around.ExcludedPrefixes = excluded.Names, excluded.Prefixes
	var home *metav1.PartialObjectMetadata
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := p.Cached.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return gate.Surroundings{}, fmt.Errorf("listing namespaces: %w", err)
	}
	selector, err := metav1.LabelSelectorAsSelector(&p.gate.Spec.NamespaceSelector)
	if err != nil {
		return gate.Surroundings{}, fmt.Errorf("spec.namespaceSelector: %w", err)
	}
	around.Excluded = append(around.Excluded, oldestOf(list.Items, func(o *metav1.PartialObjectMetadata) bool {
		return excluded.Has(o.Name) && selector.Matches(labels.Set(o.Labels))
	})...)
	for i := range list.Items {
		o := &list.Items[i]
		if o.Name == p.SystemNamespace && o.DeletionTimestamp == nil {
			home = o
		}
	}
	if home == nil {
		return gate.Surroundings{}, fmt.Errorf("%w: namespace %q is gone, or going", errNowhere, p.SystemNamespace)
	}
	if around.KindUID, err = p.anchor(ctx, home); err != nil {
		return gate.Surroundings{}, err
	}
	slices.Sort(around.Excluded)
	around.Excluded = slices.Compact(around.Excluded)
	return around, nil
}
