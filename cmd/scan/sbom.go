package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/cmd/scan/internal/extract"
	"github.com/revet-dev/revet/cmd/scan/internal/rootfs"
	"github.com/revet-dev/revet/pkg/pipeline/command"
	"github.com/revet-dev/revet/pkg/pipeline/inventory"
	"github.com/revet-dev/revet/pkg/pipeline/layout"
	"github.com/revet-dev/revet/pkg/pipeline/sbom"
)

type sbomOptions struct {
	extract.Options
	layout  string
	timeout time.Duration
}

func newSBOM() *cobra.Command {
	var o sbomOptions
	cmd := &cobra.Command{
		Use:   "sbom --layout DIR",
		Short: "List the packages in every image of a layout",
		Long: `Looks for packages in every image of the layout, and writes for each an SBOM to
DIR/sbom (CycloneDX 1.6) and for all an inventory, which the step vulnerabilities
reads. It reads the package databases of distributions (dpkg, opkg, apk, rpm), the
build information of Go programs, and what Python, Node.js and Java packages leave.

A package database that cannot be read is an error, as is an image that exceeds a
limit: nothing passes because it was not seen.`,
		Example: `  scan sbom --layout /tmp/image`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	limits := rootfs.DefaultLimits()
	f := cmd.Flags()
	f.StringVar(&o.layout, "layout", "", "directory that fetch wrote")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "most time for all images")
	f.StringVar(&o.Temp, "temp", "", "directory for the files that packages are read from; empty for the system's")
	f.IntVar(&o.Limits.Entries, "max-entries", limits.Entries, "most files, directories and links of an image's layers together")
	f.Int64Var(&o.Limits.File, "max-file-bytes", limits.File, "most bytes of a file that packages are read from")
	f.Int64Var(&o.Limits.Kept, "max-kept-bytes", limits.Kept, "most bytes of all such files of an image")
	f.Int64Var(&o.Limits.Unpacked, "max-unpacked-bytes", limits.Unpacked, "most bytes that all layers of an image may unpack to")
	return command.Require(cmd, "layout")
}

func (o sbomOptions) run(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	start := time.Now()
	dir, err := layout.Open(o.layout)
	if err != nil {
		return err
	}
	tree, err := dir.Tree(ctx)
	if err != nil {
		return err
	}
	found, err := extract.Images(ctx, dir, tree, o.Options)
	if err != nil {
		return err
	}
	for _, img := range found.Images {
		raw, err := sbom.Make(img, found.Tool)
		if err != nil {
			return err
		}
		if err := sbom.Write(dir.Path(), img.Digest, raw); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: packages %d, distribution %q, unread %d\n", img.Platform, len(img.Packages), img.Distribution, img.UnreadCount)
		for _, u := range img.Unread {
			fmt.Fprintf(out, "%s: unread: %q: %q\n", img.Platform, u.Path, u.Why)
		}
	}
	// The last, so that it is there only if all is.
	if err := inventory.Write(dir.Path(), found); err != nil {
		return err
	}
	fmt.Fprintf(out, "took stock of %s: images %d, in %s\n", found.Digest, len(found.Images), time.Since(start).Round(time.Millisecond))
	return nil
}
