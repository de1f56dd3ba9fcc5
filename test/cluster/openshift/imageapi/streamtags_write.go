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

// Create adds a tag to spec.tags, and makes the stream if there is none. "oc tag" does this.
func (s *streamTags) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	if err := validate(ctx, obj); err != nil {
		return nil, err
	}
	return s.put(ctx, obj.(*imagev1.ImageStreamTag), false)
}

// Update changes a tag of spec.tags, or adds it.
func (s *streamTags) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc,
	update rest.ValidateObjectUpdateFunc, _ bool, o *metav1.UpdateOptions,
) (runtime.Object, bool, error) {
	old, err := s.Get(ctx, name, &metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	switch {
	case missing:
		old = &imagev1.ImageStreamTag{ObjectMeta: metav1.ObjectMeta{Namespace: genericapirequest.NamespaceValue(ctx), Name: name}}
	case err != nil:
		return nil, false, err
	}
	obj, err := info.UpdatedObject(ctx, old)
	if err != nil {
		return nil, false, err
	}
	if missing {
		err = create(ctx, obj)
	} else {
		err = update(ctx, obj, old)
	}
	if err != nil {
		return nil, false, err
	}
	changed, err := s.put(ctx, obj.(*imagev1.ImageStreamTag), true)
	return changed, missing, err
}

// put writes the tag into the stream's spec, which resolves it.
func (s *streamTags) put(ctx context.Context, view *imagev1.ImageStreamTag, replace bool) (runtime.Object, error) {
	if view.Tag == nil {
		return nil, apierrors.NewInvalid(imagev1.GroupVersion.WithKind("ImageStreamTag").GroupKind(), view.Name, field.ErrorList{field.Required(field.NewPath("tag"), "")})
	}
	streamName, tag, err := splitStreamTag(view.Name)
	if err != nil {
		return nil, err
	}
	reference := *view.Tag.DeepCopy()
	reference.Name, reference.Generation = tag, nil
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		found, err := s.streams.Get(ctx, streamName, &metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: genericapirequest.NamespaceValue(ctx), Name: streamName}}
			stream.Spec.Tags = []imagev1.TagReference{reference}
			_, err = s.streams.Create(ctx, stream, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
			return err
		}
		if err != nil {
			return err
		}
		stream := found.(*imagev1.ImageStream).DeepCopy()
		switch old := specTag(stream, tag); {
		case old == nil:
			stream.Spec.Tags = append(stream.Spec.Tags, reference)
		case !replace:
			return apierrors.NewAlreadyExists(imagev1.Resource("imagestreamtags"), view.Name)
		default:
			*old = reference
		}
		_, _, err = s.streams.Update(ctx, streamName, rest.DefaultUpdatedObjectInfo(stream),
			rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return nil, err
	}
	written, err := s.Get(ctx, view.Name, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return view, nil // its source has no image yet
	}
	return written, err
}
