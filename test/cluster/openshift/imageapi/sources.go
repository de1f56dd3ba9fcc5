package imageapi

import (
	"context"
	"fmt"
	"strings"

	imagev1 "github.com/openshift/api/image/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

// The kinds that a tag of spec.tags may come from.
const (
	fromTag    = "ImageStreamTag"
	fromImage  = "ImageStreamImage"
	fromDocker = "DockerImage"
)

// checkSources refuses new and changed tags of spec.tags whose source does not exist or may not be
// read by the client. A tag that an existing stream does not have yet is no error.
func (s *streamStrategy) checkSources(ctx context.Context, stream, old *imagev1.ImageStream) (errs field.ErrorList) {
	for i, t := range stream.Spec.Tags {
		if previous := specTag(old, t.Name); t.From == nil || previous != nil && sameSource(*previous, t) {
			continue
		}
		if err := s.checkSource(ctx, stream, t, field.NewPath("spec", "tags").Index(i).Child("from")); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (s *streamStrategy) checkSource(ctx context.Context, stream *imagev1.ImageStream, t imagev1.TagReference, path *field.Path) *field.Error {
	var namespace, name, id string
	switch t.From.Kind {
	case fromDocker:
		return nil
	case fromTag:
		namespace, name, _ = streamTag(stream, t)
	case fromImage:
		var ok bool
		if namespace, name, id, ok = streamImage(stream, t); !ok {
			return field.Invalid(path.Child("name"), t.From.Name, "must be <stream>@<digest>")
		}
	default:
		return field.NotSupported(path.Child("kind"), t.From.Kind, []string{fromDocker, fromImage, fromTag})
	}
	if namespace != stream.Namespace {
		allowed, err := s.mayPull(ctx, namespace, name)
		if err != nil {
			return field.InternalError(path, err)
		}
		if !allowed {
			return field.Forbidden(path, namespace+"/"+name)
		}
	}
	source, err := s.sourceStream(ctx, stream, namespace, name)
	switch {
	case apierrors.IsNotFound(err):
		return field.NotFound(path.Child("name"), t.From.Name)
	case err != nil:
		return field.InternalError(path, err)
	case t.From.Kind == fromTag:
		return nil
	}
	if _, err := findImage(source, id); err != nil {
		return field.Invalid(path.Child("name"), t.From.Name, err.Error())
	}
	return nil
}

// mayPull asks what the real server asks before it copies a tag from another namespace.
func (s *streamStrategy) mayPull(ctx context.Context, namespace, name string) (bool, error) {
	user, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return false, nil
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.GetName(), UID: user.GetUID(), Groups: user.GetGroups(),
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Name: name, Verb: "get", Group: imagev1.GroupName, Resource: "imagestreams", Subresource: "layers",
		},
	}}
	answer, err := s.reviews.Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("asking whether %q may pull from %s/%s: %w", user.GetName(), namespace, name, err)
	}
	return answer.Status.Allowed, nil
}

// sourceStream reads the stream that a tag comes from, which may be the one that is written.
func (s *streamStrategy) sourceStream(ctx context.Context, stream *imagev1.ImageStream, namespace, name string) (*imagev1.ImageStream, error) {
	if namespace == stream.Namespace && name == stream.Name {
		return stream, nil
	}
	obj, err := s.streams.Get(genericapirequest.WithNamespace(ctx, namespace), name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return obj.(*imagev1.ImageStream), nil
}

// streamImage splits the name of an ImageStreamImage, <stream>@<digest>.
func streamImage(stream *imagev1.ImageStream, t imagev1.TagReference) (namespace, name, id string, ok bool) {
	namespace = t.From.Namespace
	if namespace == "" {
		namespace = stream.Namespace
	}
	name, id, ok = strings.Cut(t.From.Name, "@")
	return namespace, name, id, ok && name != "" && id != ""
}

// findImage looks a digest, or the beginning of one, up in the history of a stream.
func findImage(stream *imagev1.ImageStream, id string) (*imagev1.TagEvent, error) {
	var found *imagev1.TagEvent
	for i := range stream.Status.Tags {
		for n := range stream.Status.Tags[i].Items {
			item := &stream.Status.Tags[i].Items[n]
			if item.Image != id && !strings.HasPrefix(item.Image, id) && !strings.HasPrefix(item.Image, "sha256:"+id) {
				continue
			}
			if found != nil && found.Image != item.Image {
				return nil, fmt.Errorf("multiple images or tags match %q", id)
			}
			found = item
		}
	}
	if found == nil {
		return nil, fmt.Errorf("image %q is not in the history of stream %q", id, stream.Name)
	}
	return found, nil
}
