package publish

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

const (
	// InventoryType is the media type of a stored inventory: JSON, compressed with gzip.
	InventoryType = "application/vnd.revet.inventory.v1+gzip"
	maxStored     = 64 << 20
)

// Inventory returns the inventory from the layout in dir, as one artefact beside tree's root. One
// artefact covers all images, because the inventory is one document, whose digest the verdict
// names. Inventory returns an error if the file is not the one that was judged. The same inventory
// always gives the same artefact.
func Inventory(dir string, tree oci.Tree, judged image.Digest) (Artifact, error) {
	f, err := os.Open(result.InventoryPath(dir))
	if err != nil {
		return Artifact{}, fmt.Errorf("read inventory: %w", err)
	}
	defer f.Close()
	return NewInventory(tree.Root, judged, func(w io.Writer) error {
		_, err := io.Copy(w, io.LimitReader(f, result.MaxInventory+1))
		return err
	})
}

// NewInventory returns the inventory that write writes as an artefact beside subject. It returns an
// error if its digest is not that of the one that was judged.
func NewInventory(subject oci.Descriptor, judged image.Digest, write func(io.Writer) error) (Artifact, error) {
	stored := &bounded{most: maxStored}
	packed, sum := gzip.NewWriter(stored), sha256.New()
	if err := write(io.MultiWriter(packed, sum)); err != nil {
		return Artifact{}, fmt.Errorf("compress inventory: %w", err)
	}
	if err := packed.Close(); err != nil {
		return Artifact{}, fmt.Errorf("compress inventory: %w", err)
	}
	if got := fmt.Sprintf("sha256:%x", sum.Sum(nil)); got != judged.String() {
		return Artifact{}, fmt.Errorf("the inventory has the digest %s, but the scan judged %s", got, judged)
	}
	return Artifact{Subject: subject, Type: InventoryType, Content: stored.Bytes(), Title: "inventory.json.gz"}, nil
}

// bounded is a buffer that refuses to grow beyond most bytes.
type bounded struct {
	bytes.Buffer
	most int
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		return 0, fmt.Errorf("it would exceed %d bytes", b.most)
	}
	return b.Buffer.Write(p)
}
