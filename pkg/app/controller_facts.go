package app

import (
	"context"
	"errors"
	"fmt"

	imagev1 "github.com/openshift/api/image/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
	"github.com/revet-dev/revet/pkg/source/registry"
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
	img, err := openshift.NewReader(f.live, nil).ImageObject(ctx, e.Spec.Digest)
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
	facts, err := openshift.NewReader(f.live, nil).Facts(ctx, img, labels)
	var undecodable *openshift.DecodeError
	if errors.As(err, &undecodable) {
		// It says something that cannot be read, and will say so again.
		return nil, fmt.Errorf("the Image %q: %w: %w", img.Name, imageverification.ErrNoFacts, err)
	}
	if err != nil {
		return nil, err
	}
	return &imageverification.Image{Facts: facts}, nil
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
