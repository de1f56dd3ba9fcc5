package app

import (
	"context"
	"errors"
	"fmt"
	"sync"

	imagev1 "github.com/openshift/api/image/v1"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
	"github.com/revet-dev/revet/pkg/source/registry"
)

const (
	// maxIndexChildren is how many children of an index are read.
	maxIndexChildren = 64
	// childReads is how many of them are read at once.
	childReads = 8
)

// factsReader reads what is known of a digest. The registry's content is recomputed
// against the digest, and so may decide that nothing is run. The Image object is what
// somebody wrote: it is enough where it shows an image that runs and nothing else
// depends on it, and is shown where the registry cannot be read.
type factsReader struct {
	live     client.Reader
	registry *registry.Reader
}

// Read implements imageverification.Facts.
func (f *factsReader) Read(ctx context.Context, t *v1alpha1.ImageTrigger, e *v1alpha1.ImageVerification, labels []string) (*imageverification.Image, error) {
	if e.Spec.Repository.Kind != v1alpha1.RepositoryImageStream {
		return f.fromRegistry(ctx, t, e, labels)
	}
	img, err := f.image(ctx, e.Spec.Digest)
	if err != nil {
		return nil, err
	}
	if img != nil && t.Spec.Filter == "" && openshift.Runs(img) {
		return f.fromImage(ctx, img, labels)
	}
	known, err := f.fromRegistry(ctx, t, e, labels)
	if img != nil && errors.Is(err, imageverification.ErrNoFacts) {
		return f.fromImage(ctx, img, labels)
	}
	return known, err
}

// fromImage returns what the Image object says.
func (f *factsReader) fromImage(ctx context.Context, img *imagev1.Image, labels []string) (*imageverification.Image, error) {
	children, err := f.children(ctx, img)
	if err != nil {
		return nil, err
	}
	facts, err := openshift.Facts(img, children, labels)
	if err != nil {
		// It says something that cannot be read, and will say so again.
		return nil, fmt.Errorf("the Image %q: %w: %w", img.Name, imageverification.ErrNoFacts, err)
	}
	return &imageverification.Image{Facts: facts}, nil
}

// image returns nil if there is no such Image, or no image API at all. One that
// is down is an error, as the facts would be taken for gone otherwise.
func (f *factsReader) image(ctx context.Context, digest string) (*imagev1.Image, error) {
	var img imagev1.Image
	err := f.live.Get(ctx, client.ObjectKey{Name: digest}, &img)
	switch {
	case err == nil:
		return &img, nil
	case apierrors.IsNotFound(err):
		return nil, nil
	default:
		return nil, fmt.Errorf("reading Image %q: %w", digest, err)
	}
}

// children reads the Images of an index's children. One that is not there is
// left out: what is not known is verified.
func (f *factsReader) children(ctx context.Context, index *imagev1.Image) (openshift.Children, error) {
	digests := openshift.ChildDigests(index)
	if len(digests) == 0 {
		return nil, nil
	}
	var mu sync.Mutex
	children := openshift.Children{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(childReads)
	for _, d := range digests[:min(len(digests), maxIndexChildren)] {
		group.Go(func() error {
			img, err := f.image(ctx, d.String())
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

func (f *factsReader) fromRegistry(ctx context.Context, t *v1alpha1.ImageTrigger, e *v1alpha1.ImageVerification, labels []string) (*imageverification.Image, error) {
	ref, err := ledger.ReferenceOf(e)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", imageverification.ErrNoFacts, err)
	}
	facts, err := f.registry.Facts(ctx, ref, source.AccountOf(t), labels)
	if err != nil {
		return nil, f.refusal(e, err)
	}
	return &imageverification.Image{Facts: facts.Image, Content: facts.Content, Recomputed: true}, nil
}

// refusal tells apart what asking again may cure. Of an ImageStream's registry, which
// the operator need not list, a refusal is final: whoever runs the image may read it.
func (f *factsReader) refusal(e *v1alpha1.ImageVerification, err error) error {
	switch source.ReasonOf(err) {
	case source.NotFound, source.Unreadable:
		return fmt.Errorf("%w: %w", imageverification.ErrNoFacts, err)
	case source.NotAllowed, source.Denied:
		if e.Spec.Repository.Kind == v1alpha1.RepositoryImageStream {
			return fmt.Errorf("%w: %w", imageverification.ErrNoFacts, err)
		}
		return err
	default:
		return err
	}
}
