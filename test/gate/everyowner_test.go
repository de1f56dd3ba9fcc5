package gate

import (
	"testing"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// Property: while it is not known which workloads carried the label before, in one namespace or
// in all, the label of none there counts, neither for its Pods nor for copies of its template; a
// person's right still does.
func TestNoOwnerCountsWhileTheyAreNotKnown(t *testing.T) {
	beside(t)
	for name, test := range map[string]struct {
		untrusted func(namespace string) string
		counts    bool
	}{
		"everywhere":           {func(string) string { return gate.EveryOwner }, false},
		"in the namespace":     {gate.OwnersIn, false},
		"in another namespace": {func(n string) string { return gate.OwnersIn(n + "-b") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGated(t, v1alpha1.GateDeny, nil)
			all := content()
			for _, o := range all {
				o.UntrustedOwners = map[string]string{test.untrusted(g.namespace): "not listed yet"}
			}
			g.enforce(t, all...)
			g.expectOwner(t, test.counts)
		})
	}
}

// expectOwner expects whether the label of a workload counts.
func (g *gated) expectOwner(t *testing.T, counts bool) {
	t.Helper()
	want := func(policy string) string {
		if counts {
			return ""
		}
		return g.policy(policy)
	}
	controller := asUser(t, gate.WorkloadControllers()[0], developers)
	for image, by := range map[string]string{ref(unknownHex): "digests", "nginx:1": "tags"} {
		if a := g.try(t, controller, owned(glass(image), trustedUID)); a.refusedBy(t) != want(by) {
			t.Errorf("a Pod of a workload: refused by %q, want %q: %v", a.refusedBy(t), want(by), a.err)
		}
		if a := g.try(t, g.admin, glass(image)); a.refusedBy(t) != "" {
			t.Errorf("a Pod by right: %v", a.err)
		}
	}
	job := owned(named(workloads["Job"](templateWith(true, ref(freshHex)))), trustedUID)
	if a := g.try(t, controller, job); a.refusedBy(t) != want("owners") {
		t.Errorf("a copy of a template: refused by %q: %v", a.refusedBy(t), a.err)
	}
}

// Property: in Audit and Warn the label of no workload counts all the time, and that refuses
// nothing.
func TestNoOwnerCountsInAuditAndWarnAndNothingIsRefused(t *testing.T) {
	beside(t)
	for _, mode := range []v1alpha1.GateMode{v1alpha1.GateAudit, v1alpha1.GateWarn} {
		all := content()
		for _, o := range all {
			o.UntrustedOwners = map[string]string{gate.EveryOwner: "not listed yet"}
		}
		g := newGated(t, mode, nil).enforce(t, all...)
		controller := asUser(t, gate.WorkloadControllers()[0], developers)
		if a := g.try(t, controller, owned(glass(ref(unknownHex)), trustedUID)); a.err != nil {
			t.Errorf("%s: a Pod of a workload: %v", mode, a.err)
		}
		job := owned(named(workloads["Job"](templateWith(true, ref(freshHex)))), trustedUID)
		if a := g.try(t, controller, job); a.err != nil {
			t.Errorf("%s: a copy of a template: %v", mode, a.err)
		}
	}
}
