package gate

import (
	"context"
	"fmt"
	"maps"
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
)

// world is what the command reads, each thing once.
type world struct {
	cl     command.Cluster
	system string
	now    time.Time
	notes  []string
	gates  []*gateView
	// labels are those of namespaces, from the files or the API server.
	labels map[string]map[string]string
	// unread says why a namespace, or the ledger of one, is not known.
	unreadNamespaces, unreadLedgers map[string]error
	entries                         map[string][]v1alpha1.ImageVerification
	triggers                        map[v1alpha1.TrustedTrigger]*v1alpha1.ImageTrigger
	// exclude are the operator's patterns.
	exclude []string
	// untried are the namespaces in which the API server could not be asked.
	untried map[string]bool
}

// gateView is a gate as it is judged by.
type gateView struct {
	*v1alpha1.ImageGate
	rules gate.Rules
	// invalid is why the spec cannot be followed.
	invalid error
	// ran is when digests last ran behind the gate, as the API server looks it up; unread is
	// why that is not known.
	ran    map[string]string
	unread error
	// tags are what tags stand for, once somebody asked.
	tags map[string]string
}

func newWorld(cl command.Cluster, o *options, labels map[string]map[string]string, now time.Time) *world {
	return &world{
		cl: cl, system: o.systemNamespace, now: now, labels: labels,
		unreadNamespaces: map[string]error{}, unreadLedgers: map[string]error{},
		entries: map[string][]v1alpha1.ImageVerification{}, triggers: map[v1alpha1.TrustedTrigger]*v1alpha1.ImageTrigger{},
		untried: map[string]bool{},
	}
}

func (w *world) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(w.notes, n) {
		w.notes = append(w.notes, n)
	}
}

// load reads the gates, or the one that is named. Without them nothing is known.
func (w *world) load(ctx context.Context, only string) error {
	var all v1alpha1.ImageGateList
	if err := w.cl.List(ctx, &all); err != nil {
		return command.ReadError("listing ImageGates", "", err)
	}
	slices.SortFunc(all.Items, func(a, b v1alpha1.ImageGate) int { return strings.Compare(a.Name, b.Name) })
	var names []string
	for i := range all.Items {
		g := &gateView{ImageGate: &all.Items[i]}
		names = append(names, g.Name)
		if only != "" && g.Name != only {
			continue
		}
		if g.rules, g.invalid = gate.RulesOf(g.ImageGate); g.invalid == nil {
			_, g.invalid = gate.ExemptionsOf(g.ImageGate)
		}
		w.gates = append(w.gates, g)
	}
	if only != "" && len(w.gates) == 0 {
		return command.Usagef("there is no ImageGate %q; there are: %s", only, strings.Join(names, ", "))
	}
	if len(w.gates) == 0 {
		w.note("There are no ImageGates in this cluster: nothing keeps any image from starting.")
	}
	for _, g := range w.gates {
		g.ran, g.unread = w.ran(ctx, g.Name)
	}
	return w.loadExclude(ctx)
}

// loadExclude reads which namespaces the operator never gates.
func (w *world) loadExclude(ctx context.Context) error {
	var m corev1.ConfigMap
	err := w.cl.Get(ctx, client.ObjectKey{Namespace: w.system, Name: config.GateConfigMap}, &m)
	switch {
	case apierrors.IsForbidden(err):
		w.note("You may not read which namespaces the operator excludes from all gates, in ConfigMap %s of namespace %s: "+
			"what is said holds for those that are not.", config.GateConfigMap, w.system)
		return nil
	case apierrors.IsNotFound(err): // the defaults hold
	case err != nil:
		return fmt.Errorf("reading ConfigMap %q in namespace %q: %w", config.GateConfigMap, w.system, err)
	}
	if w.exclude, err = config.ExclusionIn(m.Data); err != nil {
		return fmt.Errorf("ConfigMap %q in namespace %q, key %s: %w", config.GateConfigMap, w.system, config.ExcludeKey, err)
	}
	return nil
}

// ran reads when digests last ran behind a gate, from all of its objects.
func (w *world) ran(ctx context.Context, name string) (map[string]string, error) {
	all := map[string]string{}
	var l v1alpha1.VerifiedImagesList
	if err := w.cl.List(ctx, &l, client.InNamespace(w.system)); err != nil {
		return nil, fmt.Errorf("listing VerifiedImages in namespace %q: %w", w.system, err)
	}
	for i := range l.Items {
		v := &l.Items[i]
		if slices.ContainsFunc(v.OwnerReferences, func(o metav1.OwnerReference) bool { return o.Kind == "ImageGate" && o.Name == name }) {
			maps.Copy(all, v.Ran)
		}
	}
	return all, nil
}

func (w *world) gateReports() []Asked {
	all := make([]Asked, 0, len(w.gates))
	for _, g := range w.gates {
		all = append(all, Asked{Name: g.Name, Mode: g.Status.Mode, Wanted: g.wanted()})
	}
	return all
}

func (g *gateView) wanted() v1alpha1.GateMode {
	if g.Spec.Mode == "" {
		return v1alpha1.GateAudit
	}
	return g.Spec.Mode
}

// excluded reports whether a gate never gates a namespace, whatever its labels say.
func (w *world) excluded(ctx context.Context, g *gateView, namespace string) bool {
	var sinks []string
	for _, t := range g.Spec.Trust {
		if trigger, _ := w.trigger(ctx, t); trigger != nil {
			sinks = append(sinks, trigger.Spec.Sink.URI, trigger.Status.SinkURI)
		}
	}
	return gate.ExclusionOf(w.exclude, g.Spec.Trust, sinks, w.system, gate.ProbeNamespace).Has(namespace)
}

// selects reports whether a gate gates a namespace. An error says why that is not known.
func (w *world) selects(ctx context.Context, g *gateView, namespace string) (bool, error) {
	if w.excluded(ctx, g, namespace) {
		return false, nil
	}
	s, err := metav1.LabelSelectorAsSelector(&g.Spec.NamespaceSelector)
	if err != nil {
		return false, fmt.Errorf("spec.namespaceSelector: %w", err)
	}
	if s.Empty() {
		return true, nil
	}
	of, err := w.labelsOf(ctx, namespace)
	if err != nil {
		return false, err
	}
	of = maps.Clone(of)
	of[corev1.LabelMetadataName] = namespace
	return s.Matches(labels.Set(of)), nil
}

func (w *world) labelsOf(ctx context.Context, namespace string) (map[string]string, error) {
	if of, ok := w.labels[namespace]; ok {
		if of == nil {
			of = map[string]string{}
		}
		return of, nil
	}
	if err := w.unreadNamespaces[namespace]; err != nil {
		return nil, err
	}
	var n corev1.Namespace
	if err := w.cl.Get(ctx, client.ObjectKey{Name: namespace}, &n); err != nil {
		err = fmt.Errorf("reading the labels of namespace %q: %w", namespace, err)
		w.unreadNamespaces[namespace] = err
		return nil, err
	}
	w.labels[namespace] = n.Labels
	if n.Labels == nil {
		w.labels[namespace] = map[string]string{}
	}
	return w.labels[namespace], nil
}

// evidence returns what the ledgers of trusted triggers say of a digest. An error says which
// of them could not be read; there is evidence beside it.
func (w *world) evidence(ctx context.Context, g *gateView, d image.Digest) (all []gate.Evidence, unread error) {
	for _, t := range g.Spec.Trust {
		entries, err := w.ledger(ctx, t.Namespace)
		if err != nil {
			unread = err
			continue
		}
		trigger, err := w.trigger(ctx, t)
		if err != nil {
			unread = err
			continue
		}
		uid := ""
		if trigger != nil {
			uid = string(trigger.UID)
		}
		for i := range entries {
			if entries[i].Spec.Trigger.Name == t.Trigger {
				all = append(all, gate.EvidenceOf(&entries[i], d, uid)...)
			}
		}
	}
	return all, unread
}

func (w *world) ledger(ctx context.Context, namespace string) ([]v1alpha1.ImageVerification, error) {
	if err := w.unreadLedgers[namespace]; err != nil {
		return nil, err
	}
	if entries, ok := w.entries[namespace]; ok {
		return entries, nil
	}
	entries, err := w.cl.Verifications(ctx, namespace)
	if err != nil {
		w.unreadLedgers[namespace] = err
		return nil, err
	}
	w.entries[namespace] = entries
	return entries, nil
}

// trigger returns a trusted trigger, or nil if there is none.
func (w *world) trigger(ctx context.Context, t v1alpha1.TrustedTrigger) (*v1alpha1.ImageTrigger, error) {
	if trigger, ok := w.triggers[t]; ok {
		return trigger, nil
	}
	trigger, err := w.cl.Trigger(ctx, client.ObjectKey{Namespace: t.Namespace, Name: t.Trigger})
	if err == nil {
		w.triggers[t] = trigger
	}
	return trigger, err
}
