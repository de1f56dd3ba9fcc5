package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/controller/imagetrigger"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// sourceLabel lets a namespace's adapters reach the receiver.
const sourceLabel = "revet.dev/source"

// apiServerSource is what is read of an ApiServerSource.
type apiServerSource struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Resources         []metav1.TypeMeta     `json:"resources"`
		NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector"`
		Sink              destination           `json:"sink"`
	} `json:"spec"`
	Status struct {
		Conditions []metav1.Condition `json:"conditions"`
	} `json:"status"`
}

// brokerTrigger is what is read of a Broker's Trigger.
type brokerTrigger struct {
	Spec struct {
		Broker     string      `json:"broker"`
		Subscriber destination `json:"subscriber"`
	} `json:"spec"`
}

type destination struct {
	Ref *corev1.ObjectReference `json:"ref"`
	URI string                  `json:"uri"`
}

// is reports whether the destination is Revet's receiver. own is the namespace of the
// object, which a destination without a namespace means.
func (d destination) is(receiver client.ObjectKey, own string) bool {
	if d.Ref == nil {
		return strings.HasPrefix(strings.TrimPrefix(d.URI, "http://"), receiver.Name+"."+receiver.Namespace+".svc")
	}
	namespace := d.Ref.Namespace
	if namespace == "" {
		namespace = own
	}
	return d.Ref.Kind == "Service" && d.Ref.Name == receiver.Name && namespace == receiver.Namespace
}

func (s *apiServerSource) name() string { return s.Metadata.Namespace + "/" + s.Metadata.Name }

// showsStreams reports whether the source sends changes of ImageStreams.
func (s *apiServerSource) showsStreams() bool {
	return slices.ContainsFunc(s.Spec.Resources, func(r metav1.TypeMeta) bool {
		return r.APIVersion == imageStreamKind.GroupVersion().String() && r.Kind == imageStreamKind.Kind
	})
}

// covers reports whether the source watches a namespace with these labels.
func (s *apiServerSource) covers(namespace string, set map[string]string) bool {
	if s.Spec.NamespaceSelector == nil {
		return namespace == s.Metadata.Namespace
	}
	selector, err := metav1.LabelSelectorAsSelector(s.Spec.NamespaceSelector)
	return err == nil && selector.Matches(labels.Set(set))
}

// notReady returns why the source is not ready; empty if it is.
func (s *apiServerSource) notReady() string {
	for _, c := range s.Status.Conditions {
		if c.Type == "Ready" {
			if c.Status == metav1.ConditionTrue {
				return ""
			}
			return strings.TrimSpace(c.Reason + ": " + c.Message)
		}
	}
	return "it has no status yet"
}

// sources checks that events tell the receiver about the pushes that a trigger selects.
func (d *doctor) sources(ctx context.Context, t *v1alpha1.ImageTrigger, entries []v1alpha1.ImageVerification) []Finding {
	const check = "source"
	if !slices.ContainsFunc(t.Spec.Images, func(i v1alpha1.ImageSelector) bool { return i.ImageStreams != nil }) {
		return []Finding{ok(check, "the trigger selects no ImageStreams: webhooks of registries and sweeps find its pushes")}
	}
	var findings []Finding
	seen, err := d.surroundings(ctx, t)
	switch {
	case meta.IsNoMatchError(err):
		return []Finding{warn(check, "install Knative Eventing and apply eventing/100-apiserversource.yaml",
			"nothing sends changes of ImageStreams: only sweeps find their pushes, minutes later")}
	case err != nil:
		return []Finding{notRead(check, "the namespaces and ApiServerSources", err)}
	}
	selected, err := imagetrigger.SelectedNamespaces(t, seen.namespaces)
	if err != nil {
		return []Finding{unknown(check, "correct the selector", "cannot find out which namespaces the trigger selects: %v", err)}
	}
	if seen.ownNamespaceOnly && selectsOthers(t) {
		findings = append(findings, unknown(check, accessCure, "you may not list namespaces, so only namespace %q was checked", t.Namespace))
	}
	used, uncovered := seen.match(selected)
	for _, s := range used {
		findings = append(findings, d.sourceFinding(s, seen, eventsArrive(entries)))
	}
	switch {
	case len(uncovered) > 0 && seen.ownSourcesOnly:
		findings = append(findings, unknown(check, accessCure,
			"no ApiServerSource in namespace %q sends the ImageStreams of %s, and you may not list those of other namespaces", t.Namespace, quotedSome(uncovered)))
	case len(uncovered) > 0:
		findings = append(findings, warn(check, fmt.Sprintf("kubectl apply -n %s -f eventing/100-apiserversource.yaml", uncovered[0]),
			"no ApiServerSource sends the ImageStreams of %s: only sweeps find their pushes, minutes later", quotedSome(uncovered)))
	case len(selected) == 0 && len(findings) == 0:
		findings = append(findings, warn(check, "correct the namespaceSelector, or label a namespace", "the trigger selects no namespace that exists"))
	}
	return findings
}

// surroundings are what events come from, as far as the user may read it.
type surroundings struct {
	// namespaces are the labels of each namespace.
	namespaces map[string]map[string]string
	sources    []revetSource
	// ownNamespaceOnly and ownSourcesOnly: the user may read the trigger's namespace only.
	ownNamespaceOnly, ownSourcesOnly bool
}

func (d *doctor) surroundings(ctx context.Context, t *v1alpha1.ImageTrigger) (surroundings, error) {
	var s surroundings
	var err error
	s.namespaces, err = openshift.NewReader(d.Writer, nil).Namespaces(ctx)
	if apierrors.IsForbidden(err) {
		var own corev1.Namespace
		s.ownNamespaceOnly = true
		err = d.Get(ctx, client.ObjectKey{Name: t.Namespace}, &own)
		s.namespaces = map[string]map[string]string{t.Namespace: own.Labels}
	}
	if err != nil {
		return s, err
	}
	s.sources, err = d.revetSources(ctx, "")
	if apierrors.IsForbidden(err) {
		s.ownSourcesOnly = true
		s.sources, err = d.revetSources(ctx, t.Namespace)
	}
	return s, err
}

// match returns the sources that watch some of the namespaces, and the namespaces that no
// source watches.
func (s *surroundings) match(selected []string) (used []*revetSource, uncovered []string) {
	for _, namespace := range selected {
		if !slices.ContainsFunc(s.sources, func(r revetSource) bool { return r.covers(namespace, s.namespaces[namespace]) }) {
			uncovered = append(uncovered, namespace)
		}
	}
	for i := range s.sources {
		r := &s.sources[i]
		if slices.ContainsFunc(selected, func(namespace string) bool { return r.covers(namespace, s.namespaces[namespace]) }) {
			used = append(used, r)
		}
	}
	return used, uncovered
}

// selectsOthers reports whether a trigger can select namespaces besides its own.
func selectsOthers(t *v1alpha1.ImageTrigger) bool {
	return slices.ContainsFunc(t.Spec.Images, func(i v1alpha1.ImageSelector) bool {
		return i.ImageStreams != nil && i.ImageStreams.NamespaceSelector != nil
	})
}

func (d *doctor) sourceFinding(s *revetSource, seen surroundings, arrive bool) Finding {
	const check = "source"
	way := "to the receiver"
	if s.broker != "" {
		way = "through Broker " + s.broker
	}
	if reason := s.notReady(); reason != "" {
		return problem(check, fmt.Sprintf("kubectl describe apiserversource %s -n %s", s.Metadata.Name, s.Metadata.Namespace),
			"ApiServerSource %s is not ready: %s", s.name(), reason)
	}
	set, read := seen.namespaces[s.Metadata.Namespace]
	switch {
	case s.broker != "" || set[sourceLabel] == "true":
		// The Pods of a Broker run in a namespace that the network policy allows.
		return ok(check, "ApiServerSource %s sends changes %s", s.name(), way)
	case !read:
		return unknown(check, accessCure, "you may not read namespace %q of ApiServerSource %s, which needs the label %s=true", s.Metadata.Namespace, s.name(), sourceLabel)
	}
	cure := fmt.Sprintf("kubectl label namespace %s %s=true", s.Metadata.Namespace, sourceLabel)
	message := fmt.Sprintf("namespace %q of ApiServerSource %s lacks the label %s=true, so the receiver's network policy blocks its events",
		s.Metadata.Namespace, s.name(), sourceLabel)
	if arrive {
		return warn(check, cure, "%s; events arrive all the same, so this cluster does not enforce the policy", message)
	}
	return problem(check, cure, "%s", message)
}

// eventsArrive reports whether any push was recorded by an event.
func eventsArrive(entries []v1alpha1.ImageVerification) bool {
	for i := range entries {
		for _, p := range command.PushesOf(&entries[i]) {
			if p.Source == v1alpha1.SourceEvent {
				return true
			}
		}
	}
	return false
}

// revetSource is a source whose events reach the receiver.
type revetSource struct {
	apiServerSource
	// broker is namespace/name of the Broker between them, or empty.
	broker string
}

// revetSources lists the sources of ImageStreams whose events reach the receiver. in is
// their namespace, or "" for all namespaces.
func (d *doctor) revetSources(ctx context.Context, in string) ([]revetSource, error) {
	receiver := client.ObjectKey{Namespace: d.system, Name: receiverName}
	sources, err := listAs[apiServerSource](ctx, d, sourceKind, in)
	if err != nil {
		return nil, err
	}
	var reaching []revetSource
	for _, s := range sources {
		if !s.showsStreams() {
			continue
		}
		if s.Spec.Sink.is(receiver, s.Metadata.Namespace) {
			reaching = append(reaching, revetSource{apiServerSource: s})
			continue
		}
		ref := s.Spec.Sink.Ref
		if ref == nil || ref.Kind != "Broker" {
			continue
		}
		namespace := ref.Namespace
		if namespace == "" {
			namespace = s.Metadata.Namespace
		}
		triggers, err := listAs[brokerTrigger](ctx, d, brokerTriggerKind, namespace)
		if meta.IsNoMatchError(err) {
			continue // no Broker can deliver
		}
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(triggers, func(t brokerTrigger) bool {
			return t.Spec.Broker == ref.Name && t.Spec.Subscriber.is(receiver, namespace)
		}) {
			reaching = append(reaching, revetSource{apiServerSource: s, broker: namespace + "/" + ref.Name})
		}
	}
	return reaching, nil
}

// listAs lists objects of a kind that this module has no Go types for.
func listAs[T any](ctx context.Context, d *doctor, kind schema.GroupVersionKind, namespace string) ([]T, error) {
	var list unstructured.UnstructuredList
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := d.List(ctx, &list, inNamespace(namespace)); err != nil {
		return nil, err
	}
	items := make([]T, len(list.Items))
	for i := range list.Items {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &items[i]); err != nil {
			return nil, fmt.Errorf("%s %q in namespace %q: %w", kind.Kind, list.Items[i].GetName(), list.Items[i].GetNamespace(), err)
		}
	}
	return items, nil
}

func quotedSome(names []string) string {
	const most = 3
	shown := make([]string, 0, most)
	for _, n := range names[:min(len(names), most)] {
		shown = append(shown, fmt.Sprintf("%q", n))
	}
	text := "namespace " + strings.Join(shown, ", ")
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
