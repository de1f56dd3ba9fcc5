package layers

import (
	"bytes"
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/diff/apply"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// containerd unpacks as containerd's unpacker does: it prepares a snapshot for each
// layer, lets the diff service's applier unpack into its mounts, and commits it.
type containerd struct {
	name  string
	shots snapshots.Snapshotter
	// parallel unpacks every layer for itself, and joins them afterwards, as the
	// unpacker does with the overlay snapshotter where it may unpack several at once.
	parallel bool
}

func (c containerd) String() string { return c.name }

func (c containerd) show(ctx context.Context, id string, stored []blob) (shown tree, refused, err error) {
	var made []string
	defer func() {
		for len(made) > 0 && err == nil {
			last := made[len(made)-1]
			made = made[:len(made)-1]
			err = c.shots.Remove(ctx, last)
		}
	}()
	parent := ""
	for i, b := range stored {
		key := fmt.Sprintf("%s-%d", id, i)
		below, above := parent, []snapshots.Opt(nil)
		if c.parallel && i > 0 {
			below, above = "", []snapshots.Opt{snapshots.WithParent(parent)}
		}
		mounts, err := c.shots.Prepare(ctx, key+"-active", below)
		if err != nil {
			// The native snapshotter copies what is below, and cannot copy everything.
			return nil, fmt.Errorf("layer %d: %w", i+1, err), nil
		}
		made = append(made, key+"-active")
		if c.parallel && i > 0 {
			// A snapshot without a parent is a plain directory. The applier must take it
			// for the upper one of an overlay, else it loses the whiteouts.
			mounts = []mount.Mount{{Type: "overlay", Source: "overlay", Options: []string{"upperdir=" + mounts[0].Source}}}
		}
		applier := apply.NewFileSystemApplier(provider{b})
		descriptor := ocispec.Descriptor{MediaType: b.media, Digest: b.digest, Size: int64(len(b.stored))}
		if _, err := applier.Apply(ctx, descriptor, mounts); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i+1, err), nil
		}
		if err := c.shots.Commit(ctx, key, key+"-active", above...); err != nil {
			return nil, nil, err
		}
		made[len(made)-1] = key
		parent = key
	}
	// A container gets a snapshot that it can write to, not a view: with one layer
	// the two are mounted differently.
	mounts, err := c.shots.Prepare(ctx, id, parent)
	if err != nil {
		return nil, fmt.Errorf("container: %w", err), nil
	}
	made = append(made, id)
	walked := false
	err = mount.WithTempMount(ctx, mounts, func(root string) error {
		walked = true
		shown, err = walk(root)
		return err
	})
	if err != nil && !walked {
		return nil, fmt.Errorf("mount: %w", err), nil
	}
	return shown, nil, err
}

// provider is a content store of one blob.
type provider struct{ blob blob }

func (p provider) ReaderAt(_ context.Context, d ocispec.Descriptor) (content.ReaderAt, error) {
	if d.Digest != p.blob.digest {
		return nil, fmt.Errorf("%s: %w", d.Digest, errdefs.ErrNotFound)
	}
	return readerAt{bytes.NewReader(p.blob.stored)}, nil
}

type readerAt struct{ *bytes.Reader }

func (readerAt) Close() error { return nil }

// blob is a layer as a registry stores it.
type blob struct {
	media  string
	digest digest.Digest
	stored []byte
}
