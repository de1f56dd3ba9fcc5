package oci_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Whatever a registry serves: Walk reads a bounded number of documents, and
// either it says why not, or all that a runtime could choose is among the images.
func FuzzWalk(f *testing.F) {
	digest := "sha256:" + strings.Repeat("a", 64)
	descriptor := func(mediaType, more string) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":7%s}`, mediaType, digest, more)
	}
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, manifestType, descriptor(configType, ""), descriptor(layerType, ""))
	artefact := fmt.Sprintf(`{"schemaVersion":2,"config":%s,"layers":[%s]}`, descriptor("application/vnd.oci.empty.v1+json", ""), descriptor(intotoType, ""))
	index := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s,%s]}`, indexType,
		descriptor(manifestType, `,"platform":{"os":"linux","architecture":"amd64"}`), descriptor(manifestType, `,"platform":{"os":"unknown","architecture":"unknown"}`))
	config := fmt.Sprintf(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[%q]}}`, digest)
	f.Add([]byte(manifest), []byte(manifest), []byte(config))
	f.Add([]byte(index), []byte(manifest), []byte(config))
	f.Add([]byte(index), []byte(artefact), []byte(config))
	f.Add([]byte(index), []byte(index), []byte(`{}`))
	f.Add([]byte(`{"schemaVersion":1,"fsLayers":[]}`), []byte(nil), []byte(nil))
	root, err := image.ParseDigest("sha256:" + strings.Repeat("b", 64))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, rootDoc, childDoc, configDoc []byte) {
		reads := 0
		var read int64
		serve := func(_ context.Context, kind oci.Kind, d oci.Descriptor, limit int64) ([]byte, error) {
			reads++
			raw := childDoc
			switch {
			case kind == oci.KindConfig:
				raw = configDoc
			case d.Digest == root:
				raw = rootDoc
			}
			if int64(len(raw)) > limit {
				return nil, oci.Errorf(oci.ReasonTooLarge, string(kind), "limit %d", limit)
			}
			read += int64(len(raw))
			return raw, nil
		}
		tree, err := oci.Walk(t.Context(), root, nil, serve)
		if reads > 3*4097 || read > oci.MaxMetadata {
			t.Errorf("%d documents of %d bytes were read", reads, read)
		}
		if err != nil {
			var reason *oci.Error
			if !errors.As(err, &reason) || reason.Reason == "" || len(err.Error()) > 4096 {
				t.Errorf("an error without a reason, or of %d bytes: %v", len(err.Error()), err)
			}
			return
		}
		if tree.Root.Digest != root || len(tree.Images) == 0 {
			t.Errorf("a tree of %v with %d images", tree.Root.Digest, len(tree.Images))
		}
		known := map[image.Digest]bool{}
		for _, i := range tree.Images {
			known[i.Manifest.Digest] = true
			if len(i.Layers) != len(i.Config.RootFS.DiffIDs) || i.Size() < 0 {
				t.Errorf("%d layers, %d diff_ids, size %d", len(i.Layers), len(i.Config.RootFS.DiffIDs), i.Size())
			}
			for _, l := range i.Layers {
				if l.Digest.IsZero() || l.DiffID.IsZero() || l.Size < 0 {
					t.Errorf("a layer of nothing: %+v", l)
				}
			}
		}
		selectable(t, rootDoc, known, childDoc)
	})
}

// selectable fails if a child of the root that is no index, that a runtime could
// choose by platform, and that may run is not among the images.
func selectable(t *testing.T, rootDoc []byte, known map[image.Digest]bool, childDoc []byte) {
	index, err := image.ParseManifest(rootDoc, "")
	child, childErr := image.ParseManifest(childDoc, "")
	if err != nil || childErr != nil || child.IsIndex() {
		return
	}
	all := func(context.Context, image.Kind, image.Descriptor, int64) ([]byte, error) { return childDoc, nil }
	if !child.LooksLikeImage() && !child.Content(t.Context(), all).Runnable() {
		return
	}
	for _, m := range index.Manifests {
		if m.Platform.IsPlaced() && !m.Platform.NoHost() && !known[m.Digest] {
			t.Errorf("%s for %v is not among the images", m.Digest, m.Platform)
		}
	}
}
