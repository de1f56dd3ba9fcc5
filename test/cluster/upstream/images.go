package upstream

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

const (
	koScheme = "ko://"
	// Repositories in the local registry. Names of more than two parts are not ImageStreams.
	repositoryPrefix = "upstream/"
	baseRepository   = repositoryPrefix + "base/static"

	pushesAtOnce = 4
)

// references are the images of a component as Pods name them, by import path; the empty one has the key "".
type references map[string]string

// push pushes the bundle's images to the registry, as far as they are not there, and returns how Pods name them.
func (b bundle) push(ctx context.Context, registry, base string) (references, error) {
	refs := references{"": base}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(pushesAtOnce)
	for path, digest := range b.table.Images {
		reference, err := name.NewDigest(reference(registry, path, digest))
		if err != nil {
			return nil, fmt.Errorf("upstream: naming the image of %s: %w", path, err)
		}
		refs[path] = reference.String()
		group.Go(func() error {
			image, err := b.image(digest)
			if err != nil {
				return err
			}
			return pushMissing(ctx, reference, image)
		})
	}
	return refs, group.Wait()
}

func reference(registry, importPath string, digest v1.Hash) string {
	return registry + "/" + repositoryPrefix + strings.ToLower(importPath) + "@" + digest.String()
}

// replaceImages returns value with every image reference of the component replaced, wherever it stands: in fields, in
// arguments and in environment variables. A ko:// reference that is not known is an error, as its Pod could not start.
func (c component) replaceImages(value any, refs references) (any, error) {
	switch v := value.(type) {
	case string:
		return c.replaceImage(v, refs)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = c.replaceImages(v[i], refs); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			var err error
			if out[k], err = c.replaceImages(v[k], refs); err != nil {
				return nil, err
			}
		}
		return out, nil
	default:
		return v, nil
	}
}

func (c component) replaceImage(s string, refs references) (string, error) {
	if c.isEmpty(s) {
		return refs[""], nil
	}
	path, found := strings.CutPrefix(s, koScheme)
	if !found {
		return s, nil
	}
	reference, found := refs[path]
	if !found {
		return "", fmt.Errorf("upstream: the manifests of %s name the image %q, which is not built: add it to the component", c.name, s)
	}
	return reference, nil
}
