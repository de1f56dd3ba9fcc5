package openshift

import (
	"context"
	"errors"
	"fmt"
	"sync"

	imagev1 "github.com/openshift/api/image/v1"
	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
)

const (
	// maxIndexChildren bounds how many children of an index are read.
	maxIndexChildren = 64
	// childReads is how many of them are read at once.
	childReads = 8
)

// ErrNoStreams means that the cluster does not serve ImageStreams.
var ErrNoStreams = errors.New("this cluster has no ImageStreams")

// StreamState is an ImageStream as the API server shows it.
type StreamState struct {
	Namespace string
	Name      string
	Labels    map[string]string
	Stream    push.Stream
}

// ImageState is what the Image object of a digest shows. Anybody may have written the
// object, so it may only make Revet look at more, never at less.
type ImageState struct {
	// Runs is true if the object shows an image that runs: Revet believes that.
	// Otherwise only the registry can tell.
	Runs bool
	// Facts is what the object alone says of an image that runs. It is nil for an
	// index, whose children hold the rest.
	Facts *v1alpha1.ImageFacts
}

// Reader reads ImageStreams, Images and the rights to them from the API server. It is
// safe for concurrent use.
type Reader struct {
	client client.Reader
	rights *source.Rights
	// raw lists streams as the API server sends them; nil lists them with client,
	// which costs several times as much.
	raw      rest.Interface
	pageSize int64
}

// NewReader returns a Reader. The client must not cache. Rights may be nil for a Reader
// that nobody asks MayGet.
func NewReader(c client.Reader, rights *source.Rights) *Reader {
	return &Reader{client: c, rights: rights, pageSize: pageSize}
}

// ListingWith returns a Reader that lists ImageStreams with a REST client of their API
// group. Give that client connections of its own, so that a large page does not hold up
// other requests.
func (r *Reader) ListingWith(streams rest.Interface) *Reader {
	raw := *r
	raw.raw = streams
	return &raw
}

// Stream returns an ImageStream; nil if there is none of that name.
func (r *Reader) Stream(ctx context.Context, namespace, name string) (*StreamState, error) {
	var is imagev1.ImageStream
	err := r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &is)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading ImageStream %q in namespace %q: %w", name, namespace, err)
	}
	return stateOf(&is), nil
}

func stateOf(is *imagev1.ImageStream) *StreamState {
	return &StreamState{Namespace: is.Namespace, Name: is.Name, Labels: is.Labels, Stream: Stream(is)}
}

// Image returns what the Image object of a digest shows; the zero value if there is none.
func (r *Reader) Image(ctx context.Context, d image.Digest) (ImageState, error) {
	img, err := r.ImageObject(ctx, d.String())
	if err != nil || img == nil || !Runs(img) {
		return ImageState{}, err
	}
	read := ImageState{Runs: true}
	if len(img.DockerImageManifests) == 0 {
		// An object that cannot be decoded is left to the controller, which reports it.
		if facts, err := Facts(img, nil, nil); err == nil {
			read.Facts = &facts
		}
	}
	return read, nil
}

// ImageObject returns the Image object of a digest; nil if there is none.
func (r *Reader) ImageObject(ctx context.Context, digest string) (*imagev1.Image, error) {
	var img imagev1.Image
	err := r.client.Get(ctx, client.ObjectKey{Name: digest}, &img)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading Image %q: %w", digest, err)
	default:
		return &img, nil
	}
}

// Facts returns what an Image object says, and for an index what its children say too.
// An error that is a *DecodeError is the object's own fault and lasts.
func (r *Reader) Facts(ctx context.Context, img *imagev1.Image, labelNames []string) (v1alpha1.ImageFacts, error) {
	children, err := r.children(ctx, img)
	if err != nil {
		return v1alpha1.ImageFacts{}, err
	}
	return Facts(img, children, labelNames)
}

// children reads the Image objects of an index's children. One that does not exist is
// left out.
func (r *Reader) children(ctx context.Context, index *imagev1.Image) (Children, error) {
	digests := ChildDigests(index)
	if len(digests) == 0 {
		return nil, nil
	}
	var mu sync.Mutex
	children := Children{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(childReads)
	for _, d := range digests[:min(len(digests), maxIndexChildren)] {
		group.Go(func() error {
			img, err := r.ImageObject(ctx, d.String())
			if img != nil {
				mu.Lock()
				defer mu.Unlock()
				children[d.String()] = img
			}
			return err
		})
	}
	return children, group.Wait()
}

// MayGet reports whether a service account may get an ImageStream; any of the
// namespace's if name is empty.
func (r *Reader) MayGet(ctx context.Context, account source.Account, namespace, name string) (bool, error) {
	return r.rights.Allowed(ctx, account, authorizationv1.ResourceAttributes{
		Verb: "get", Group: imagev1.GroupName, Resource: "imagestreams", Namespace: namespace, Name: name,
	})
}

// Remembered returns what MayGet would without a request; known is false if it would make one.
func (r *Reader) Remembered(account source.Account, namespace, name string) (allowed, known bool) {
	return r.rights.Remembered(account, authorizationv1.ResourceAttributes{
		Verb: "get", Group: imagev1.GroupName, Resource: "imagestreams", Namespace: namespace, Name: name,
	})
}

// MayPull reports whether a service account may pull from an ImageStream in the
// cluster's own registry; from all of the namespace if name is empty, and from all of
// the cluster if namespace is empty too. Role system:image-puller grants it.
func (r *Reader) MayPull(ctx context.Context, account source.Account, namespace, name string) (bool, error) {
	return r.rights.Allowed(ctx, account, authorizationv1.ResourceAttributes{
		Verb: "get", Group: imagev1.GroupName, Resource: "imagestreams", Subresource: "layers", Namespace: namespace, Name: name,
	})
}
