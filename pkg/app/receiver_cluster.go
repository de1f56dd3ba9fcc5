package app

import (
	"context"
	"fmt"

	imagev1 "github.com/openshift/api/image/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/intake"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// cluster reads OpenShift's image API, and asks for accounts' rights.
type cluster struct {
	live   client.Client
	rights *source.Rights
}

// Stream reads an ImageStream from the API server.
func (c *cluster) Stream(ctx context.Context, namespace, name string) (*intake.StreamState, error) {
	var is imagev1.ImageStream
	err := c.live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &is)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading ImageStream %q in namespace %q: %w", name, namespace, err)
	}
	return &intake.StreamState{Labels: is.Labels, Stream: openshift.Stream(&is)}, nil
}

// Image reads the Image of a digest. The children of an index are left to the
// controller, which reads them anyway.
func (c *cluster) Image(ctx context.Context, d image.Digest) (intake.Image, error) {
	img, err := c.image(ctx, d.String())
	if err != nil || img == nil || !openshift.Runs(img) {
		return intake.Image{}, err
	}
	read := intake.Image{Runs: true}
	if len(img.DockerImageManifests) == 0 {
		// What cannot be decoded is left to the controller, which says so.
		if facts, err := openshift.Facts(img, nil, nil); err == nil {
			read.Facts = &facts
		}
	}
	return read, nil
}

// image returns nil if there is no such Image.
func (c *cluster) image(ctx context.Context, digest string) (*imagev1.Image, error) {
	var img imagev1.Image
	err := c.live.Get(ctx, client.ObjectKey{Name: digest}, &img)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading Image %q: %w", digest, err)
	default:
		return &img, nil
	}
}

// MayGet asks whether a service account may get an ImageStream.
func (c *cluster) MayGet(ctx context.Context, account source.Account, namespace, name string) (bool, error) {
	return c.rights.Allowed(ctx, account, authorizationv1.ResourceAttributes{
		Verb: "get", Group: imagev1.GroupName, Resource: "imagestreams", Namespace: namespace, Name: name,
	})
}

// namespaceLabels reads namespaces from the cache; from the API server where it
// has not caught up, as a namespace and its first push may be made at once.
type namespaceLabels struct {
	cached, live client.Reader
}

// Labels returns a namespace's labels.
func (n *namespaceLabels) Labels(ctx context.Context, namespace string) (map[string]string, error) {
	found := namespaceMetadata()
	err := n.cached.Get(ctx, client.ObjectKey{Name: namespace}, found)
	if apierrors.IsNotFound(err) {
		err = n.live.Get(ctx, client.ObjectKey{Name: namespace}, found)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading the labels of namespace %q: %w", namespace, err)
	}
	return found.Labels, nil
}

// namespaceMetadata is a namespace without what nobody reads.
func namespaceMetadata() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}}
}
