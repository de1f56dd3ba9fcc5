package imageapi

import (
	"context"

	imagev1 "github.com/openshift/api/image/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/util/retry"
)

// mappings is the storage of imagestreammappings, with which the real registry records a push. Like
// the real one it believes what it is given: the first mapping of a digest makes the Image, and a
// later one keeps it.
type mappings struct {
	streams rest.Getter
	status  rest.Updater
	images  rest.Creater //nolint:misspell // the interface of the API server is spelled so
	now     func() metav1.Time
}

func (*mappings) New() runtime.Object     { return &imagev1.ImageStreamMapping{} }
func (*mappings) Destroy()                {}
func (*mappings) NamespaceScoped() bool   { return true }
func (*mappings) GetSingularName() string { return "imagestreammapping" }

// Create makes the Image, if there is none of that name, and the tag's new head.
func (m *mappings) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	mapping := obj.(*imagev1.ImageStreamMapping)
	if errs := validateMapping(mapping); len(errs) > 0 {
		return nil, apierrors.NewInvalid(imagev1.GroupVersion.WithKind("ImageStreamMapping").GroupKind(), mapping.Name, errs)
	}
	if err := validate(ctx, obj); err != nil {
		return nil, err
	}
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		found, err := m.streams.Get(ctx, mapping.Name, &metav1.GetOptions{})
		if err != nil {
			return err
		}
		cluster := genericapirequest.WithNamespace(ctx, metav1.NamespaceNone)
		_, err = m.images.Create(cluster, mapping.Image.DeepCopy(), rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		stream := found.(*imagev1.ImageStream).DeepCopy()
		head := imagev1.TagEvent{
			Created: m.now(), DockerImageReference: mapping.Image.DockerImageReference, Image: mapping.Image.Name, Generation: stream.Generation,
		}
		if !AddTagEvent(stream, mapping.Tag, head) {
			return nil
		}
		MoveFollowers(stream, mapping.Tag, head)
		_, _, err = m.status.Update(ctx, stream.Name, rest.DefaultUpdatedObjectInfo(stream),
			rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

func validateMapping(m *imagev1.ImageStreamMapping) (errs field.ErrorList) {
	for path, value := range map[string]string{
		"metadata.name": m.Name, "tag": m.Tag, "image.metadata.name": m.Image.Name, "image.dockerImageReference": m.Image.DockerImageReference,
	} {
		if value == "" {
			errs = append(errs, field.Required(field.NewPath(path), ""))
		}
	}
	return errs
}
