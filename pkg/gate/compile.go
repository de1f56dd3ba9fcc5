package gate

import (
	"fmt"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

const (
	// GateLabel is on everything that belongs to a gate.
	GateLabel = "revet.dev/gate"
	// BreakGlassLabel lets a Pod start without a verdict, for those who may.
	BreakGlassLabel = "image-policy.k8s.io/break-glass"
	// BypassVerb is the right on an ImageGate to use break-glass, and to take a namespace out.
	BypassVerb = "bypass"
)

// Surroundings are what a gate's policies depend on besides its spec.
type Surroundings struct {
	// Excluded and ExcludedPrefixes say which namespaces are never gated, besides
	// SystemNamespace, those of Kubernetes itself and those of trusted triggers.
	Excluded, ExcludedPrefixes []string
	// Shards is into how many policies digests are divided by their first digit: 1 or 16.
	Shards int
	// SystemNamespace holds VerifiedImages. KindUID is the UID of their
	// CustomResourceDefinition, which owns the bindings, and which the namespace owns.
	SystemNamespace string
	KindUID         types.UID
	// Mode is the mode in force, which spec.mode may be ahead of.
	Mode v1alpha1.GateMode
	// MutatingServed is true if the API server serves MutatingAdmissionPolicies.
	MutatingServed bool
	// MutatingVersion is the version in which it does, as MutatingServed says that it does.
	MutatingVersion string
	// Controllers are the users as which Kubernetes' workload controllers make Pods and
	// templates. Default: WorkloadControllers.
	Controllers []string
	// Now drops exemptions that have ended. The policies end them themselves where Pods are
	// made; an update of an older Pod does not tell them the time. Zero drops none.
	Now time.Time
}

// WorkloadControllers returns the users as which the workload controllers of real clusters
// make Pods and templates. A controller manager that runs them without service accounts of
// their own is system:kube-controller-manager.
func WorkloadControllers() []string {
	var all []string
	for _, name := range []string{
		"cronjob", "daemon-set", "deployment", "job", "replicaset", "replication", "statefulset",
	} {
		all = append(all, "system:serviceaccount:kube-system:"+name+"-controller")
	}
	return all
}

// Objects are the admission policies of a gate. A binding has its policy's name.
type Objects struct {
	Policies []*admissionv1.ValidatingAdmissionPolicy
	Bindings []*admissionv1.ValidatingAdmissionPolicyBinding
	// Pins are the MutatingAdmissionPolicies and bindings that pin tags.
	Pins []*unstructured.Unstructured
}

// Compile returns the admission policies that put a gate into force. The same arguments give
// the same objects, in the same order. The errors name the field that is wrong.
func Compile(gate *v1alpha1.ImageGate, in Surroundings) (Objects, error) {
	c, err := newCompiler(gate, in)
	if err != nil {
		return Objects{}, err
	}
	for _, shard := range c.shards() {
		c.digests(shard)
		c.templates(shard)
		if c.rules.onExpired == v1alpha1.ExpiredWarn {
			c.ran(shard)
		}
	}
	c.tags()
	c.tagTemplates()
	c.changes()
	c.glassTemplates()
	c.glassOwners()
	c.namespaces()
	if c.pins() {
		if c.out.Pins, err = pinObjects(c); err != nil {
			return Objects{}, err
		}
	}
	return c.out, c.keepSpec()
}

// compiler makes the policies of one gate.
type compiler struct {
	gate        *v1alpha1.ImageGate
	in          Surroundings
	rules       Rules
	exempt      []exemption
	selector    *metav1.LabelSelector
	excluded    []string
	controllers []string
	out         Objects
}

func newCompiler(gate *v1alpha1.ImageGate, in Surroundings) (*compiler, error) {
	if gate.Name == "" || in.SystemNamespace == "" || in.KindUID == "" {
		return nil, fmt.Errorf("a gate's policies need its name, Revet's namespace, and the UID of the kind VerifiedImages")
	}
	if in.Shards != 1 && in.Shards != 16 {
		return nil, fmt.Errorf("a gate has 1 or 16 policies by digest, not %d", in.Shards)
	}
	switch in.Mode {
	case v1alpha1.GateAudit, v1alpha1.GateWarn, v1alpha1.GateDeny:
	default:
		return nil, fmt.Errorf("spec.mode is %q, which is none of Audit, Warn and Deny", in.Mode)
	}
	if err := Validate(gate); err != nil {
		return nil, err
	}
	c := &compiler{gate: gate, in: in, controllers: in.Controllers}
	c.selector = gate.Spec.NamespaceSelector.DeepCopy()
	var err error
	if c.rules, err = RulesOf(gate); err != nil {
		return nil, err
	}
	if c.exempt, err = exemptions(gate.Spec.Exempt, in.Now); err != nil {
		return nil, err
	}
	if c.controllers == nil {
		c.controllers = WorkloadControllers()
	}
	c.excluded = append([]string{
		in.SystemNamespace, metav1.NamespaceSystem, metav1.NamespacePublic, "kube-node-lease",
	}, in.Excluded...)
	for _, t := range gate.Spec.Trust {
		c.excluded = append(c.excluded, t.Namespace)
	}
	slices.Sort(c.excluded)
	c.excluded = slices.Compact(c.excluded)
	return c, nil
}

// pins reports whether tags are pinned once the gate is in Deny.
func (c *compiler) pins() bool { return c.in.MutatingServed && c.gate.Spec.PinTags != v1alpha1.PinOff }

// meta is the metadata of a policy, which the gate owns. No object has a finalizer: a gate
// that is deleted must not outlive itself.
func (c *compiler) meta(part string) metav1.ObjectMeta {
	return c.ownedBy(part, *metav1.NewControllerRef(c.gate, v1alpha1.GroupVersion.WithKind("ImageGate")))
}

// bindingMeta is the metadata of a binding, which the kind of what policies look up owns.
// That kind is owned by the namespace that alone has objects of it. So it goes with either,
// and nothing would start any more if the policies stayed in force. A policy without its
// binding does nothing, nor does a binding without its policy, so that the garbage collector
// ends the gate whichever owner goes. An object that several own would stay until all are
// gone.
func (c *compiler) bindingMeta(part string) metav1.ObjectMeta {
	return c.ownedBy(part, metav1.OwnerReference{
		APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition",
		Name: VerifiedImagesKind, UID: c.in.KindUID,
	})
}

func policyName(gate, part string) string { return "revet-gate-" + gate + "-" + part }

func (c *compiler) ownedBy(part string, owner metav1.OwnerReference) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: policyName(c.gate.Name, part),
		Labels: map[string]string{
			GateLabel:                   c.gate.Name,
			"app.kubernetes.io/part-of": "revet",
		},
		OwnerReferences: []metav1.OwnerReference{owner},
	}
}

// effect says what a policy may do.
type effect int

const (
	// refuses: it may refuse a request, if the gate's mode does.
	refuses effect = iota
	// warns: it only ever warns.
	warns
)

// part is one policy of a gate and its binding.
type part struct {
	name   string
	effect effect
	rules  []admissionv1.NamedRuleWithOperations
	// everywhere is true for a policy of cluster-scoped objects.
	everywhere bool
	// parameter is the VerifiedImages that it looks up; empty for none.
	parameter  string
	conditions []admissionv1.MatchCondition
	variables  []admissionv1.Variable
	// allowed is CEL, and message CEL for what to say if it is false.
	allowed, message string
}

// add adds a policy and its binding. It alone decides what may refuse: in Audit and Warn
// nothing does, whatever is missing.
func (c *compiler) add(p part) {
	deny := p.effect == refuses && c.in.Mode == v1alpha1.GateDeny
	failure, missing := admissionv1.Ignore, admissionv1.AllowAction
	actions := []admissionv1.ValidationAction{admissionv1.Warn, admissionv1.Audit}
	switch {
	case deny:
		failure, missing = admissionv1.Fail, admissionv1.DenyAction
		actions = []admissionv1.ValidationAction{admissionv1.Deny}
	case c.in.Mode == v1alpha1.GateAudit:
		actions = []admissionv1.ValidationAction{admissionv1.Audit}
	}
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: c.meta(p.name)}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: c.bindingMeta(p.name)}
	forbidden := metav1.StatusReasonForbidden
	policy.Spec = admissionv1.ValidatingAdmissionPolicySpec{
		FailurePolicy:    &failure,
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: p.rules},
		MatchConditions:  append(c.prefixes(p.everywhere), p.conditions...),
		Variables:        p.variables,
		Validations: []admissionv1.Validation{{
			Expression: p.allowed, MessageExpression: p.message,
			Message: fmt.Sprintf("ImageGate %s does not allow it", c.gate.Name), Reason: &forbidden,
		}},
	}
	binding.Spec = admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: policy.Name, ValidationActions: actions,
	}
	if !p.everywhere {
		binding.Spec.MatchResources = &admissionv1.MatchResources{NamespaceSelector: c.gated()}
	}
	if p.parameter != "" {
		policy.Spec.ParamKind = &admissionv1.ParamKind{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "VerifiedImages",
		}
		binding.Spec.ParamRef = &admissionv1.ParamRef{
			Name: p.parameter, Namespace: c.in.SystemNamespace, ParameterNotFoundAction: &missing,
		}
	}
	c.out.Policies = append(c.out.Policies, policy)
	c.out.Bindings = append(c.out.Bindings, binding)
}

// gated selects the namespaces that the gate's selector selects and that are not excluded, by a
// name that nobody can change.
//
// It belongs into bindings, not into policies. The API server parses the selector of every
// policy for every write of anything in any namespace, before it looks at what the policy is
// about; that of a binding only for requests that its policy is about.
func (c *compiler) gated() *metav1.LabelSelector {
	selector := c.selector.DeepCopy()
	selector.MatchExpressions = append(selector.MatchExpressions, metav1.LabelSelectorRequirement{
		Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpNotIn,
		Values: slices.Clone(c.excluded),
	})
	return selector
}

// prefixes excludes namespaces by the beginning of their names.
func (c *compiler) prefixes(everywhere bool) []admissionv1.MatchCondition {
	if len(c.in.ExcludedPrefixes) == 0 {
		return nil
	}
	name := "request.namespace"
	if everywhere {
		name = "object.metadata.name"
	}
	return []admissionv1.MatchCondition{{
		Name:       "excluded-prefixes",
		Expression: "!" + quoteAll(c.in.ExcludedPrefixes) + ".exists(p, " + name + ".startsWith(p))",
	}}
}

func on(
	group string, operations []admissionv1.OperationType, resources ...string,
) admissionv1.NamedRuleWithOperations {
	return admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: operations,
		Rule: admissionv1.Rule{
			APIGroups: []string{group}, APIVersions: []string{"*"}, Resources: resources,
		},
	}}
}

// The operations of policies.
var (
	created          = []admissionv1.OperationType{admissionv1.Create}
	updated          = []admissionv1.OperationType{admissionv1.Update}
	createdOrUpdated = []admissionv1.OperationType{admissionv1.Create, admissionv1.Update}
)

func variable(name, expression string) admissionv1.Variable {
	return admissionv1.Variable{Name: name, Expression: expression}
}
