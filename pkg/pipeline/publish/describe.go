package publish

import (
	"context"
	"fmt"
	"io"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Describe returns the descriptor of a manifest in the repository, as what is about it has to
// name it. It recomputes the digest.
func (r *Registry) Describe(ctx context.Context, d image.Digest) (oci.Descriptor, error) {
	what := "manifest " + d.String()
	reader, err := r.open(ctx)
	if err != nil {
		return oci.Descriptor{}, fetch.Classify(what, err)
	}
	body, err := reader.Manifest(ctx, d)
	if err != nil {
		return oci.Descriptor{}, fetch.Classify(what, err)
	}
	defer func() { _ = body.Close() }() // reading is complete
	raw, err := io.ReadAll(io.LimitReader(body, oci.MaxManifest+1))
	switch {
	case err != nil:
		return oci.Descriptor{}, fetch.Classify(what, err)
	case len(raw) > oci.MaxManifest:
		return oci.Descriptor{}, oci.Errorf(oci.ReasonTooLarge, what, "it is larger than %d bytes", oci.MaxManifest)
	case image.DigestOf(raw) != d:
		return oci.Descriptor{}, oci.Errorf(oci.ReasonCorrupted, what, "its bytes have the digest %s", image.DigestOf(raw))
	}
	m, err := image.ParseManifest(raw, "")
	if err != nil {
		return oci.Descriptor{}, oci.Errorf(oci.ReasonUnreadable, what, "%w", err)
	}
	return oci.Descriptor{MediaType: m.Type(), Digest: d, Size: int64(len(raw))}, nil
}

// Listed reports whether the registry lists one of manifests among the referrers of subject.
func (r *Registry) Listed(ctx context.Context, subject image.Digest, manifests ...image.Digest) (bool, error) {
	what := fmt.Sprintf("referrers of %s", subject)
	reader, err := r.open(ctx)
	if err != nil {
		return false, fetch.Classify(what, err)
	}
	listed, err := listsAny(ctx, reader, subject, manifests)
	return listed, fetch.Classify(what, err)
}
