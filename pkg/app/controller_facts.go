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

// factsReader reads the facts of a digest. Content from the registry is recomputed against
// the digest, so that it can end a push without a run. An Image object is somebody's claim:
// it is enough if it shows an image that runs and the trigger has no filter, and it is shown
// if the registry cannot be read.
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
		// The object is malformed, and stays so.
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

// refusal tells permanent errors from those that asking again may cure. A refusal by the
// registry of an ImageStream, which the operator need not list, is permanent.
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
