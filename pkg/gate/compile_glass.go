package gate

import (
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
)

// bypass is CEL for whether the requester may do without the gate.
func (c *compiler) bypass() string {
	return fmt.Sprintf(
		"authorizer.group('revet.dev').resource('imagegates').name(%s).check('%s').allowed()",
		quote(c.gate.Name), BypassVerb)
}

// labelled is CEL for whether something with labels has the break-glass label.
func labelled(labels string) string {
	return labels + "[?'" + BreakGlassLabel + "'].orValue('') == 'true'"
}

// byController is CEL for whether one of Kubernetes' own workload controllers asks.
func (c *compiler) byController() string {
	return "request.userInfo.username in " + quoteAll(c.controllers)
}

// trustedOwner is CEL for whether the object is owned by a workload whose label counts. It
// says something of requests of controllers only: anybody else writes what they like there.
const trustedOwner = "object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false))" +
	" && !object.metadata.?ownerReferences.orValue([]).exists(o, o.uid in params.?untrustedOwners.orValue({}))" +
	" && !('" + EveryOwner + "' in params.?untrustedOwners.orValue({}))" +
	" && !(('" + ownersIn + "' + request.namespace) in params.?untrustedOwners.orValue({}))"

// glass are the variables that say whether break-glass counts for a Pod. Without owners only
// the requester's own right does. The right is asked last, because that costs most.
func (c *compiler) glass(owners bool) []admissionv1.Variable {
	return []admissionv1.Variable{
		variable("bypass", c.bypass()),
		variable("breakGlass", c.brokenGlass(owners, "variables.bypass")),
	}
}

// brokenGlass is CEL for whether break-glass counts for a Pod. bypass is CEL for whether the
// requester has the right to it.
func (c *compiler) brokenGlass(owners bool, bypass string) string {
	may := bypass
	if owners {
		may = "((request.operation == 'CREATE' && " + c.byController() + " && " + trustedOwner + ")" +
			" || " + bypass + ")"
	}
	return labelled("object.metadata.?labels") + " && " + may
}

// glassRules are the requests that make or change a template that Pods get their label from.
func glassRules() []admissionv1.NamedRuleWithOperations {
	return append(templateRules(), on("apps", createdOrUpdated, "controllerrevisions"))
}

// glassTemplates adds the policy of who may have the label on a template. It looks up nothing:
// whatever is missing, everything else of a workload can always be changed.
func (c *compiler) glassTemplates() {
	c.add(part{
		name: "breakglass", rules: glassRules(),
		variables: append(templateVariables(), variable("hides", hides), variable("same",
			"request.operation == 'UPDATE' && variables.template == variables.old")),
		allowed: "!(variables.labelled || variables.hides) || variables.same || " + c.byController() + " || " + c.bypass(),
		message: c.glassMessage("a template with"),
	})
}

// hides is CEL for whether the controller of StatefulSets could make another template of a
// revision than the one that [templateOf] finds: it takes keys in any case, and unless the
// template is to replace what the StatefulSet has, it merges the two.
const hides = "request.resource.resource == 'controllerrevisions' && [object.?data.orValue({})].exists(d, " +
	"d.exists(k, k != 'spec' && k.matches('(?i)^spec$')) || [d.?spec.orValue({})].exists(s, " +
	"s.exists(k, k != 'template' && k.matches('(?i)^template$')) || (has(s.template) && (" +
	"s.template[?'$patch'].orValue('') != 'replace' || " +
	"s.template.exists(k, k != 'metadata' && k.matches('(?i)^metadata$')) || " +
	"s.template.?metadata.orValue({}).exists(k, k != 'labels' && k.matches('(?i)^labels$'))))))"

// glassOwners adds the policy that keeps Kubernetes' controllers from copying a label that does
// not count: the copy has another UID. Only the kinds that they make are looked at, and only
// where they make one, so that a missing parameter keeps nothing from being changed.
func (c *compiler) glassOwners() {
	c.add(part{
		name: "owners", parameter: c.tagsObject(),
		rules: []admissionv1.NamedRuleWithOperations{
			on("apps", created, "replicasets"), on("batch", created, "jobs"),
		},
		variables: templateVariables(),
		allowed:   "!variables.labelled || !(" + c.byController() + ") || (" + trustedOwner + ")",
		message:   c.glassMessage("a copy of a template whose owner set"),
	})
}

// glassMessage is CEL for a message about the label on a template.
func (c *compiler) glassMessage(what string) string {
	return quote(fmt.Sprintf("%s%s the label %s=true: that needs the verb %s on imagegates.revet.dev %s",
		c.refusal(), what, BreakGlassLabel, BypassVerb, c.gate.Name))
}
