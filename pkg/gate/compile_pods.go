package gate

import (
	"fmt"
	"strconv"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// celHex matches the tag map's values that are digests, and no reasons.
const celHex = `'^[0-9a-f]{64}$'`

// specImages is CEL for the images of a Pod's spec, at all places of [Uses].
func specImages(spec string) string {
	list := func(name string) string {
		return fmt.Sprintf("%s.?%s.orValue([]).map(c, c.?image.orValue(''))", spec, name)
	}
	return list("initContainers") + " + " + list("containers") + " + " + list("ephemeralContainers") +
		fmt.Sprintf(" + %s.?volumes.orValue([]).filter(v, has(v.image))"+
			".map(v, v.image.?reference.orValue(''))", spec)
}

// podImages is CEL for the images that a request would start: those of a Pod that is made, and
// those of ephemeral containers that are added.
var podImages = func() string {
	const ephemeral = ".spec.?ephemeralContainers.orValue([])"
	return "request.operation == 'CREATE' ? " + specImages("object.spec") +
		" : object" + ephemeral + ".filter(c, !oldObject" + ephemeral +
		".exists(o, o.name == c.name && o.?image.orValue('') == c.?image.orValue(''))).map(c, c.?image.orValue(''))"
}()

// podRules are the requests that start images.
func podRules() []admissionv1.NamedRuleWithOperations {
	return []admissionv1.NamedRuleWithOperations{
		on("", created, "pods"), on("", updated, "pods/ephemeralcontainers"),
	}
}

// shard is the division of digests that one policy judges.
type shard struct {
	// suffix ends the names of policies, and object is the VerifiedImages.
	suffix, object string
	// expr matches the references whose digest belongs to it, and hint is in each of them.
	expr, hint string
}

// shards are the divisions. Every reference belongs to exactly one of them, or to the policy
// of tags.
func (c *compiler) shards() []shard {
	if c.in.Shards == 1 {
		return []shard{{"", c.gate.Name, digestedExpr, "@sha256:"}}
	}
	var all []shard
	names := SixteenShards.ObjectNames(c.gate.Name)
	for i := range 16 {
		digit := strconv.FormatInt(int64(i), 16)
		expr := `^[^@]+@sha256:` + digit + `[0-9a-f]{63}$`
		all = append(all, shard{"-" + digit, names[i], expr, "@sha256:" + digit})
	}
	return all
}

// tagsObject is the VerifiedImages that hold tags.
func (c *compiler) tagsObject() string { return TagsName(c.gate.Name) }

// createdAt is CEL for when the object was made. For an object that is being made the API
// server sets it before the policies look.
const createdAt = "timestamp(object.metadata.creationTimestamp)"

// fresh is CEL for whether a digest has a verdict that is young enough.
func (c *compiler) fresh(hex string) string { return c.freshIn("variables.digests", hex) }

// freshIn is fresh of a map of digests.
func (c *compiler) freshIn(digests, hex string) string {
	return fmt.Sprintf("%[1]s in %[4]s"+
		" && timestamp(%[4]s[%[1]s]) + duration('%[2]s') > %[3]s",
		hex, c.rules.maxAge, createdAt, digests)
}

// concerned is the condition that a policy has something to say of some image of a request.
// Most of a gate's policies have not, of most Pods, and the API server then does without
// three quarters of its work: it takes a Pod apart again for the conditions, the
// validations, their messages and the annotations of each policy.
//
// hint is part of every image that the policy is about. To look for it first costs least, and
// it is looked for in all images of the object, those that the request does not add included.
func concerned(hint, image string) []admissionv1.MatchCondition {
	expression := "(" + podImages + ").exists(i, " + image + ")"
	if hint != "" {
		expression = anyImage("object.spec", ".contains("+quote(hint)+")") + " && " + expression
	}
	return []admissionv1.MatchCondition{{Name: "concerned", Expression: expression}}
}

// anyImage is CEL for whether a test, which follows the image, is true of any image of a Pod's
// spec, at all places of [Uses].
func anyImage(spec, test string) string {
	list := func(name string) string {
		return fmt.Sprintf("%s.?%s.orValue([]).exists(c, c.?image.orValue('')%s)", spec, name, test)
	}
	return "(" + list("containers") + " || " + list("initContainers") + " || " + list("ephemeralContainers") +
		fmt.Sprintf(" || %s.?volumes.orValue([]).exists(v, has(v.image) && v.image.?reference.orValue('')%s))", spec, test)
}

// The parts of a reference i that conditions look up. They know no variables.
const (
	conditionHex     = "i.substring(i.indexOf('@') + 8)"
	conditionDigests = "params.?digests.orValue({})"
	conditionRan     = "params.?ran.orValue({})"
)

// plainMax is how long a reference is at most that conditions call plain: with what
// [withHost] adds it is still shorter than maxName.
const plainMax = 256

// plain is CEL for whether a reference i that has a digest has a name that [Normalize] takes
// for certain. Of others only the validations know.
var plain = fmt.Sprintf("i.size() <= %d && !i.startsWith('sha') && i.matches(%s)",
	plainMax, quote(strings.TrimSuffix(nameExpr, "$")+digestExpr+"$"))

// settled is CEL for whether a reference i with a digest may start, so that no validation
// has to be asked.
func (c *compiler) settled() string {
	may := c.freshIn(conditionDigests, conditionHex)
	if c.rules.onExpired == v1alpha1.ExpiredWarn {
		may = "(" + may + ") || (" + ranIn(conditionRan, conditionHex) + ")"
	}
	return plain + " && (" + may + ")"
}

// ranHere is CEL for whether a digest that passed ran here within [RanFor].
func ranHere(hex string) string { return ranIn("variables.ran", hex) }

// ranIn is ranHere of a map of digests.
func ranIn(ran, hex string) string {
	return fmt.Sprintf("%[1]s in %[4]s"+
		" && timestamp(%[4]s[%[1]s]) + duration('%[2]s') > %[3]s",
		hex, RanFor, createdAt, ran)
}

// verified is CEL for whether a digest may start.
func (c *compiler) verified(hex string) string {
	if c.rules.onExpired == v1alpha1.ExpiredWarn {
		return "(" + c.fresh(hex) + " || " + ranHere(hex) + ")"
	}
	return "(" + c.fresh(hex) + ")"
}

// looked are the variables of a policy that judges references by their digest.
func (c *compiler) looked(s shard, images string) []admissionv1.Variable {
	return []admissionv1.Variable{
		variable("digests", "params.?digests.orValue({})"),
		variable("ran", "params.?ran.orValue({})"),
		variable("images", "("+images+").filter(i, i.matches("+quote(s.expr)+"))"),
		variable("references", celReferences("variables.images")),
	}
}

// digests adds the policy that judges the images of Pods by their digest.
func (c *compiler) digests(s shard) {
	variables := append(c.looked(s, podImages), variable("unverified",
		"variables.references.filter(r, r.name == '' || !"+c.verified("r.hex")+")"))
	rest, variables := c.unless("unverified", variables)
	variables = append(variables, c.glass(true)...)
	c.add(part{
		name: "digests" + s.suffix, rules: podRules(), parameter: s.object,
		conditions: concerned(s.hint, "i.matches("+quote(s.expr)+") && !("+c.settled()+")"),
		variables:  variables,
		allowed:    "variables." + rest + ".size() == 0 || variables.breakGlass",
		message:    c.digestMessage(c.refusal(), rest),
	})
}

// ran adds the policy that warns of images that only start because they ran here.
func (c *compiler) ran(s shard) {
	variables := append(c.looked(s, podImages), variable("expired",
		"variables.references.filter(r, r.name != ''"+
			" && !("+c.fresh("r.hex")+") && "+ranHere("r.hex")+")"))
	rest, variables := c.unless("expired", variables)
	c.add(part{
		name: "ran" + s.suffix, effect: warns, rules: podRules(), parameter: s.object,
		conditions: concerned(s.hint, "i.matches("+quote(s.expr)+") && "+conditionHex+" in "+conditionRan+
			" && !("+c.freshIn(conditionDigests, conditionHex)+")"),
		variables: variables,
		allowed:   "variables." + rest + ".size() == 0",
		message:   c.ranMessage(rest),
	})
}

// tags adds the policy that judges references without a digest. Where tags are pinned, those
// that are known have a digest by then; in Audit and Warn they count as if they had.
func (c *compiler) tags() {
	variables := append(c.untagged(podImages), variable("unpinned",
		"variables.references.filter(r, r.name == '' || !("+c.pinned(c.in.Mode != v1alpha1.GateDeny)+"))"))
	rest, variables := c.unless("unpinned", variables)
	variables = append(variables, c.glass(true)...)
	c.add(part{
		name: "tags", rules: podRules(), parameter: c.tagsObject(),
		conditions: concerned("", "!i.matches("+quote(digestedExpr)+")"),
		variables:  variables,
		allowed:    "variables." + rest + ".size() == 0 || variables.breakGlass",
		message:    c.tagMessage(c.refusal(), rest),
	})
}

// untagged are the variables of a policy that judges references without a digest.
func (c *compiler) untagged(images string) []admissionv1.Variable {
	return []admissionv1.Variable{
		variable("tags", "params.?tags.orValue({})"),
		variable("images", "("+images+").filter(i, !i.matches("+quote(digestedExpr)+"))"),
		variable("references", celReferences("variables.images")),
	}
}

// pinned is CEL for whether a reference would be pinned to a digest that passed.
func (c *compiler) pinned(would bool) string {
	if !would || !c.pins() {
		return "false"
	}
	return celPinned("r.name")
}

// changes adds the policy that keeps the images of Pods that exist as they are. It looks up
// nothing: whatever is missing, everything else of a Pod can always be changed.
func (c *compiler) changes() {
	const containers = ".spec.containers + %[1]s.spec.?initContainers.orValue([])"
	list := func(object string) string { return object + fmt.Sprintf(containers, object) }
	same := "o.image == c.image || (o.image.matches(" + quote(digestedExpr) + ")" +
		" && c.image.matches(" + quote(digestedExpr) + ")" +
		" && o.image.substring(o.image.indexOf('@')) == c.image.substring(c.image.indexOf('@')))"
	if c.in.Mode != v1alpha1.GateDeny && c.pins() {
		same += " || (o.image.matches(" + quote(digestedExpr) + ") && !c.image.contains('@')" +
			" && " + celNormalize("o.image.split('@')[0]") + " == " + celNormalize("c.image") + ")"
	}
	const pairs = ".map(o, {'name': string(o.name), 'image': string(o.?image.orValue(''))})"
	variables := []admissionv1.Variable{
		variable("old", "("+list("oldObject")+")"+pairs),
		variable("new", "("+list("object")+")"+pairs),
		variable("images", "variables.new.filter(c,"+
			" !variables.old.exists(o, o.name == c.name && ("+same+"))).map(c, c.image)"),
		variable("changed", celReferences("variables.images")),
	}
	rest, variables := c.unless("changed", variables)
	variables = append(variables, c.glass(false)...)
	c.add(part{
		name: "changes", rules: []admissionv1.NamedRuleWithOperations{on("", updated, "pods")},
		variables: variables,
		allowed:   "variables." + rest + ".size() == 0 || variables.breakGlass",
		message:   c.changeMessage(rest),
	})
}
