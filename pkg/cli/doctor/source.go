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

// is reports whether the destination is Revet's receiver. Namespaces that are
// left out are that of the object.
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

// covers reports whether the source watches a namespace of these labels.
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

// sources looks whether the pushes that a trigger selects are sent to the receiver.
func (d *doctor) sources(ctx context.Context, t *v1alpha1.ImageTrigger, entries []v1alpha1.ImageVerification) []Diagnosis {
	const check = "source"
	if !slices.ContainsFunc(t.Spec.Images, func(i v1alpha1.ImageSelector) bool { return i.ImageStreams != nil }) {
		return []Diagnosis{ok(check, "no ImageStreams are selected: pushes are told by registries, and found by sweeps")}
	}
	namespaces, err := d.namespaces(ctx, t.Namespace)
	if err != nil {
		return []Diagnosis{notRead(check, "the namespaces", err)}
	}
	selected, err := imagetrigger.SelectedNamespaces(t, namespaces)
	if err != nil {
		return nil // told by FilterValid
	}
	all, err := d.revetSources(ctx, "")
	if apierrors.IsForbidden(err) {
		all, err = d.revetSources(ctx, t.Namespace)
	}
	switch {
	case meta.IsNoMatchError(err):
		return []Diagnosis{warn(check, "install Knative Eventing and apply eventing/100-apiserversource.yaml",
			"nothing sends changes of ImageStreams: their pushes are found by sweeps only, minutes later")}
	case err != nil:
		return []Diagnosis{notRead(check, "the ApiServerSources of the cluster", err)}
	}
	var findings []Diagnosis
	var uncovered []string
	used := map[string]*revetSource{}
	for _, namespace := range selected {
		covered := false
		for i := range all {
			if all[i].covers(namespace, namespaces[namespace]) {
				covered, used[all[i].name()] = true, &all[i]
			}
		}
		if !covered {
			uncovered = append(uncovered, namespace)
		}
	}
	for i := range all {
		if s := &all[i]; used[s.name()] != nil {
			findings = append(findings, sourceFinding(s, namespaces, eventsArrive(entries)))
		}
	}
	if len(uncovered) > 0 {
		findings = append(findings, warn(check, fmt.Sprintf("kubectl apply -n %s -f eventing/100-apiserversource.yaml", uncovered[0]),
			"no source sends the ImageStreams of %s: their pushes are found by sweeps only, minutes later", quotedSome(uncovered)))
	}
	return findings
}

func sourceFinding(s *revetSource, namespaces map[string]map[string]string, arrive bool) Diagnosis {
	const check = "source"
	way := "to the receiver"
	if s.broker != "" {
		way = "through Broker " + s.broker
	}
	if reason := s.notReady(); reason != "" {
		return problem(check, fmt.Sprintf("kubectl describe apiserversource %s -n %s", s.Metadata.Name, s.Metadata.Namespace),
			"ApiServerSource %s is not ready: %s", s.name(), reason)
	}
	// A Broker's own Pods stand in a namespace that is let in.
	if s.broker == "" && namespaces[s.Metadata.Namespace][sourceLabel] != "true" {
		cure := fmt.Sprintf("kubectl label namespace %s %s=true", s.Metadata.Namespace, sourceLabel)
		message := "namespace %q of ApiServerSource %s has no label " + sourceLabel + "=true, without which the network policy of the receiver keeps its events out"
		if arrive {
			return warn(check, cure, message+"; events arrive all the same, so that it is not enforced here", s.Metadata.Namespace, s.name())
		}
		return problem(check, cure, message, s.Metadata.Namespace, s.name())
	}
	return ok(check, "ApiServerSource %s sends changes %s", s.name(), way)
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

// namespaces returns the labels of all namespaces, or only of one to who may not
// list them.
func (d *doctor) namespaces(ctx context.Context, own string) (map[string]map[string]string, error) {
	all, err := openshift.NewReader(d.Writer, nil).Namespaces(ctx)
	if !apierrors.IsForbidden(err) {
		return all, err
	}
	var namespace corev1.Namespace
	if err := d.Get(ctx, client.ObjectKey{Name: own}, &namespace); err != nil {
		return nil, err
	}
	return map[string]map[string]string{own: namespace.Labels}, nil
}

// revetSources lists the sources of ImageStreams whose events reach the receiver;
// in one namespace, or in all if that is empty.
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

// listAs lists objects of a kind whose Go types the product does not have.
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
