package imageapi

import (
	"context"
	"strings"

	imagev1 "github.com/openshift/api/image/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/util/retry"
)

// streamTags is the storage of imagestreamtags: a view of the streams. It cannot be listed or watched;
// the real one cannot be watched either.
type streamTags struct {
	rest.TableConvertor

	streams rest.StandardStorage
	// writer changes spec and status in one write.
	writer rest.Updater
	images rest.Getter
}

func (*streamTags) New() runtime.Object     { return &imagev1.ImageStreamTag{} }
func (*streamTags) Destroy()                {}
func (*streamTags) NamespaceScoped() bool   { return true }
func (*streamTags) GetSingularName() string { return "imagestreamtag" }
func (*streamTags) ShortNames() []string    { return []string{"istag"} }

// Get shows a tag with its image.
func (s *streamTags) Get(ctx context.Context, name string, o *metav1.GetOptions) (runtime.Object, error) {
	stream, tag, err := s.stream(ctx, name, o)
	if err != nil {
		return nil, err
	}
	head := Head(stream, tag)
	if head == nil {
		return nil, apierrors.NewNotFound(imagev1.Resource("imagestreamtags"), name)
	}
	view := &imagev1.ImageStreamTag{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: stream.Namespace, Name: name, UID: stream.UID, ResourceVersion: stream.ResourceVersion,
			CreationTimestamp: head.Created,
		},
		Tag:        specTag(stream, tag),
		Generation: head.Generation,
	}
	image, err := s.images.Get(ctx, head.Image, o)
	switch {
	case err == nil:
		view.Image = *image.(*imagev1.Image)
	case apierrors.IsNotFound(err): // pruned, or a reference that was never imported
		view.Image.Name = head.Image
	default:
		return nil, err
	}
	return view, nil
}

// Delete removes the tag from spec and status in one write.
func (s *streamTags) Delete(ctx context.Context, name string, _ rest.ValidateObjectFunc, _ *metav1.DeleteOptions) (runtime.Object, bool, error) {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		stream, tag, err := s.stream(ctx, name, &metav1.GetOptions{})
		if err != nil {
			return err
		}
		stream = stream.DeepCopy()
		if !RemoveTag(stream, tag) {
			return apierrors.NewNotFound(imagev1.Resource("imagestreamtags"), name)
		}
		_, _, err = s.writer.Update(ctx, stream.Name, rest.DefaultUpdatedObjectInfo(stream),
			rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, true, nil
}

func (s *streamTags) stream(ctx context.Context, name string, o *metav1.GetOptions) (*imagev1.ImageStream, string, error) {
	streamName, tag, err := splitStreamTag(name)
	if err != nil {
		return nil, "", err
	}
	obj, err := s.streams.Get(ctx, streamName, o)
	if apierrors.IsNotFound(err) {
		return nil, "", apierrors.NewNotFound(imagev1.Resource("imagestreamtags"), name)
	}
	if err != nil {
		return nil, "", err
	}
	return obj.(*imagev1.ImageStream), tag, nil
}

func splitStreamTag(name string) (stream, tag string, err error) {
	stream, tag, ok := strings.Cut(name, ":")
	if !ok || stream == "" || tag == "" {
		return "", "", apierrors.NewBadRequest("the name of an ImageStreamTag is <stream>:<tag>")
	}
	return stream, tag, nil
}

// tagRemovalStrategy lets a stream be written as it is, but for the rise of its generation if the spec changed.
type tagRemovalStrategy struct{ *streamStrategy }

// PrepareForUpdate keeps what the caller computed.
func (tagRemovalStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	stream, previous := obj.(*imagev1.ImageStream), old.(*imagev1.ImageStream)
	stream.Generation = previous.Generation
	if len(stream.Spec.Tags) != len(previous.Spec.Tags) {
		stream.Generation++
	}
}
