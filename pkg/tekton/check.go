package tekton

import (
	"context"
	"fmt"
	"slices"

	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/source"
)

// Check reports what a request of the trigger would start. An error is the API server's
// and transient.
func (c *Checker) Check(ctx context.Context, trigger *v1alpha1.ImageTrigger) (Report, error) {
	l, err := c.look(ctx, trigger)
	if err != nil {
		return Report{}, err
	}
	if l.notCheckable != "" {
		return notCheckable("%s", l.notCheckable), nil
	}
	samples, err := newSamples(ctx, trigger)
	if err != nil {
		return Report{}, fmt.Errorf("making sample requests of trigger %q: %w", trigger.Name, err)
	}
	results, err := c.probe(ctx, l, samples)
	if err != nil {
		return Report{}, err
	}
	own, err := c.ownInterceptor(ctx, results)
	if err != nil {
		return Report{}, err
	}
	return sumUp(&l.listener, append(l.findings, own...), results), nil
}

// look is what the API server shows of a trigger's sink.
type look struct {
	listener   triggersv1beta1.EventListener
	candidates []candidate
	findings   []Finding
	// notCheckable says why Revet cannot inspect the sink, or is empty.
	notCheckable string
}

func (c *Checker) look(ctx context.Context, trigger *v1alpha1.ImageTrigger) (look, error) {
	var l look
	ref := trigger.Spec.Sink.Ref
	if ref == nil {
		l.notCheckable = "Revet cannot inspect spec.sink.uri, so it requests each run only once. Use a ref to an EventListener, which it can check"
		return l, nil
	}
	if ref.APIVersion != triggersv1beta1.SchemeGroupVersion.String() || ref.Kind != "EventListener" {
		l.notCheckable = fmt.Sprintf("Revet cannot inspect %s in %s, so it requests each run only once. Use an EventListener in %s, which it can check",
			ref.Kind, ref.APIVersion, triggersv1beta1.SchemeGroupVersion)
		return l, nil
	}
	if err := c.client.Get(ctx, types.NamespacedName{Namespace: trigger.Namespace, Name: ref.Name}, &l.listener); err != nil {
		if apierrors.IsNotFound(err) {
			l.notCheckable = fmt.Sprintf("there is no EventListener %q in namespace %q", ref.Name, trigger.Namespace)
			return l, nil
		}
		return look{}, fmt.Errorf("reading EventListener %q: %w", ref.Name, err)
	}
	g := gatherer{client: c.client, listener: &l.listener, findings: notReady(&l.listener)}
	if err := g.gather(ctx); err != nil {
		return look{}, err
	}
	l.candidates, l.findings, l.notCheckable = g.candidates, g.findings, g.notCheckable
	return l, nil
}

// probe evaluates all of the listener's triggers for samples.
func (c *Checker) probe(ctx context.Context, l look, samples []sample) ([]probe, error) {
	p := prober{client: c.client, namespace: l.listener.Namespace, samples: samples}
	var results []probe
	for _, candidate := range l.candidates {
		result, err := p.probe(ctx, candidate)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, nil
}

// PipelineRun returns what the trigger's listener would make of a request, without
// sending it. Unless the error is the API server's, it says what keeps the listener from
// making the right run.
func (c *Checker) PipelineRun(ctx context.Context, trigger *v1alpha1.ImageTrigger, r Request) (*unstructured.Unstructured, error) {
	l, err := c.look(ctx, trigger)
	if err != nil {
		return nil, err
	}
	if l.notCheckable != "" {
		return nil, fmt.Errorf("ImageTrigger %q: %s", trigger.Name, l.notCheckable)
	}
	s, err := newSample(ctx, "this request", r)
	if err != nil {
		return nil, err
	}
	results, err := c.probe(ctx, l, []sample{s})
	if err != nil {
		return nil, err
	}
	for _, p := range results {
		if p.accepted() && p.run != nil {
			return p.run, nil
		}
	}
	refusal, refused := sumUp(&l.listener, l.findings, results).Refusal()
	if !refused {
		refusal.Message = firstUnknown(results)
	}
	return nil, fmt.Errorf("ImageTrigger %q: %s", trigger.Name, refusal.Message)
}

// notReady finds what the listener reports about itself.
func notReady(listener *triggersv1beta1.EventListener) []Finding {
	ready := listener.Status.GetCondition(apis.ConditionReady)
	if ready == nil || !ready.IsFalse() {
		return nil
	}
	return []Finding{{Reason: ListenerNotReady, Message: fmt.Sprintf(
		"EventListener %q reports that it is not ready (%s: %s); see: kubectl describe -n %s eventlistener.triggers.tekton.dev %s",
		listener.Name, ready.Reason, ready.Message, listener.Namespace, listener.Name)}}
}

func notCheckable(format string, args ...any) Report {
	return Report{Findings: []Finding{{Reason: NotCheckable, Message: fmt.Sprintf(format, args...)}}}
}

// sumUp judges the whole listener: one request must start exactly one run.
func sumUp(listener *triggersv1beta1.EventListener, findings []Finding, probes []probe) Report {
	r := Report{Checked: true, Findings: findings}
	if len(probes) == 0 {
		if _, refused := r.Refusal(); !refused {
			r.Findings = append(r.Findings, Finding{Reason: NoTrigger, Refuses: true, Message: fmt.Sprintf(
				"EventListener %q has no trigger, so a request starts nothing; add one to its spec.triggers", listener.Name)})
		}
		return r
	}
	accepted, others := split(probes)
	if len(accepted) == 0 {
		if unknown := firstUnknown(probes); unknown != "" && len(others) == 0 {
			return notCheckable("%s", unknown)
		}
		r.Findings = append(r.Findings, worth(probes).findings...)
		return r
	}
	r.Findings = append(r.Findings, moreThanOnce(accepted, others)...)
	for _, p := range accepted {
		r.Findings = append(r.Findings, p.findings...)
		r.Runners = append(r.Runners, source.Account{Namespace: listener.Namespace, Name: p.account(listener)})
		for _, name := range runAccounts(p.run) {
			account := source.Account{Namespace: listener.Namespace, Name: name}
			if !slices.Contains(r.RunAccounts, account) {
				r.RunAccounts = append(r.RunAccounts, account)
			}
		}
	}
	return r
}

// split separates the probes that make the wanted run from others that start a run.
func split(probes []probe) (accepted, others []probe) {
	for _, p := range probes {
		switch {
		case p.accepted():
			accepted = append(accepted, p)
		case p.startsRun:
			others = append(others, p)
		}
	}
	return accepted, others
}

func firstUnknown(probes []probe) string {
	for _, p := range probes {
		if p.unknown != "" {
			return p.unknown
		}
	}
	return ""
}

// worth returns the probe with the most helpful findings: one that starts a run, else
// the one that got furthest.
func worth(probes []probe) probe {
	best := probes[0]
	for _, p := range probes[1:] {
		if (p.startsRun && !best.startsRun) || (p.resolved && !best.resolved) {
			best = p
		}
	}
	return best
}

// moreThanOnce finds triggers that start a run beside the wanted one. Revet cannot check
// interceptors, so it assumes that they filter.
func moreThanOnce(accepted, others []probe) []Finding {
	var findings []Finding
	var always []probe
	for _, p := range accepted {
		if !p.authenticated && !p.intercepted {
			findings = append(findings, notAuthenticated(p.name))
		}
		if p.intercepted {
			findings = append(findings, Finding{Reason: InterceptorsNotChecked, Message: fmt.Sprintf(
				"%s has interceptors, which Revet cannot check; a request that they refuse ends as Unconfirmed. Select with spec.images and spec.filter of the ImageTrigger instead", p.name)})
			continue
		}
		always = append(always, p)
	}
	for _, p := range others {
		if p.intercepted {
			findings = append(findings, Finding{Reason: InterceptorsNotChecked, Message: fmt.Sprintf(
				"%s also starts a run if its interceptors let a request pass, which Revet cannot check", p.name)})
			continue
		}
		always = append(always, p)
	}
	if len(always) > 1 {
		findings = append(findings, Finding{Reason: RunsMoreThanOnce, Refuses: true, Message: fmt.Sprintf(
			"%s and %s both start a run for each request; give the ImageTrigger an EventListener of its own, or the other trigger an interceptor that refuses events of type %s",
			always[0].name, always[1].name, RequestType)})
	}
	return findings
}
