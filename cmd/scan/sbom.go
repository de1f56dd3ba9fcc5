package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/cmd/scan/internal/stock"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/stepcmd"
)

type sbomOptions struct {
	stock.Options
	layout  string
	self    string
	timeout time.Duration
}

func newSBOM() *cobra.Command {
	var o sbomOptions
	cmd := &cobra.Command{
		Use:   "sbom --layout DIR",
		Short: "List the packages in every image of a layout",
		Long: `Uses Syft to find the packages in every image of the layout. Writes an SBOM for each
image to DIR/sbom (CycloneDX 1.6), and one inventory of all images, which the step
vulnerabilities reads. It makes no requests to the Internet.

Both list files that name packages but could not be read. By default such a file fails
the image. An image that exceeds a limit is an error, so nothing passes unseen.`,
		Example: `  scan sbom --layout /tmp/image`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.self = stepcmd.Self(cmd)
			return o.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	limits := layers.DefaultLimits()
	f := cmd.Flags()
	f.StringVar(&o.layout, "layout", "", "layout directory that fetch wrote")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "time limit for all images")
	f.StringVar(&o.Temp, "temp", "", "directory for the files that packages are read from; empty means the system's temporary directory")
	f.IntVar(&o.Limits.Entries, "max-entries", limits.Entries, "maximum files, directories and links in all layers of an image together")
	f.Int64Var(&o.Limits.File, "max-file-bytes", limits.File, "maximum bytes of a file")
	f.Int64Var(&o.Limits.Kept, "max-kept-bytes", limits.Kept, "maximum bytes of all files of an image, which are kept during the step")
	f.Int64Var(&o.Limits.Unpacked, "max-unpacked-bytes", limits.Unpacked, "maximum bytes that all layers of an image may unpack to")
	return stepcmd.Require(cmd, "layout")
}

func (o sbomOptions) run(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	start := time.Now()
	// The program ends soon after Syft, so trade a little time for less memory.
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	dir, err := oci.OpenLayout(o.layout)
	if err != nil {
		return err
	}
	tree, err := dir.Tree(ctx)
	if err != nil {
		return err
	}
	found, err := stock.Take(ctx, dir, tree, o.Options)
	if err != nil {
		return err
	}
	for _, img := range found.Inventory.Images {
		if err := result.WriteSBOM(dir.Path(), img.Digest, found.SBOMs[img.Digest]); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: packages %d%s, distribution %q\n", img.Platform, len(img.Packages), kinds(img), img.Distribution())
		for _, g := range img.Gaps {
			fmt.Fprintf(out, "%s: %s: %s: %d, %q\n", img.Platform, g.Rule, g.Message, g.Count, g.Examples)
		}
	}
	if err := result.WriteParts(dir.Path(), stepcmd.StepSBOM, stepcmd.Decided(stepcmd.StepSBOM, o.self, nil)); err != nil {
		return err
	}
	// Write the inventory last, so that it exists only if everything else does.
	if err := result.WriteInventory(dir.Path(), found.Inventory); err != nil {
		return err
	}
	fmt.Fprintf(out, "listed the packages of %s: images %d, in %s\n", found.Inventory.Digest, len(found.Inventory.Images), time.Since(start).Round(time.Millisecond))
	return nil
}

// kinds returns " (deb 80, golang 3)".
func kinds(img result.InventoryImage) string {
	count := map[string]int{}
	for _, p := range img.Packages {
		count[p.Kind()]++
	}
	var all []string
	for _, k := range slices.Sorted(maps.Keys(count)) {
		all = append(all, fmt.Sprintf("%s %d", k, count[k]))
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}
