package imageapi

import (
	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

// newScheme knows the served types, once as v1 and once as the version that an API server works with inside. They are
// the same Go types, so that nothing is converted.
func newScheme() (*runtime.Scheme, serializer.CodecFactory) {
	scheme := runtime.NewScheme()
	utilruntime.Must(imagev1.Install(scheme))
	internal := schema.GroupVersion{Group: imagev1.GroupName, Version: runtime.APIVersionInternal}
	scheme.AddKnownTypes(internal,
		&imagev1.Image{}, &imagev1.ImageList{},
		&imagev1.ImageStream{}, &imagev1.ImageStreamList{},
		&imagev1.ImageStreamTag{}, &imagev1.ImageStreamMapping{},
	)
	utilruntime.Must(scheme.SetVersionPriority(imagev1.GroupVersion))
	// Options and errors are of the core group's v1, whatever group is served.
	core := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, core)
	scheme.AddUnversionedTypes(core,
		&metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	return scheme, serializer.NewCodecFactory(scheme)
}
