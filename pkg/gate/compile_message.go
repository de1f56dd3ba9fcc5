package gate

import (
	"fmt"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// refusal begins a message: who refuses what.
func (c *compiler) refusal() string {
	if c.in.Mode == v1alpha1.GateDeny {
		return fmt.Sprintf("ImageGate %s refuses ", c.gate.Name)
	}
	return fmt.Sprintf("ImageGate %s would refuse ", c.gate.Name)
}

// message is CEL for a message about the first of the references in a variable. The API server
// cuts off what is longer than 5 KiB, and whoever mends one asks about the others, too.
func (c *compiler) message(begin, variable, reason, advice string) string {
	first := "variables." + variable + "[0]"
	return "[" + first + "].map(r, " + quote(begin) + " + " + celClip("r.image") +
		" + (variables." + variable + ".size() > 1" +
		" ? ' and ' + string(variables." + variable + ".size() - 1) + ' more' : '')" +
		" + ': ' + (" + reason + ") + " + advice + ")[0]"
}

// invalid is CEL for the reason where Normalize refuses the reference.
const invalid = "r.name == ''" +
	" ? 'it is no valid reference; write host/path@sha256:DIGEST in lower case' : "

// ask is CEL for the command that tells more about a reference.
func (c *compiler) ask() string {
	return "'. See: kubectl revet gate test -n ' + request.namespace + ' --gate " + c.gate.Name +
		" --image ' + " + celClip("r.image")
}

// verify is CEL for the command that has a reference verified.
const verify = " + '. To have it verified: kubectl revet verify ' + "

// digestMessage is CEL for a message about a digest. Of one that is not in the map nobody can tell
// here whether it failed: the map holds what passed, or it would grow with every failure.
func (c *compiler) digestMessage(begin, rest string) string {
	reason := invalid +
		"r.hex in variables.digests ? 'its verdict of ' + variables.digests[r.hex]" +
		" + ' is older than " + c.rules.maxAge.String() + "' : " +
		"'no verdict that counts here admits this digest: it failed, or was not verified'"
	advice := c.ask() + " + (r.hex == '' || r.hex in variables.digests" +
		" ? '. To have it verified: kubectl revet verify ' + " + celClip("r.image") +
		" : '. If it failed, this says why: kubectl revet explain -A sha256:' + r.hex" +
		" + '. If it was not verified: kubectl revet verify ' + " + celClip("r.image") + ")"
	return c.message(begin, rest, reason, advice)
}

func (c *compiler) ranMessage(rest string) string {
	return c.message(fmt.Sprintf("ImageGate %s admits ", c.gate.Name), rest,
		"'its verdict has expired, and it starts because it ran here within 30 days'",
		c.ask()+verify+celClip("r.image"))
}

// tagMessage is CEL for a message about a reference without a digest. A tag that is known and not
// pinned was pushed, and had its run: what became of that is told by explain.
func (c *compiler) tagMessage(begin, rest string) string {
	advice := c.ask() + verify + celClip("r.name") + " + '@sha256:DIGEST'"
	if c.gate.Spec.PinTags == v1alpha1.PinOff {
		words := "'the gate takes no tags; write ' + " + celClip("r.name") + " + '@sha256:DIGEST'"
		return c.message(begin, rest, invalid+words, advice)
	}
	known := c.ask() + " + '. What became of that push: kubectl revet explain -A ' + " + celClip("r.name")
	return c.message(begin, rest, invalid+celTagWords("r.image", "r.name"),
		"("+celPinned("r.name")+" ? '' : r.name in variables.tags ? "+known+" : "+advice+")")
}

func (c *compiler) changeMessage(rest string) string {
	reason := invalid + "'the image of a Pod that exists stays as it is;" +
		" delete the Pod and make it with the other image'"
	return c.message(c.refusal(), rest, reason, c.ask())
}
