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
)

// GroupVersion is the API group and version of this package.
var GroupVersion = schema.GroupVersion{Group: "revet.dev", Version: "v1alpha1"}

// AddToScheme registers the package's types.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&ImageTrigger{}, &ImageTriggerList{},
		&ImageVerification{}, &ImageVerificationList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
