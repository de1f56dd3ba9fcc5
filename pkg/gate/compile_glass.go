package gate

import (
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
)

// bypass is CEL for whether the requester may do without the gate.
func (c *compiler) bypass() string {
	return fmt.Sprintf("authorizer.group('revet.dev').resource('imagegates').name(%s).check('%s').allowed()",
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
	" && !object.metadata.?ownerReferences.orValue([]).exists(o, o.uid in params.?untrustedOwners.orValue({}))"

// glass are the variables that say whether break-glass counts for a Pod. Without owners only
// the requester's own right does. The right is asked last, because that costs most.
func (c *compiler) glass(owners bool) []admissionregistrationv1.Variable {
	return []admissionregistrationv1.Variable{
		variable("bypass", c.bypass()),
		variable("breakGlass", c.brokenGlass(owners, "variables.bypass")),
	}
}

// brokenGlass is CEL for whether break-glass counts for a Pod. bypass is CEL for whether the
// requester has the right to it.
func (c *compiler) brokenGlass(owners bool, bypass string) string {
	may := bypass
	if owners {
		may = "((request.operation == 'CREATE' && " + c.byController() + " && " + trustedOwner + ") || " + bypass + ")"
	}
	return labelled("object.metadata.?labels") + " && " + may
}
