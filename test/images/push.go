package images

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	revet "github.com/revet-dev/revet/pkg/image"
)

// Push builds s and pushes it to tag, host/repository:tag, as a client does:
// blobs, then children, then the tag. It returns the digest that the tag shows.
// options come last, so that they can bring credentials or a transport.
func Push(ctx context.Context, tag string, s Sample, o Options, options ...remote.Option) (revet.Digest, error) {
	ref, err := name.NewTag(tag, name.StrictValidation)
	if err != nil {
		return revet.Digest{}, fmt.Errorf("push sample %q: %w", s.Name, err)
	}
	a, err := s.build(o)
	if err != nil {
		return revet.Digest{}, fmt.Errorf("build sample %q: %w", s.Name, err)
	}
	options = append([]remote.Option{remote.WithContext(ctx)}, options...)
	if a.omit != nil {
		err = pushWithout(ref, a.what.(v1.ImageIndex), *a.omit, options)
	} else {
		err = remote.Push(ref, a.what, options...)
	}
	if err != nil {
		return revet.Digest{}, fmt.Errorf("push sample %q to %s: %w", s.Name, ref, err)
	}
	h, err := digestOf(a.what)
	if err != nil {
		return revet.Digest{}, fmt.Errorf("push sample %q: %w", s.Name, err)
	}
	return revet.ParseDigest(h.String())
}

// pushWithout pushes an index but for one child. Registries that insist on all
// children get it, and are then asked to delete it.
func pushWithout(ref name.Tag, idx v1.ImageIndex, omit v1.Hash, options []remote.Option) error {
	manifest, err := idx.IndexManifest()
	if err != nil {
		return err
	}
	for _, d := range manifest.Manifests {
		if d.Digest == omit {
			continue
		}
		img, err := idx.Image(d.Digest)
		if err != nil {
			return err
		}
		if err := remote.Write(ref.Digest(d.Digest.String()), img, options...); err != nil {
			return err
		}
	}
	if err := remote.Put(ref, idx, options...); err == nil {
		return nil
	}
	if err := remote.WriteIndex(ref, idx, options...); err != nil {
		return err
	}
	if err := remote.Delete(ref.Digest(omit.String()), options...); err != nil {
		return fmt.Errorf("the registry accepts no index with a missing child and deletes none (allow deletion in its configuration): %w", err)
	}
	return nil
}

func digestOf(t remote.Taggable) (v1.Hash, error) {
	d, ok := t.(interface{ Digest() (v1.Hash, error) })
	if !ok {
		return v1.Hash{}, fmt.Errorf("%T has no digest", t)
	}
	return d.Digest()
}
