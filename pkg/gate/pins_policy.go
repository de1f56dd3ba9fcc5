package gate

import (
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// MutatingVersions are the versions of MutatingAdmissionPolicy that a gate is written in, best
// first. They differ in their name only.
func MutatingVersions() []string { return []string{"v1", "v1beta1"} }

// place is a list of a Pod's spec whose items name an image.
type place struct {
	list string
	// within is the field of an item that holds the reference; empty if the item does.
	within string
}

// places are where images stand that are pinned.
var places = []place{{"containers", ""}, {"initContainers", ""}, {"ephemeralContainers", ""}, {"volumes", "image"}}

// pairs is CEL for the names and images of an object's items. An item without an image has
// an empty one.
func (p place) pairs(object string) string {
	image := "i.?image"
	if p.within != "" {
		image = "i.?" + p.within + ".?reference"
	}
	return fmt.Sprintf("%s.spec.?%s.orValue([]).map(i, {'name': string(i.name), 'image': string(%s.orValue(''))})", object, p.list, image)
}

// with is CEL for an item that has another image, for an ApplyConfiguration.
func (p place) with(name, image string) string {
	t := "Object.spec." + p.list
	if p.within == "" {
		return fmt.Sprintf("%s{name: %s, image: %s}", t, name, image)
	}
	return fmt.Sprintf("%s{name: %s, %s: %s.%s{reference: %s}}", t, name, p.within, t, p.within, image)
}

// apply is CEL for an ApplyConfiguration of the places. A list without an item to change is
// left out.
func apply(changed func(place) string) string {
	fields := make([]string, 0, len(places))
	for _, p := range places {
		fields = append(fields, fmt.Sprintf("?%s: optional.ofNonZeroValue(%s)", p.list, changed(p)))
	}
	return "Object{spec: Object.spec{" + strings.Join(fields, ", ") + "}}"
}

// tagged is CEL for those of the pairs whose image is a reference without a digest. Names with
// a digest are in no map either; that the rest does not look at them keeps its cost low.
const tagged = ".filter(c, c.image != '' && !c.image.contains('@'))"

// pinMutation turns tags that are known into digests, at places that are new. A reference
// keeps its form, and says its tag, by which a later request for the same tag is known.
func pinMutation() string {
	return apply(func(p place) string {
		return p.pairs("object") + tagged +
			".filter(c, request.operation == 'CREATE' || !" + p.pairs("oldObject") + ".exists(o, o.name == c.name))" +
			".map(c, {'name': c.name, 'image': c.image, 'known': " + celNormalize("c.image") + "})" +
			".filter(c, " + celPinned("c.known") + ")" +
			".map(c, " + p.with("c.name", celWithTag("c.image")+" + '@sha256:' + variables.tags[c.known]") + ")"
	})
}

// keepMutation keeps what a tag was pinned to if the same tag is applied again at the same
// place of a Pod.
func keepMutation() string {
	same := "o.name == c.name && o.image.matches(':[^/@]+@sha256:[0-9a-f]{64}$') && " +
		celNormalize("o.image.split('@')[0]") + " == " + celNormalize("c.image")
	return apply(func(p place) string {
		return p.pairs("object") + tagged +
			".map(c, " + p.pairs("oldObject") + ".filter(o, " + same + "))" +
			".filter(o, o.size() == 1)" +
			".map(o, " + p.with("o[0].name", "o[0].image") + ")"
	})
}

// pinObjects returns the policies that pin tags, with their bindings. None of them refuses
// anything: an object that cannot be pinned keeps its tags, which the policy of tags refuses.
// So a missing parameter locks nothing. In Audit and Warn there are none.
//
// One pins Pods that are made and ephemeral containers that are added. The other needs no
// parameter: it keeps the pins of a Pod to which the same tags are applied again.
func pinObjects(c *compiler) ([]*unstructured.Unstructured, error) {
	if c.in.Mode != v1alpha1.GateDeny {
		return nil, nil
	}
	if !slices.Contains(MutatingVersions(), c.in.MutatingVersion) {
		return nil, fmt.Errorf("MutatingAdmissionPolicies are not written in version %q", c.in.MutatingVersion)
	}
	pin := c.mutating("pin", true, pinMutation(), podRules()...)
	// It has no condition that some image has a tag: what did not meet its conditions does not
	// get another turn once a webhook has added one.
	missing := admissionregistrationv1.AllowAction
	pin.policy.Variables = []admissionregistrationv1.Variable{variable("tags", "params.?tags.orValue({})")}
	pin.policy.ParamKind = &admissionregistrationv1.ParamKind{APIVersion: v1alpha1.GroupVersion.String(), Kind: "VerifiedImages"}
	pin.binding.ParamRef = &admissionregistrationv1.ParamRef{
		Name: c.tagsObject(), Namespace: c.in.SystemNamespace, ParameterNotFoundAction: &missing}

	keep := c.mutating("keep", false, keepMutation(), on("", updated, "pods", "pods/ephemeralcontainers"))
	keep.policy.MatchConditions = append(keep.policy.MatchConditions, admissionregistrationv1.MatchCondition{
		Name: "image-changes", Expression: imageChanges})
	var all []*unstructured.Unstructured
	for _, m := range []mutating{pin, keep} {
		policy, err := c.object("MutatingAdmissionPolicy", c.meta(m.name), &m.policy)
		if err != nil {
			return nil, err
		}
		binding, err := c.object("MutatingAdmissionPolicyBinding", c.bindingMeta(m.name), &m.binding)
		if err != nil {
			return nil, err
		}
		all = append(all, policy, binding)
	}
	return all, nil
}

// object makes an object of the gate.
func (c *compiler) object(
	kind string, m metav1.ObjectMeta, spec any,
) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metav1.ObjectMeta `json:"metadata"`
		Spec            any               `json:"spec"`
	}{
		metav1.TypeMeta{APIVersion: admissionregistrationv1.GroupName + "/" + c.in.MutatingVersion, Kind: kind},
		m, spec,
	})
	if err != nil {
		return nil, fmt.Errorf("making the %s of a gate: %w", kind, err)
	}
	return &unstructured.Unstructured{Object: content}, nil
}

// imageChanges is CEL that is true if an update changes an image. Other updates need nothing
// of the policy, nor of the schemas by which the API server mutates.
var imageChanges = func() string {
	lists := func(object string) string {
		var all []string
		for _, p := range places {
			all = append(all, p.pairs(object))
		}
		return strings.Join(all, " + ")
	}
	return lists("object") + " != " + lists("oldObject")
}()

// mutating is a policy that may only change what it judges, and its binding.
type mutating struct {
	name    string
	policy  mutatingPolicySpec
	binding mutatingBindingSpec
}

// mutatingPolicySpec is what Revet writes of a MutatingAdmissionPolicySpec. All its versions
// have these fields, and the Go types of some are older than the version.
type mutatingPolicySpec struct {
	ParamKind          *admissionregistrationv1.ParamKind             `json:"paramKind,omitempty"`
	MatchConstraints   *admissionregistrationv1.MatchResources        `json:"matchConstraints,omitempty"`
	Variables          []admissionregistrationv1.Variable             `json:"variables,omitempty"`
	Mutations          []mutation                                     `json:"mutations"`
	FailurePolicy      admissionregistrationv1.FailurePolicyType      `json:"failurePolicy"`
	MatchConditions    []admissionregistrationv1.MatchCondition       `json:"matchConditions,omitempty"`
	ReinvocationPolicy admissionregistrationv1.ReinvocationPolicyType `json:"reinvocationPolicy"`
}

type mutation struct {
	PatchType          string             `json:"patchType"`
	ApplyConfiguration applyConfiguration `json:"applyConfiguration"`
}

type applyConfiguration struct {
	Expression string `json:"expression"`
}

// mutatingBindingSpec is a MutatingAdmissionPolicyBindingSpec.
type mutatingBindingSpec struct {
	PolicyName     string                                  `json:"policyName"`
	ParamRef       *admissionregistrationv1.ParamRef       `json:"paramRef,omitempty"`
	MatchResources *admissionregistrationv1.MatchResources `json:"matchResources,omitempty"`
}

// mutating makes a policy of an ApplyConfiguration. Images of Pods for which break-glass counts
// stay as they are: what was verified may be what does not work.
func (c *compiler) mutating(name string, owners bool, expression string, rules ...admissionregistrationv1.NamedRuleWithOperations) mutating {
	return mutating{
		name: name,
		policy: mutatingPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: rules},
			MatchConditions: append(c.prefixes(false), admissionregistrationv1.MatchCondition{
				Name: "no-break-glass", Expression: "!(" + c.brokenGlass(owners, c.bypass()) + ")"}),
			FailurePolicy: admissionregistrationv1.Ignore,
			// A webhook may add containers after the policy's turn.
			ReinvocationPolicy: admissionregistrationv1.IfNeededReinvocationPolicy,
			Mutations:          []mutation{{"ApplyConfiguration", applyConfiguration{expression}}},
		},
		binding: mutatingBindingSpec{
			PolicyName:     c.meta(name).Name,
			MatchResources: &admissionregistrationv1.MatchResources{NamespaceSelector: c.gated()},
		},
	}
}
