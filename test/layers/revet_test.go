package layers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"testing"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// reading is what Revet makes of a stack.
type reading struct {
	tree   tree
	alarms []layers.Ambiguity
	// refused says why it gives no verdict, or only an Error.
	refused error
}

type blobs map[image.Digest][]byte

func (b blobs) Blob(d image.Digest) (io.ReadCloser, error) {
	stored, ok := b[d]
	if !ok {
		return nil, fmt.Errorf("no blob %s: %w", d, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(stored)), nil
}

// read reads the stack as the fetch step checks it and the scanner sees it.
func read(t *testing.T, stored []blob) reading {
	t.Helper()
	all, img := blobs{}, oci.Image{}
	for _, b := range stored {
		d, err := image.ParseDigest(b.digest.String())
		if err != nil {
			t.Fatal(err)
		}
		all[d] = b.stored
		img.Layers = append(img.Layers, oci.Layer{
			Descriptor: oci.Descriptor{MediaType: b.media, Digest: d, Size: int64(len(b.stored))}})
	}
	alarms, err := layers.Check(t.Context(), all, img, layers.DefaultLimits())
	if err != nil {
		return reading{refused: err}
	}
	shown, told, err := openTree(t.Context(), all, img, t.TempDir())
	if err != nil {
		return reading{refused: err}
	}
	if fmt.Sprint(told) != fmt.Sprint(alarms) {
		t.Errorf("Check and the tree do not tell the same:\n%v\n%v", alarms, told)
	}
	return reading{tree: shown, alarms: alarms}
}

func openTree(ctx context.Context, all blobs, img oci.Image, temp string) (tree, []layers.Ambiguity, error) {
	opened, err := layers.Open(ctx, all, img, layers.DefaultLimits(), temp)
	if err != nil {
		return nil, nil, err
	}
	defer opened.Close()
	out := tree{}
	err = opened.Walk(func(e *layers.Entry) error {
		if e.Path == "" {
			return nil
		}
		n := node{kind: kinds[e.Type], mode: e.Mode & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)}
		switch e.Type {
		case layers.File:
			r, err := opened.Open(e)
			if err != nil {
				return err
			}
			if n.content, err = short(r); err != nil {
				return err
			}
		case layers.Symlink:
			n.content, n.mode = e.Link, 0
		default:
		}
		out[e.Path] = n
		return nil
	})
	return out, opened.Ambiguities(), err
}

var kinds = map[layers.Type]string{
	layers.File: "file", layers.Dir: "dir", layers.Symlink: "symlink",
	layers.CharDevice: "char", layers.BlockDevice: "block", layers.Fifo: "fifo",
}
