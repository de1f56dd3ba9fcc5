package tekton

import (
	"context"
	"encoding/json"
	"fmt"

	triggersv1alpha1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1alpha1"
	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/kube"
)

// candidate is a Tekton Trigger that the listener processes for a request.
type candidate struct {
	// name tells the user which one it is.
	name    string
	trigger triggersv1beta1.Trigger
	guard
}

// guard is what stands before a Tekton Trigger.
type guard struct {
	// authenticated: Revet's own interceptor is one of those that a request has to pass.
	authenticated bool
	// intercepted: there are interceptors besides, of which Revet cannot know what they let pass.
	intercepted bool
}

// guardOf judges interceptors, all of which a request has to pass.
func guardOf(interceptors []*triggersv1beta1.TriggerInterceptor) guard {
	var g guard
	for _, i := range interceptors {
		if isOwn(i) {
			g.authenticated = true
		} else {
			g.intercepted = true
		}
	}
	return g
}

// within returns the guard of a Trigger in a group that has one of its own.
func (g guard) within(group guard) guard {
	return guard{authenticated: g.authenticated || group.authenticated, intercepted: g.intercepted || group.intercepted}
}

// isOwn reports whether it is Revet's own interceptor that is named. A listener ignores the
// reference if there is a webhook.
func isOwn(i *triggersv1beta1.TriggerInterceptor) bool {
	return i != nil && i.Webhook == nil && len(i.Params) == 0 && i.Ref.Name == InterceptorName &&
		(i.Ref.Kind == triggersv1beta1.ClusterInterceptorKind || i.Ref.Kind == "") &&
		(i.Ref.APIVersion == "" || i.Ref.APIVersion == triggersv1alpha1.SchemeGroupVersion.String() || i.Ref.APIVersion == triggersv1alpha1.SchemeGroupVersion.Group)
}

// gatherer collects a listener's Tekton Triggers as the listener does.
type gatherer struct {
	client   client.Reader
	listener *triggersv1beta1.EventListener

	candidates []candidate
	findings   []Finding
	// notCheckable says why Revet cannot inspect the listener, or is empty.
	notCheckable string
	// size is what the Triggers take that are objects of their own, in bytes.
	size int
}

func (g *gatherer) gather(ctx context.Context) error {
	if err := g.all(ctx); err != nil {
		return err
	}
	if g.full() {
		g.candidates = nil
		g.findings = append(g.findings, Finding{Reason: ListenerTooLarge, Refuses: true, Message: fmt.Sprintf(
			"EventListener %q has triggers of more than %d bytes, or more than %d, which is all that Revet checks; give the ImageTrigger an EventListener of its own",
			g.listener.Name, maxTriggerBytes, maxTriggers)})
	}
	return nil
}

// full reports whether there is more than Revet checks.
func (g *gatherer) full() bool { return len(g.candidates) > maxTriggers || g.size > maxTriggerBytes }

// all collects until there is more than Revet checks.
func (g *gatherer) all(ctx context.Context) error {
	spec := &g.listener.Spec
	for i := 0; i < len(spec.Triggers) && !g.full(); i++ {
		if err := g.listed(ctx, i, &spec.Triggers[i]); err != nil {
			return err
		}
	}
	if err := g.selected(ctx, "spec", spec.NamespaceSelector, spec.LabelSelector, guard{}); err != nil {
		return err
	}
	for i := range spec.TriggerGroups {
		group := &spec.TriggerGroups[i]
		field := fmt.Sprintf("spec.triggerGroups[%d].triggerSelector", i)
		if err := g.selected(ctx, field, group.TriggerSelector.NamespaceSelector, group.TriggerSelector.LabelSelector, guardOf(group.Interceptors)); err != nil {
			return err
		}
	}
	return nil
}

// listed adds a Tekton Trigger that the listener itself holds or names.
func (g *gatherer) listed(ctx context.Context, i int, t *triggersv1beta1.EventListenerTrigger) error {
	field := fmt.Sprintf("spec.triggers[%d] of EventListener %q", i, g.listener.Name)
	switch {
	case t.Template != nil:
		g.candidates = append(g.candidates, candidate{
			name:  field,
			guard: guardOf(t.Interceptors),
			trigger: triggersv1beta1.Trigger{
				ObjectMeta: metav1.ObjectMeta{Namespace: g.listener.Namespace, Name: t.Name},
				Spec: triggersv1beta1.TriggerSpec{
					ServiceAccountName: t.ServiceAccountName,
					Bindings:           t.Bindings,
					Template:           *t.Template,
					Interceptors:       t.Interceptors,
				},
			},
		})
		return nil
	case t.TriggerRef != "":
		var named triggersv1beta1.Trigger
		err := g.client.Get(ctx, types.NamespacedName{Namespace: g.listener.Namespace, Name: t.TriggerRef}, &named)
		if apierrors.IsNotFound(err) {
			// The listener logs it and goes on with the others.
			g.findings = append(g.findings, Finding{Reason: TriggerNotFound, Refuses: len(g.listener.Spec.Triggers) == 1, Message: fmt.Sprintf(
				"%s names Trigger %q, which is not in namespace %q; create it", field, t.TriggerRef, g.listener.Namespace)})
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading Trigger %q: %w", t.TriggerRef, err)
		}
		g.add(named, guard{})
		return nil
	default:
		// The listener answers every request with 500.
		g.findings = append(g.findings, Finding{Reason: NoTrigger, Refuses: true, Message: fmt.Sprintf(
			"%s has neither a template nor a triggerRef, which makes the listener refuse every request; give it one", field)})
		return nil
	}
}

// selected adds the triggers that selectors choose. Runs that triggers of other
// namespaces start are made there, where they are not looked for.
func (g *gatherer) selected(ctx context.Context, field string, namespaces triggersv1beta1.NamespaceSelector, labels *metav1.LabelSelector, group guard) error {
	if (len(namespaces.MatchNames) == 0 && labels == nil) || g.full() {
		return nil
	}
	for _, n := range namespaces.MatchNames {
		if n != g.listener.Namespace {
			g.notCheckable = fmt.Sprintf(
				"%s.namespaceSelector of EventListener %q selects triggers of namespace %q, which are not looked into; name only its own namespace, %q",
				field, g.listener.Name, n, g.listener.Namespace)
			return nil
		}
	}
	selector, err := metav1.LabelSelectorAsSelector(labels)
	if labels == nil {
		selector, err = metav1.LabelSelectorAsSelector(&metav1.LabelSelector{})
	}
	if err != nil {
		g.notCheckable = fmt.Sprintf("%s.labelSelector of EventListener %q cannot be read: %v", field, g.listener.Name, err)
		return nil
	}
	err = kube.EachPage(ctx, triggersPage, func(ctx context.Context, limit int64, next string) (string, error) {
		var list triggersv1beta1.TriggerList
		err := g.client.List(ctx, &list, client.InNamespace(g.listener.Namespace), client.MatchingLabelsSelector{Selector: selector},
			client.Limit(limit), client.Continue(next))
		for i := range list.Items {
			g.add(list.Items[i], group)
		}
		if g.full() {
			return "", err
		}
		return list.Continue, err
	})
	if err != nil {
		return fmt.Errorf("listing the Triggers of namespace %q: %w", g.listener.Namespace, err)
	}
	return nil
}

func (g *gatherer) add(t triggersv1beta1.Trigger, group guard) {
	if raw, err := json.Marshal(t.Spec); err == nil {
		g.size += len(raw)
	}
	g.candidates = append(g.candidates, candidate{
		name:    fmt.Sprintf("Trigger %q", t.Name),
		guard:   guardOf(t.Spec.Interceptors).within(group),
		trigger: t,
	})
}
