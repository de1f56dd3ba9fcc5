package gate

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	admissionregistrationv1beta1 "k8s.io/api/admissionregistration/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// mutatingVersions are the versions of MutatingAdmissionPolicy that Revet writes, best first.
// They differ in their name only.
var mutatingVersions = []string{"v1", "v1beta1"}

// MutatingVersion returns the best version in which the API server serves MutatingAdmissionPolicy
// and its binding, or "" if it serves none. The argument is what discovery says of the versions
// of admissionregistration.k8s.io.
func MutatingVersion(served []*metav1.APIResourceList) string {
	for _, version := range mutatingVersions {
		kinds := map[string]bool{}
		for _, list := range served {
			if list.GroupVersion != admissionregistrationv1beta1.GroupName+"/"+version {
				continue
			}
			for i := range list.APIResources {
				kinds[list.APIResources[i].Kind] = true
			}
		}
		if kinds["MutatingAdmissionPolicy"] && kinds["MutatingAdmissionPolicyBinding"] {
			return version
		}
	}
	return ""
}

// isHex is CEL that is true if a string is a digest, and no reason.
const isHex = `matches('^[0-9a-f]{64}$')`

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
	return fmt.Sprintf("%s.spec.?%s.orValue([]).map(i, {'name': i.name, 'image': %s.orValue('')})", object, p.list, image)
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

// tagged is CEL for those of the pairs whose image is a reference without a digest.
const tagged = ".filter(c, c.image != '' && !c.image.contains('@'))"

// pinMutation turns tags that are known into digests, at places that are new. A reference
// keeps its form, and says its tag, by which a later request for the same tag is known.
func pinMutation() string {
	return apply(func(p place) string {
		return p.pairs("object") + tagged +
			".filter(c, request.operation == 'CREATE' || !" + p.pairs("oldObject") + ".exists(o, o.name == c.name))" +
			".map(c, {'name': c.name, 'image': c.image, 'known': " + celNormalize("c.image") + "})" +
			".filter(c, c.known in params.tags && params.tags[c.known]." + isHex + ")" +
			".map(c, " + p.with("c.name", celWithTag("c.image")+" + '@sha256:' + params.tags[c.known]") + ")"
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

// PinScope says where tags are pinned, and who owns the policies that do.
type PinScope struct {
	// Gate is the gate's name, and Meta what its objects carry besides a name.
	Gate string
	Meta metav1.ObjectMeta
	// Namespace is Revet's own, which holds VerifiedImages.
	Namespace string
	// Match selects the gated namespaces, and Conditions leave out what the gate does not judge.
	Policy, Binding admissionregistrationv1beta1.MatchResources
	Conditions      []admissionregistrationv1beta1.MatchCondition
}

// TagsName is the name of the VerifiedImages that hold a gate's tags.
func TagsName(gate string) string { return gate + "-tags" }

// PinPolicies returns the policies that pin tags, with their bindings, in a version of
// [MutatingVersion]. None of them refuses anything: an object that cannot be pinned keeps its
// tags, which the gate's other policies refuse. So a missing parameter locks nothing.
//
// One pins Pods that are made and ephemeral containers that are added. The other needs no
// parameter: it keeps the pins of a Pod to which the same tags are applied again.
func PinPolicies(scope PinScope, version string) ([]*unstructured.Unstructured, error) {
	pods := rule("pods", admissionregistrationv1beta1.Create)
	changed := rule("pods", admissionregistrationv1beta1.Update)
	debug := rule("pods/ephemeralcontainers", admissionregistrationv1beta1.Update)

	pin := scope.policy("pin", pinMutation(), pods, debug)
	pin.Spec.ParamKind = &admissionregistrationv1beta1.ParamKind{APIVersion: v1alpha1.GroupVersion.String(), Kind: "VerifiedImages"}
	pinHere := scope.binding(pin)
	pinHere.Spec.ParamRef = &admissionregistrationv1beta1.ParamRef{
		Name: TagsName(scope.Gate), Namespace: scope.Namespace, ParameterNotFoundAction: ptrTo(admissionregistrationv1beta1.AllowAction)}

	keep := scope.policy("keep", keepMutation(), changed, debug)
	keep.Spec.MatchConditions = append(keep.Spec.MatchConditions, admissionregistrationv1beta1.MatchCondition{
		Name: "an-image-changes", Expression: imagesChange})
	var all []*unstructured.Unstructured
	for _, object := range []runtime.Object{pin, pinHere, keep, scope.binding(keep)} {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return nil, fmt.Errorf("converting a policy that pins tags: %w", err)
		}
		u := &unstructured.Unstructured{Object: content}
		u.SetGroupVersionKind(schema.GroupVersionKind{Group: admissionregistrationv1beta1.GroupName, Version: version,
			Kind: reflect.TypeOf(object).Elem().Name()})
		all = append(all, u)
	}
	return all, nil
}

// imagesChange is CEL that is true if an update changes an image. Updates that do not need
// nothing of the policy, nor of the schemas that the API server mutates by.
var imagesChange = func() string {
	lists := func(object string) string {
		var all []string
		for _, p := range places {
			all = append(all, p.pairs(object))
		}
		return strings.Join(all, " + ")
	}
	return lists("object") + " != " + lists("oldObject")
}()

func (s PinScope) policy(suffix, mutation string, rules ...admissionregistrationv1beta1.NamedRuleWithOperations) *admissionregistrationv1beta1.MutatingAdmissionPolicy {
	p := &admissionregistrationv1beta1.MutatingAdmissionPolicy{ObjectMeta: *s.Meta.DeepCopy()}
	p.Name = "revet-gate-" + s.Gate + "-" + suffix
	match := s.Policy.DeepCopy()
	match.ResourceRules = rules
	p.Spec = admissionregistrationv1beta1.MutatingAdmissionPolicySpec{
		MatchConstraints: match,
		MatchConditions:  slices.Clone(s.Conditions),
		FailurePolicy:    ptrTo(admissionregistrationv1beta1.Ignore),
		// A webhook may add containers after the policy's turn.
		ReinvocationPolicy: admissionregistrationv1beta1.IfNeededReinvocationPolicy,
		Mutations: []admissionregistrationv1beta1.Mutation{{
			PatchType:          admissionregistrationv1beta1.PatchTypeApplyConfiguration,
			ApplyConfiguration: &admissionregistrationv1beta1.ApplyConfiguration{Expression: mutation},
		}},
	}
	return p
}

func (s PinScope) binding(p *admissionregistrationv1beta1.MutatingAdmissionPolicy) *admissionregistrationv1beta1.MutatingAdmissionPolicyBinding {
	return &admissionregistrationv1beta1.MutatingAdmissionPolicyBinding{
		ObjectMeta: *p.ObjectMeta.DeepCopy(),
		Spec: admissionregistrationv1beta1.MutatingAdmissionPolicyBindingSpec{
			PolicyName: p.Name, MatchResources: s.Binding.DeepCopy(),
		},
	}
}

func rule(resource string, operation admissionregistrationv1beta1.OperationType) admissionregistrationv1beta1.NamedRuleWithOperations {
	return admissionregistrationv1beta1.NamedRuleWithOperations{RuleWithOperations: admissionregistrationv1beta1.RuleWithOperations{
		Operations: []admissionregistrationv1beta1.OperationType{operation},
		Rule:       admissionregistrationv1beta1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{resource}},
	}}
}

func ptrTo[T any](v T) *T { return &v }
