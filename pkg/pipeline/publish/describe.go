package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// The bounds on an index whose children are described. A scan reads no larger one: see package oci.
const maxLevels, maxIndexes = 5, 256

// Describe returns the descriptor of a manifest in the repository, as what is about it has to
// name it. It recomputes the digest.
func (r *Registry) Describe(ctx context.Context, d image.Digest) (oci.Descriptor, error) {
	reader, err := r.open(ctx)
	if err != nil {
		return oci.Descriptor{}, fetch.Classify("manifest "+d.String(), err)
	}
	m, size, err := readManifest(ctx, reader, d)
	if err != nil {
		return oci.Descriptor{}, err
	}
	return oci.Descriptor{MediaType: m.Type(), Digest: d, Size: size}, nil
}

// Within returns the descriptors of root, of the indexes below it, and of those manifests in wanted
// that they lead to, by their digests. It recomputes all digests. A manifest that root does not lead
// to is left out.
func (r *Registry) Within(ctx context.Context, root image.Digest, wanted []image.Digest) (map[image.Digest]oci.Descriptor, error) {
	reader, err := r.open(ctx)
	if err != nil {
		return nil, fetch.Classify("manifest "+root.String(), err)
	}
	named, found, read := []image.Digest{root}, map[image.Digest]oci.Descriptor{}, map[image.Digest]bool{}
	for range maxLevels {
		var next []image.Digest
		for _, d := range named {
			if read[d] {
				continue
			}
			if read[d] = true; len(read) > maxIndexes+len(wanted) {
				return nil, oci.Errorf(oci.ReasonTooLarge, "index "+root.String(), "it names more than %d indexes", maxIndexes)
			}
			m, size, err := readManifest(ctx, reader, d)
			if d != root && !slices.Contains(wanted, d) && isSettled(err) {
				continue // it leads to nothing
			}
			if err != nil {
				return nil, err
			}
			found[d] = oci.Descriptor{MediaType: m.Type(), Digest: d, Size: size}
			for _, child := range m.Manifests {
				if mayLead(child) || slices.Contains(wanted, child.Digest) {
					next = append(next, child.Digest)
				}
			}
		}
		named = next
	}
	return found, nil
}

// mayLead reports whether a child of an index may be an index.
func mayLead(child image.Descriptor) bool {
	return child.NamesManifest() && child.MediaType != image.OCIManifest && child.MediaType != image.DockerManifest
}

// isSettled reports whether an error says what a manifest is, rather than that nobody could read it.
func isSettled(err error) bool {
	var e *oci.Error
	return errors.As(err, &e) && (e.Reason == oci.ReasonMissing || e.Reason == oci.ReasonUnreadable || e.Reason == oci.ReasonTooLarge)
}

// readManifest returns the manifest with that digest, and its size.
func readManifest(ctx context.Context, reader *fetch.Registry, d image.Digest) (image.Manifest, int64, error) {
	what := "manifest " + d.String()
	body, err := reader.Manifest(ctx, d)
	if err != nil {
		return image.Manifest{}, 0, fetch.Classify(what, err)
	}
	defer func() { _ = body.Close() }() // reading is complete
	raw, err := io.ReadAll(io.LimitReader(body, oci.MaxManifest+1))
	switch {
	case err != nil:
		return image.Manifest{}, 0, fetch.Classify(what, err)
	case len(raw) > oci.MaxManifest:
		return image.Manifest{}, 0, oci.Errorf(oci.ReasonTooLarge, what, "it is larger than %d bytes", oci.MaxManifest)
	case image.DigestOf(raw) != d:
		return image.Manifest{}, 0, oci.Errorf(oci.ReasonCorrupted, what, "its bytes have the digest %s", image.DigestOf(raw))
	}
	m, err := image.ParseManifest(raw, "")
	if err != nil {
		return image.Manifest{}, 0, oci.Errorf(oci.ReasonUnreadable, what, "%w", err)
	}
	return m, int64(len(raw)), nil
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
