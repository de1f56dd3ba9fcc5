package openshift

import (
	"context"
	"errors"
	"fmt"

	imagev1 "github.com/openshift/api/image/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// errNoNamespace is a push to a namespace that is missing or being deleted.
var errNoNamespace = errors.New("the namespace does not exist")

// objects reads and writes Images and ImageStreams.
type objects struct {
	images rest.Interface
	kube   kubernetes.Interface
}

func newObjects(config *rest.Config) (*objects, error) {
	scheme := runtime.NewScheme()
	if err := imagev1.Install(scheme); err != nil {
		return nil, fmt.Errorf("registering the image types: %w", err)
	}
	config = rest.CopyConfig(config)
	config.QPS = -1 // each push makes a bounded number of requests
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	config.APIPath, config.GroupVersion = "/apis", &imagev1.GroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	images, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a client of the image API: %w", err)
	}
	return &objects{images, kube}, nil
}

func (o *objects) stream(ctx context.Context, key streamKey) (*imagev1.ImageStream, error) {
	stream := &imagev1.ImageStream{}
	err := o.images.Get().Namespace(key.namespace).Resource("imagestreams").Name(key.name).Do(ctx).Into(stream)
	return stream, err
}

// ensureStream reads a stream, or creates it without tags.
func (o *objects) ensureStream(ctx context.Context, key streamKey) (*imagev1.ImageStream, error) {
	stream, err := o.stream(ctx, key)
	if !apierrors.IsNotFound(err) {
		return stream, err
	}
	// Asked first, to tell a missing namespace from a missing API.
	if err := o.namespace(ctx, key.namespace); err != nil {
		return nil, err
	}
	stream = &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: key.namespace, Name: key.name}}
	created := &imagev1.ImageStream{}
	err = o.images.Post().Namespace(key.namespace).Resource("imagestreams").Body(stream).Do(ctx).Into(created)
	if apierrors.IsAlreadyExists(err) {
		return o.stream(ctx, key)
	}
	return created, err
}

func (o *objects) namespace(ctx context.Context, name string) error {
	namespace, err := o.kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && namespace.DeletionTimestamp != nil {
		return fmt.Errorf("%w: %q", errNoNamespace, name)
	}
	return err
}

func (o *objects) writeStatus(ctx context.Context, stream *imagev1.ImageStream) error {
	return o.images.Put().Namespace(stream.Namespace).Resource("imagestreams").Name(stream.Name).SubResource("status").
		Body(stream).Do(ctx).Error()
}

func (o *objects) image(ctx context.Context, name string) (*imagev1.Image, error) {
	image := &imagev1.Image{}
	err := o.images.Get().Resource("images").Name(name).Do(ctx).Into(image)
	return image, err
}

func (o *objects) hasImage(ctx context.Context, digest string) (bool, error) {
	err := o.images.Get().Resource("images").Name(digest).Do(ctx).Error()
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

func (o *objects) createImage(ctx context.Context, image *imagev1.Image) error {
	err := o.images.Post().Resource("images").Body(image).Do(ctx).Error()
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func (o *objects) deleteTag(ctx context.Context, key streamKey, tag string) error {
	return o.images.Delete().Namespace(key.namespace).Resource("imagestreamtags").Name(key.name + ":" + tag).Do(ctx).Error()
}
