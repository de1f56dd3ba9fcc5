//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/test/rig"
)

const (
	// ledgerNamespace and triggerName are those of the trusted trigger.
	ledgerNamespace = "bench-ledger"
	triggerName     = "everything"
	repository      = "r.example.com/team/app"
	// mutatingVersion is the one that an API server of 1.35 serves MutatingAdmissionPolicies in.
	mutatingVersion = "v1beta1"
	// mostTags is for how many tags there is room in one object.
	mostTags = gate.MaxTagBytes / (len(repository) + 80)
)

// hexOf is the n-th digest of what has a name, as 64 hexadecimal digits.
func hexOf(name string, n int) string {
	return strings.TrimPrefix(rig.DigestOf(fmt.Sprintf("%s %d", name, n)), "sha256:")
}

func byDigest(hex string) string { return repository + "@sha256:" + hex }

func byTag(n int) string { return fmt.Sprintf("%s:b%d", repository, n) }

// newGate is a gate in mode Deny of the namespace of its name.
func newGate(name string) *v1alpha1.ImageGate {
	return &v1alpha1.ImageGate{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ImageGateSpec{
			NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{gatedBy: name}},
			Trust:             []v1alpha1.TrustedTrigger{{Namespace: ledgerNamespace, Trigger: triggerName}},
			Require:           v1alpha1.GateRequirements{Checks: []string{"scan", "validate"}, Sandboxed: true},
			MaxAge:            metav1.Duration{Duration: 168 * time.Hour},
			Exempt:            []v1alpha1.GateExemption{{Images: "registry.k8s.io/**", Reason: "the platform's own"}},
			Mode:              v1alpha1.GateDeny, Force: true,
		},
	}
}

// state is what a Pod meets: a gate with a number of verified digests, or none.
type state struct {
	name   string
	size   int // 0: no gate
	shards gate.Shards
	// inForce are the policies and bindings.
	inForce []client.Object
	// kept is what these look up, and what they belong to.
	kept []client.Object
}

func (s *state) String() string {
	if s.size == 0 {
		return "none"
	}
	return fmt.Sprint(s.size)
}

// newState makes the state's namespace, and what policies look up. It puts nothing into force.
func (b *bed) newState(ctx context.Context, size int) (*state, error) {
	s := &state{name: fmt.Sprintf("bench-%d", size), size: size}
	if err := b.make(ctx, namespaceOf(s.name)); err != nil || size == 0 {
		return s, err
	}
	g := newGate(s.name)
	if err := b.admin.Create(ctx, g); err != nil {
		return nil, err
	}
	s.kept = append(s.kept, g)
	limits := gate.LimitsOf(gate.DefaultSplit)
	s.shards = limits.Shards(size, 0)
	objects, err := s.content(g, limits)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		if err := b.admin.Create(ctx, o); err != nil {
			return nil, fmt.Errorf("creating VerifiedImages %s: %w", o.Name, err)
		}
		s.kept = append(s.kept, o)
	}
	return s, b.compile(ctx, s, g)
}

// content is what the controller would write for as many digests that passed, and as many tags as find room.
func (s *state) content(g *v1alpha1.ImageGate, limits gate.Limits) ([]*v1alpha1.VerifiedImages, error) {
	rules, err := gate.RulesOf(g)
	if err != nil {
		return nil, err
	}
	now, desired := time.Now(), gate.NewDesired(rules)
	names := s.shards.ObjectNames(g.Name)
	pages := make([]*gate.Page, 0, len(names))
	for range names {
		pages = append(pages, gate.NewPage(nil, nil))
	}
	for i := range s.size {
		hex := hexOf(s.name, i)
		desired.Conclude(hex, gate.Finding{Standing: gate.Verified, At: now.Add(-time.Duration(i%1000) * time.Minute)})
		pages[s.shards.Index(hex)].Look(hex, desired, now)
	}
	all := []*v1alpha1.VerifiedImages{{ObjectMeta: metav1.ObjectMeta{Name: gate.TagsName(g.Name)}, Tags: map[string]string{}}}
	for i := range min(s.size, mostTags) {
		all[0].Tags[byTag(i)] = hexOf(s.name, i)
	}
	written := 0
	for i, p := range pages {
		digests, ran, _ := p.Next(desired, limits.Room(s.shards), now)
		written += len(digests)
		all = append(all, &v1alpha1.VerifiedImages{ObjectMeta: metav1.ObjectMeta{Name: names[i]}, Digests: digests, Ran: ran})
	}
	if written != s.size {
		return nil, fmt.Errorf("there is room for %d digests of %d", written, s.size)
	}
	for _, o := range all {
		o.Namespace, o.Labels = systemNamespace, map[string]string{v1alpha1.GateLabel: g.Name}
		o.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(g, v1alpha1.GroupVersion.WithKind("ImageGate"))}
	}
	return all, nil
}

// compile makes the state's policies and bindings, as the controller does.
func (b *bed) compile(ctx context.Context, s *state, g *v1alpha1.ImageGate) error {
	kind := &metav1.PartialObjectMetadata{}
	kind.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	if err := b.admin.Get(ctx, client.ObjectKey{Name: gate.VerifiedImagesKind}, kind); err != nil {
		return err
	}
	excluded := gate.ExclusionOf([]string{"kube-*", "openshift-*", "knative-*", "tekton-*"}, g.Spec.Trust, nil, systemNamespace, gate.ProbeNamespace)
	objects, err := gate.Compile(g, gate.Surroundings{
		Excluded: excluded.Names, ExcludedPrefixes: excluded.Prefixes, Shards: int(s.shards), SystemNamespace: systemNamespace,
		KindUID: kind.UID, Mode: v1alpha1.GateDeny, MutatingServed: b.options.mutating, MutatingVersion: mutatingVersion,
		Now: time.Now().UTC().Truncate(24 * time.Hour),
	})
	if err != nil {
		return err
	}
	for _, p := range objects.Policies {
		s.inForce = append(s.inForce, p)
	}
	for _, p := range objects.Bindings {
		s.inForce = append(s.inForce, p)
	}
	for _, p := range objects.Pins {
		s.inForce = append(s.inForce, p)
	}
	return nil
}
