package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/layout"
)

type fetchOptions struct {
	reference  string
	layout     string
	registries string
	insecure   []string
	limits     fetch.Limits
	timeout    time.Duration
	stall      time.Duration
}

func newFetch() *cobra.Command {
	var o fetchOptions
	cmd := &cobra.Command{
		Use:   "fetch --reference HOST/REPOSITORY@sha256:... --layout DIR",
		Short: "Pull an image by digest and recompute every digest in it",
		Long: `Pulls an image, or an index with all that it names, into an OCI image layout.
The digests of manifests, configurations, layers and unpacked layers are
recomputed; anything that does not fit is an error.

Credentials are those of the Docker configuration ($DOCKER_CONFIG, else
~/.docker/config.json). Registries are spoken to over TLS, except for those
that --insecure-registry or the file "insecure" of --registries lists; files
that end in .crt in that directory hold further certificate authorities.`,
		Example: `  step fetch --reference registry.example.com/team/app@sha256:4f1c... --layout /tmp/image
  step fetch --reference localhost:5001/demo/app@sha256:4f1c... --layout /tmp/image --insecure-registry localhost:5001`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.reference, "reference", "", "what to pull, as host/repository@sha256:...")
	f.StringVar(&o.layout, "layout", "", "directory to write the image layout to")
	f.StringVar(&o.registries, "registries", "", "directory with the files \"insecure\" and *.crt; it may be missing")
	f.StringSliceVar(&o.insecure, "insecure-registry", nil, "host[:port] that may be spoken to without TLS; may be repeated")
	f.Int64Var(&o.limits.Bytes, "max-bytes", 4<<30, "most bytes to store")
	f.Int64Var(&o.limits.Unpacked, "max-unpacked-bytes", 32<<30, "most bytes that all layers may unpack to")
	f.DurationVar(&o.timeout, "timeout", 15*time.Minute, "most time for everything")
	f.DurationVar(&o.stall, "stall-timeout", time.Minute, "most time that the registry may send nothing")
	for _, name := range []string{"reference", "layout"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // a flag that is not declared above
		}
	}
	return cmd
}

func (o fetchOptions) run(ctx context.Context, out io.Writer) error {
	if o.limits.Bytes <= 0 || o.limits.Unpacked <= 0 || o.timeout <= 0 || o.stall <= 0 {
		return fmt.Errorf("--max-bytes, --max-unpacked-bytes, --timeout and --stall-timeout must be positive")
	}
	ref, err := image.ParseReference(o.reference)
	if err != nil {
		return fmt.Errorf("--reference: %w", err)
	}
	trust, err := fetch.LoadTrust(o.registries, o.insecure)
	if err != nil {
		return err
	}
	dir, err := layout.Create(o.layout)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "kernel: %s\n", kernel())
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	start := time.Now()
	registry, err := fetch.NewRegistry(ctx, ref.Repository(), fetch.Options{
		Trust: trust, Keychain: authn.DefaultKeychain, Stall: o.stall,
	})
	if err != nil {
		return err
	}
	tree, err := fetch.Fetch(ctx, registry, ref.Digest(), dir, o.limits)
	if err != nil {
		return err
	}
	layers, bytes := 0, int64(0)
	for _, i := range tree.Images {
		layers += len(i.Layers)
		bytes += i.Size()
	}
	fmt.Fprintf(out, "fetched %s: images %d, layers %d, bytes %d, attachments %d, in %s\n",
		ref, len(tree.Images), layers, bytes, len(tree.Attachments), time.Since(start).Round(time.Millisecond))
	return nil
}
