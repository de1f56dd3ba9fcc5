package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Names that appear on objects outside this API group.
const (
	// RunLabel carries the run's name on the PipelineRun that a trigger's template makes.
	RunLabel = "revet.dev/run"
	// EntryUIDAnnotation carries the UID of the ImageVerification a PipelineRun belongs to.
	EntryUIDAnnotation = "revet.dev/entry-uid"
	// DigestAnnotation carries the digest that a PipelineRun was asked to verify.
	DigestAnnotation = "revet.dev/digest"
	// TriggerUIDLabel carries the UID of the trigger on its ImageVerifications.
	TriggerUIDLabel = "revet.dev/trigger-uid"
	// GateLabel carries the name of the gate on everything that an ImageGate owns.
	GateLabel = "revet.dev/gate"
	// BreakGlassLabel, with the value "true", asks for a Pod to start without a verdict. The
	// name is that of Kubernetes' own ImagePolicyWebhook.
	BreakGlassLabel = "image-policy.k8s.io/break-glass"
)

// GroupVersion is the API group and version of this package.
var GroupVersion = schema.GroupVersion{Group: "revet.dev", Version: "v1alpha1"}

// AddToScheme registers the package's types.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&ImageTrigger{}, &ImageTriggerList{},
		&ImageVerification{}, &ImageVerificationList{},
		&ImageGate{}, &ImageGateList{},
		&VerifiedImages{}, &VerifiedImagesList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
