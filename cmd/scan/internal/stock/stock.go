package stock

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/revet-dev/revet/cmd/scan/internal/guard"
	"github.com/revet-dev/revet/cmd/scan/internal/packages"
	"github.com/revet-dev/revet/cmd/scan/internal/tree"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// Options limit what an image may cost.
type Options struct {
	Limits layers.Limits
	// Temp is the directory for unpacked files; "" means the system's temporary directory.
	Temp string
}

// Found is the content of the images: the inventory, and an SBOM for each.
type Found struct {
	Inventory result.Inventory
	SBOMs     map[image.Digest][]byte
}

// Take lists the packages in all images of a tree. While it runs, nothing else in the program may
// create temporary files.
func Take(ctx context.Context, blobs layers.Blobs, of oci.Tree, o Options) (found Found, err error) {
	temp, err := os.MkdirTemp(o.Temp, "revet-packages-")
	if err != nil {
		return Found{}, fmt.Errorf("create a directory for unpacked files: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	// Syft unpacks Java archives there.
	restore, err := setTemp(temp)
	if err != nil {
		return Found{}, err
	}
	defer restore()
	found = Found{Inventory: result.Inventory{Digest: of.Root.Digest, Tool: packages.Tool()}, SBOMs: map[image.Digest][]byte{}}
	for _, img := range of.Images {
		next, bom, err := look(ctx, blobs, img, o.Limits, temp)
		if err != nil {
			return Found{}, oci.Within(err, "image "+img.Config.String())
		}
		found.Inventory.Images = append(found.Inventory.Images, next)
		found.SBOMs[next.Digest] = bom
	}
	return found, nil
}

func setTemp(dir string) (restore func(), err error) {
	const name = "TMPDIR"
	before, was := os.LookupEnv(name)
	if err := os.Setenv(name, dir); err != nil {
		return nil, fmt.Errorf("create a directory for unpacked files: %w", err)
	}
	return func() {
		if was {
			_ = os.Setenv(name, before)
		} else {
			_ = os.Unsetenv(name)
		}
	}, nil
}

func look(ctx context.Context, blobs layers.Blobs, img oci.Image, limits layers.Limits, temp string) (result.InventoryImage, []byte, error) {
	flat, err := layers.Open(ctx, blobs, img, limits, temp)
	if err != nil {
		return result.InventoryImage{}, nil, err
	}
	defer flat.Close()
	files, err := tree.New(flat)
	if err != nil {
		return result.InventoryImage{}, nil, err
	}
	archives, err := guard.Look(ctx, files)
	if err != nil {
		return result.InventoryImage{}, nil, err
	}
	found, err := packages.Find(ctx, files, packages.Describe(img))
	if err != nil {
		return result.InventoryImage{}, nil, err
	}
	gaps, err := guard.Read(ctx, files, found, archives)
	if err != nil {
		return result.InventoryImage{}, nil, err
	}
	platform := img.Config.String()
	bom, err := found.SBOM(platform, gaps)
	if err != nil {
		return result.InventoryImage{}, nil, err
	}
	return result.InventoryImage{
		Platform: platform, Digest: img.Manifest.Digest, Release: found.Release, Packages: found.Packages, Gaps: gaps,
	}, bom, nil
}
