package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/pkg/pipeline/fetch"
)

// noPlatform is the platform of artefacts, which do not run. OpenShift's registry refuses an index
// with a child that has no platform.
const noPlatform = "unknown"

// readList returns the list under tag, which is empty if the tag does not exist.
func readList(tag name.Tag, options []remote.Option) (v1.IndexManifest, error) {
	empty := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	desc, err := remote.Get(tag, options...)
	if notFound(err) {
		return empty, nil
	}
	if err != nil {
		return empty, err
	}
	list, err := v1.ParseIndexManifest(bytes.NewReader(desc.Manifest))
	if err != nil {
		return empty, fmt.Errorf("read the list of referrers under the tag %s: %w", tag.TagStr(), err)
	}
	if list.Manifests == nil && list.MediaType != types.OCIImageIndex {
		return empty, fmt.Errorf("the tag %s names something other than a list of referrers (%s); delete it, or push it under another tag", tag.TagStr(), desc.MediaType)
	}
	list.SchemaVersion, list.MediaType = 2, types.OCIImageIndex
	return *list, nil
}

// writeList stores list under tag.
func writeList(tag name.Tag, list v1.IndexManifest, options []remote.Option) error {
	raw, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("encode the list of referrers: %w", err)
	}
	return remote.Put(tag, manifest{raw: raw, mediaType: types.OCIImageIndex}, options...)
}

// entry returns the descriptor of m for a list.
func entry(a Artifact, m manifest) (v1.Descriptor, error) {
	digest, err := v1.NewHash(m.digest.String())
	if err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{
		MediaType: m.mediaType, Digest: digest, Size: int64(len(m.raw)), ArtifactType: a.Type, Annotations: a.annotations(),
	}, nil
}

// add returns list with own in place of older entries of its kind. The result is sorted, and each
// child has a platform.
func add(list v1.IndexManifest, own v1.Descriptor) v1.IndexManifest {
	next := list
	next.Manifests = []v1.Descriptor{own}
	for _, d := range list.Manifests {
		if d.Digest != own.Digest && d.Annotations[kindAnnotation] != own.Annotations[kindAnnotation] {
			next.Manifests = append(next.Manifests, d)
		}
	}
	slices.SortFunc(next.Manifests, func(a, b v1.Descriptor) int { return strings.Compare(a.Digest.String(), b.Digest.String()) })
	for i := range next.Manifests {
		d := &next.Manifests[i]
		platform := v1.Platform{}
		if d.Platform != nil {
			platform = *d.Platform
		}
		if platform.OS == "" {
			platform.OS = noPlatform
		}
		if platform.Architecture == "" {
			platform.Architecture = noPlatform
		}
		d.Platform = &platform
	}
	return next
}

// refusesChildren reports whether a registry refused a list because it no longer has one of its
// children: retention removed the child, but the list still names it.
func refusesChildren(err error) bool {
	var status *transport.Error
	if !errors.As(err, &status) || !fetch.Refused(err) && status.StatusCode != http.StatusNotFound {
		return false
	}
	return len(status.Errors) == 0 || slices.ContainsFunc(status.Errors, func(d transport.Diagnostic) bool {
		switch d.Code {
		case transport.ManifestBlobUnknownErrorCode, transport.ManifestUnknownErrorCode, transport.BlobUnknownErrorCode, transport.ManifestInvalidErrorCode:
			return true
		default:
			return false
		}
	})
}

// gone reports whether the registry says that it does not have a manifest. If the registry does not
// answer, the entry stays.
func gone(digest name.Digest, options []remote.Option) bool {
	_, err := remote.Head(digest, options...)
	if notFound(err) {
		_, err = remote.Get(digest, options...)
	}
	return notFound(err)
}

func notFound(err error) bool {
	var status *transport.Error
	return errors.As(err, &status) && status.StatusCode == http.StatusNotFound
}
