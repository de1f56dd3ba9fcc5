package gate

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
)

// templateRules are the requests that make or change a template of Pods, of every built-in
// kind that has one.
func templateRules() []admissionv1.NamedRuleWithOperations {
	return []admissionv1.NamedRuleWithOperations{
		on("apps", createdOrUpdated, "deployments", "replicasets", "statefulsets", "daemonsets"),
		on("batch", createdOrUpdated, "jobs", "cronjobs"),
		on("", createdOrUpdated, "replicationcontrollers", "podtemplates"),
	}
}

// templateOf is CEL for the template of an object of [templateRules], or {}. StatefulSets make
// Pods of their ControllerRevisions.
func templateOf(object string) string {
	return "(request.resource.resource == 'cronjobs' ? " + object + ".spec.?jobTemplate.?spec.?template" +
		" : request.resource.resource == 'podtemplates' ? " + object + ".?template" +
		" : request.resource.resource == 'controllerrevisions' ? " + object + ".?data.?spec.?template" +
		" : " + object + ".spec.?template).orValue({})"
}

// templateVariables are those that tell templates. The old one is {} where there is none.
func templateVariables() []admissionv1.Variable {
	return []admissionv1.Variable{
		variable("template", templateOf("object")),
		variable("old", "request.operation == 'UPDATE' ? "+templateOf("oldObject")+" : {}"),
		variable("labelled", labelled("variables.template.?metadata.?labels")),
	}
}

// templateImages is CEL for the images of a template that is made, or gets other images. What
// controllers copy was told of before, and break-glass has a policy of its own.
func (c *compiler) templateImages() string {
	const images, old = "variables.template.?spec.orValue({})", "variables.old.?spec.orValue({})"
	return "variables.labelled || " + c.byController() +
		" || (request.operation == 'UPDATE' && " + specImages(images) + " == " + specImages(old) + ")" +
		" ? [] : " + specImages(images)
}

// templates adds the policy that warns of templates by their images' digests. It never
// refuses one: the Pods are what counts, and whoever deploys by Git cannot undo an apply.
func (c *compiler) templates(s shard) {
	variables := append(templateVariables(), c.looked(s, c.templateImages())...)
	variables = append(variables, variable("unverified",
		"variables.references.filter(r, r.name == '' || !"+c.verified("r.hex")+")"))
	rest, variables := c.unless("unverified", variables)
	c.add(part{
		name: "templates" + s.suffix, effect: warns, rules: templateRules(), parameter: s.object,
		variables: variables,
		allowed:   "variables." + rest + ".size() == 0",
		message:   c.digestMessage(c.refusal()+podsOf, rest),
	})
}

// tagTemplates adds the policy that warns of templates by their references without a digest.
func (c *compiler) tagTemplates() {
	variables := append(templateVariables(), c.untagged(c.templateImages())...)
	variables = append(variables, variable("unpinned",
		"variables.references.filter(r, r.name == '' || !("+c.pinned(true)+"))"))
	rest, variables := c.unless("unpinned", variables)
	c.add(part{
		name: "tagtemplates", effect: warns, rules: templateRules(), parameter: c.tagsObject(),
		variables: variables,
		allowed:   "variables." + rest + ".size() == 0",
		message:   c.tagMessage(c.refusal()+podsOf, rest),
	})
}

// podsOf says that a template is not refused itself.
const podsOf = "the Pods of this template: "
