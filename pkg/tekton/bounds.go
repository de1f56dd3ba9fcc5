package tekton

import (
	"encoding/json"
	"fmt"
	"strings"

	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"github.com/tektoncd/triggers/pkg/template"
)

// The bounds on what a listener's Tekton Triggers may hold and make. Whoever edits a namespace
// writes them, and the controller, which serves all namespaces, evaluates them: a template of a
// few kilobytes can substitute a parameter into itself until it takes all the memory there is.
const (
	// maxTriggers is how many Tekton Triggers one listener may have, and maxTriggerBytes what
	// those take that are objects of their own. They are read in pages of triggersPage.
	maxTriggers     = 256
	maxTriggerBytes = 4 << 20
	triggersPage    = 64
	// maxTemplateBytes bounds the bindings and templates of all of them together, and
	// maxParams the parameters of one.
	maxTemplateBytes = 1 << 20
	maxParams        = 512
	// maxExpression bounds one JSONPath, in bytes: a union of k names at each of n levels
	// gives k^n results. MaxExpressions bounds those of one Tekton Trigger, in bytes too.
	maxExpression  = 128
	maxExpressions = 8 << 10
	// maxMade bounds what one Tekton Trigger makes of one request, in bytes. The API server
	// stores no object of more than 1.5 MiB.
	maxMade = 4 << 20
)

// cost returns how many bytes a Tekton Trigger's bindings and template have. The error says which
// bound they go over.
func cost(r template.ResolvedTrigger) (bytes int, err error) {
	params, defaults := len(r.BindingParams)+len(r.TriggerTemplate.Spec.Params), map[string]int{}
	for _, p := range r.TriggerTemplate.Spec.Params {
		bytes += len(p.Name)
		if p.Default != nil {
			bytes += len(*p.Default)
			defaults[p.Name] = len(*p.Default)
		}
	}
	paths, fallbacks := 0, 0
	for _, p := range r.BindingParams {
		bytes += len(p.Name) + len(p.Value)
		for _, after := range strings.Split(p.Value, "$(")[1:] {
			path := strings.LastIndexByte(after, ')') + 1
			if path > maxExpression {
				return bytes, fmt.Errorf("parameter %q has an expression of %d bytes, and Revet evaluates at most %d", p.Name, path, maxExpression)
			}
			paths += path
			fallbacks += defaults[p.Name] // which takes its place if the request has no such field
		}
	}
	for i := range r.TriggerTemplate.Spec.ResourceTemplates {
		bytes += len(r.TriggerTemplate.Spec.ResourceTemplates[i].Raw)
	}
	switch {
	case params > maxParams:
		return bytes, fmt.Errorf("it has %d parameters, and Revet evaluates at most %d", params, maxParams)
	case paths > maxExpressions:
		return bytes, fmt.Errorf("its parameters have expressions of %d bytes, and Revet evaluates at most %d", paths, maxExpressions)
	case fallbacks > maxMade:
		return bytes, fmt.Errorf("its defaults can take %d bytes, and Revet evaluates at most %d", fallbacks, maxMade)
	}
	return bytes, nil
}

// resources returns what a template makes with parameters, as the listener does: it substitutes
// one after another, in their order, also within what it substituted before. Ok is false if that
// would be more than maxMade.
func resources(tt *triggersv1beta1.TriggerTemplate, params []triggersv1beta1.Param) (made []json.RawMessage, ok bool) {
	step := tt.DeepCopy()
	for _, p := range params {
		size, found := 0, 0
		for i := range step.Spec.ResourceTemplates {
			raw := step.Spec.ResourceTemplates[i].Raw
			size += len(raw)
			found += strings.Count(string(raw), "$(tt.params."+p.Name+")")
		}
		if size+2*found*len(p.Value) > maxMade { // escaped, a value takes at most twice as much
			return nil, false
		}
		if found == 0 {
			continue
		}
		for i, raw := range template.ResolveResources(step, []triggersv1beta1.Param{p}) {
			step.Spec.ResourceTemplates[i].Raw = raw
		}
	}
	return template.ResolveResources(step, nil), true
}
