package stepcmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/documents"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
)

// handOn writes the documents to the volume, from which another Pod publishes them. It returns the
// digest of their list.
func (o Publish) handOn(out io.Writer, tree oci.Tree, judged *taskresult.Inventory, full []byte) (image.Digest, error) {
	w := documents.NewWriter(o.Documents, tree.Root.Digest)
	sboms, err := publish.SBOMs(o.Layout, tree)
	if err != nil {
		return image.Digest{}, err
	}
	for _, a := range sboms {
		if err := w.Add(documents.SBOM, a.Subject.Digest, bytes.NewReader(a.Content)); err != nil {
			return image.Digest{}, handOnError(err)
		}
	}
	if judged != nil {
		f, err := os.Open(result.InventoryPath(o.Layout))
		if err != nil {
			return image.Digest{}, fmt.Errorf("read inventory: %w", err)
		}
		defer f.Close()
		if err := w.Add(documents.Inventory, tree.Root.Digest, f); err != nil {
			return image.Digest{}, handOnError(err)
		}
	}
	if err := w.Add(documents.Report, tree.Root.Digest, bytes.NewReader(full)); err != nil {
		return image.Digest{}, handOnError(err)
	}
	list, err := w.Close()
	if err != nil {
		return image.Digest{}, handOnError(err)
	}
	fmt.Fprintf(out, "handed on the documents %s to publish-documents\n", list)
	return list, nil
}

// handOnError adds the cure to the error of a volume that a step may not write to.
func handOnError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the volume of the workspace belongs to another user; set fsGroup in the TriggerTemplate: %w", err)
	}
	return err
}
