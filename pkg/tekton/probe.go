package tekton

import (
	"context"
	"encoding/json"
	"fmt"

	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"github.com/tektoncd/triggers/pkg/template"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// prober evaluates Tekton Triggers for sample requests. It resolves bindings and templates
// with the listener's own code, because a check with its own rules would accept templates
// that behave differently.
type prober struct {
	client    client.Reader
	namespace string
	samples   []sample
	// used is how many bytes the Tekton Triggers had that were evaluated.
	used int
}

// probe is what one Tekton Trigger does with the samples.
type probe struct {
	name           string
	serviceAccount string
	guard
	// resolved: the parameters of at least one sample could be substituted.
	resolved bool
	// startsRun: at least one sample makes a PipelineRun or TaskRun.
	startsRun bool
	// right: every sample makes the wanted PipelineRun.
	right    bool
	findings []Finding
	// run is the PipelineRun that the last sample makes, or nil.
	run *unstructured.Unstructured
	// unknown says why Revet cannot tell, or is empty.
	unknown string
}

// accepted reports whether the trigger makes exactly the wanted run.
func (p probe) accepted() bool { return p.right && p.unknown == "" }

// account is the service account that creates the run.
func (p probe) account(listener *triggersv1beta1.EventListener) string {
	for _, name := range []string{p.serviceAccount, listener.Spec.ServiceAccountName} {
		if name != "" {
			return name
		}
	}
	return "default"
}

// add records a finding once, because most samples show the same.
func (p *probe) add(f Finding) {
	for _, have := range p.findings {
		if have.Reason == f.Reason {
			return
		}
	}
	p.findings = append(p.findings, f)
	p.right = p.right && !f.Refuses
}

func (p *probe) refuse(reason FindingReason, format string, args ...any) {
	p.add(Finding{Reason: reason, Refuses: true, Message: p.name + " " + fmt.Sprintf(format, args...)})
}

// errAllTooLarge is about all Tekton Triggers of a listener together.
var errAllTooLarge = fmt.Errorf("the bindings and templates of the listener have more than %d bytes, which is all that Revet evaluates", maxTemplateBytes)

// tooLarge refuses what is not evaluated any further: see bounds.go.
func (p *probe) tooLarge(err error) {
	p.refuse(ListenerTooLarge, "is too large to be checked: %v; make it smaller, or give the ImageTrigger an EventListener of its own", err)
}

func (b *prober) probe(ctx context.Context, c candidate) (probe, error) {
	p := probe{name: c.name, serviceAccount: c.trigger.Spec.ServiceAccountName, guard: c.guard, right: true}
	if b.used > maxTemplateBytes {
		p.tooLarge(errAllTooLarge)
		return p, nil
	}
	get := getter{ctx: ctx, client: b.client, namespace: b.namespace}
	resolved, err := template.ResolveTrigger(c.trigger, get.binding, get.clusterBinding, get.template)
	switch {
	case get.err != nil:
		return probe{}, get.err
	case get.missing != "":
		p.refuse(get.reason, "names %s, which does not exist; create it, or correct the name", get.missing)
		return p, nil
	case err != nil:
		p.refuse(ParamUnresolved, "cannot be resolved: %v", err)
		return p, nil
	}
	bytes, err := cost(resolved)
	if b.used += bytes; err == nil && b.used > maxTemplateBytes {
		err = errAllTooLarge
	}
	if err != nil {
		p.tooLarge(err)
		return p, nil
	}
	for i := range b.samples {
		b.evaluate(&p, resolved, &b.samples[i])
	}
	return p, nil
}

// evaluate checks what the trigger makes of one sample.
func (b *prober) evaluate(p *probe, resolved template.ResolvedTrigger, s *sample) {
	params, err := template.ResolveParams(resolved, s.body, s.header, map[string]any{}, template.NewTriggerContext("00000000-0000-4000-8000-000000000000"))
	if err != nil {
		if p.intercepted {
			// An interceptor may add what is missing.
			p.unknown = fmt.Sprintf("%s has interceptors and reads what a request itself does not have (%v)", p.name, err)
			return
		}
		p.refuse(ParamUnresolved, "reads what %s does not have, so that the listener drops it after it answered 202 (%v); read another field, or give the parameter a default in the TriggerTemplate", s.name, err)
		return
	}
	p.resolved = true
	raws, ok := resources(resolved.TriggerTemplate, params)
	if !ok {
		p.tooLarge(fmt.Errorf("it makes more than %d bytes of %s", maxMade, s.name))
		return
	}
	var made []unstructured.Unstructured
	for i, raw := range raws {
		var object unstructured.Unstructured
		if err := json.Unmarshal(raw, &object.Object); err != nil || object.GetKind() == "" {
			p.refuse(TemplateUnreadable, "makes no object of resourcetemplates[%d] for %s (%v); splice only texts into a template, as lists, objects and numbers of a request break its JSON", i, s.name, err)
			return
		}
		made = append(made, object)
	}
	judge(p, resolved.TriggerTemplate, made, s, b.namespace)
}

// getter reads what the resolution asks for. It separates what the user can fix from what
// the API server could not answer.
type getter struct {
	ctx       context.Context //nolint:containedctx // the resolution's callbacks take none
	client    client.Reader
	namespace string

	err     error
	missing string
	reason  FindingReason
}

func (g *getter) get(namespace, name, kind string, reason FindingReason, object client.Object) error {
	err := g.client.Get(g.ctx, types.NamespacedName{Namespace: namespace, Name: name}, object)
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		g.missing, g.reason = fmt.Sprintf("%s %q", kind, name), reason
	default:
		g.err = fmt.Errorf("reading %s %q: %w", kind, name, err)
	}
	return err
}

func (g *getter) binding(name string) (*triggersv1beta1.TriggerBinding, error) {
	var object triggersv1beta1.TriggerBinding
	return &object, g.get(g.namespace, name, "TriggerBinding", BindingNotFound, &object)
}

func (g *getter) clusterBinding(name string) (*triggersv1beta1.ClusterTriggerBinding, error) {
	var object triggersv1beta1.ClusterTriggerBinding
	return &object, g.get("", name, "ClusterTriggerBinding", BindingNotFound, &object)
}

func (g *getter) template(name string) (*triggersv1beta1.TriggerTemplate, error) {
	var object triggersv1beta1.TriggerTemplate
	return &object, g.get(g.namespace, name, "TriggerTemplate", TemplateNotFound, &object)
}
