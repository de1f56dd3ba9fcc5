package coverage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/running"
)

// ledgerPage is how many entries are read at once.
const ledgerPage = 500

// facts are what running Pods are judged by, read once.
type facts struct {
	now        time.Time
	gates      []v1alpha1.ImageGate
	triggers   map[v1alpha1.TrustedTrigger]*v1alpha1.ImageTrigger
	namespaces map[string]labels.Set
	patterns   config.Exclusion
	system     string
	// evidence is what the whole ledger says of each digest.
	evidence map[image.Digest][]gate.Evidence
}

func readFacts(ctx context.Context, cl command.Cluster, system string, now time.Time) (*facts, error) {
	f := &facts{
		now: now, system: system, triggers: map[v1alpha1.TrustedTrigger]*v1alpha1.ImageTrigger{},
		namespaces: map[string]labels.Set{}, evidence: map[image.Digest][]gate.Evidence{},
	}
	var gates v1alpha1.ImageGateList
	if err := cl.List(ctx, &gates); err != nil {
		return nil, runningError("listing ImageGates", err)
	}
	slices.SortFunc(gates.Items, func(a, b v1alpha1.ImageGate) int { return strings.Compare(a.Name, b.Name) })
	f.gates = gates.Items
	var triggers v1alpha1.ImageTriggerList
	if err := cl.List(ctx, &triggers); err != nil {
		return nil, runningError("listing ImageTriggers", err)
	}
	for i := range triggers.Items {
		t := &triggers.Items[i]
		f.triggers[v1alpha1.TrustedTrigger{Namespace: t.Namespace, Trigger: t.Name}] = t
	}
	var namespaces corev1.NamespaceList
	if err := cl.List(ctx, &namespaces); err != nil {
		return nil, runningError("listing namespaces", err)
	}
	for i := range namespaces.Items {
		f.namespaces[namespaces.Items[i].Name] = namespaces.Items[i].Labels
	}
	if err := f.readExclusion(ctx, cl); err != nil {
		return nil, err
	}
	return f, f.readLedger(ctx, cl)
}

// runningError adds the cure to what the API server answers.
func runningError(attempt string, err error) error {
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("%s: %w; --running needs to list Pods, namespaces, ImageGates, ImageTriggers and ImageVerifications "+
			"in the whole cluster, and to get ConfigMap %s of Revet's namespace", attempt, err, config.GateConfigMap)
	}
	return command.ReadError(attempt, "", err)
}

func (f *facts) readExclusion(ctx context.Context, cl command.Cluster) error {
	var m corev1.ConfigMap
	err := cl.Get(ctx, client.ObjectKey{Namespace: f.system, Name: config.GateConfigMap}, &m)
	switch {
	case apierrors.IsNotFound(err): // the defaults hold
	case err != nil:
		return runningError("reading ConfigMap "+config.GateConfigMap, err)
	}
	if f.patterns, err = config.ExclusionIn(m.Data); err != nil {
		return fmt.Errorf("ConfigMap %s/%s, key %s: %w", f.system, config.GateConfigMap, config.ExcludeKey, err)
	}
	return nil
}

func (f *facts) readLedger(ctx context.Context, cl command.Cluster) error {
	for next := ""; ; {
		var page v1alpha1.ImageVerificationList
		if err := cl.List(ctx, &page, client.Limit(ledgerPage), client.Continue(next)); err != nil {
			return runningError("listing ImageVerifications", err)
		}
		for i := range page.Items {
			f.note(&page.Items[i])
		}
		if next = page.Continue; next == "" {
			return nil
		}
	}
}

// note takes over what an entry says of its digest and of the images in its index.
func (f *facts) note(e *v1alpha1.ImageVerification) {
	current := ""
	if t := f.triggers[v1alpha1.TrustedTrigger{Namespace: e.Namespace, Trigger: e.Spec.Trigger.Name}]; t != nil {
		current = string(t.UID)
	}
	digests := []string{e.Spec.Digest}
	if e.Status.Image != nil {
		for i := range e.Status.Image.Children {
			digests = append(digests, e.Status.Image.Children[i].Digest)
		}
	}
	slices.Sort(digests)
	for _, text := range slices.Compact(digests) {
		if d, err := image.ParseDigest(text); err == nil {
			f.evidence[d] = append(f.evidence[d], gate.EvidenceOf(e, d, current)...)
		}
	}
}

// selects returns which namespaces a gate gates.
func (f *facts) selects(g *v1alpha1.ImageGate) (func(namespace string) bool, error) {
	selector, err := metav1.LabelSelectorAsSelector(&g.Spec.NamespaceSelector)
	if err != nil {
		return nil, fmt.Errorf("spec.namespaceSelector: %w", err)
	}
	var sinks []string
	for _, t := range g.Spec.Trust {
		if trigger := f.triggers[t]; trigger != nil {
			sinks = append(sinks, trigger.Spec.Sink.URI, trigger.Status.SinkURI)
		}
	}
	excluded := gate.ExclusionOf(f.patterns, g.Spec.Trust, sinks, f.system, gate.ProbeNamespace)
	return func(namespace string) bool {
		set, known := f.namespaces[namespace]
		// A namespace that was made meanwhile may be gated.
		return (!known || selector.Matches(set)) && !excluded.Has(namespace)
	}, nil
}

// view is a gate as a census needs it.
func (f *facts) view(g *v1alpha1.ImageGate) (running.Gate, error) {
	rules, err := gate.RulesOf(g)
	if err != nil {
		return running.Gate{}, err
	}
	exempt, err := gate.ExemptionsOf(g)
	if err != nil {
		return running.Gate{}, err
	}
	selects, err := f.selects(g)
	if err != nil {
		return running.Gate{}, err
	}
	return running.Gate{
		Name: g.Name, Selects: selects,
		IsExempt: func(reference string) bool { return exempt.Match(reference, f.now) },
		Judge:    func(d image.Digest) gate.Finding { return rules.Judge(f.evidence[d], f.now) },
	}, nil
}

// ungated is what the Pods are judged by that no gate judges: by every trigger that some gate
// trusts, or by all triggers if there is no gate. Nothing else is required of a verdict, and
// it may be as old as the most patient gate lets it be.
func (f *facts) ungated() *v1alpha1.ImageGate {
	g := &v1alpha1.ImageGate{}
	trusted := map[v1alpha1.TrustedTrigger]bool{}
	for i := range f.gates {
		for _, t := range f.gates[i].Spec.Trust {
			trusted[t] = true
		}
		g.Spec.MaxAge.Duration = max(g.Spec.MaxAge.Duration, f.gates[i].Spec.MaxAge.Duration)
	}
	if len(f.gates) == 0 {
		for t := range f.triggers {
			trusted[t] = true
		}
	}
	for t := range trusted {
		g.Spec.Trust = append(g.Spec.Trust, t)
	}
	return g
}
