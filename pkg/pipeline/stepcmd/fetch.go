package stepcmd

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/policy"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// Fetch pulls an image by digest into a layout.
type Fetch struct {
	Registry
	Layout    string
	Platforms string
	Limits    fetch.Limits
	// Policy is the file that says what comes of layers that runtimes read differently;
	// empty, or one that is not there, makes that an error.
	Policy string
}

// NewFetch returns the command line of the step.
func NewFetch() *cobra.Command {
	var o Fetch
	cmd := &cobra.Command{
		Use:   "fetch --reference HOST/REPOSITORY@sha256:... --layout DIR",
		Short: "Pull an image by digest and recompute every digest in it",
		Long: `Pulls an image, or an index with all that it names, into an OCI image layout.
The digests of manifests, configurations, layers and unpacked layers are
recomputed; anything that does not fit is an error.

Layers that runtimes read differently (containerd, containers/storage, those that
pull lazily) are findings of the rule ambiguous-layers, in DIR/reports/layers.json:
what one of them shows, another scanner or runtime may not see.

Credentials are those of the Docker configuration ($DOCKER_CONFIG, else
~/.docker/config.json). Registries are spoken to over TLS, except for those
that --insecure-registry or the file "insecure" of --registries lists; files
that end in .crt in that directory hold further certificate authorities.`,
		Example: `  step fetch --reference registry.example.com/team/app@sha256:4f1c... --layout /tmp/image
  step fetch --reference localhost:5001/demo/app@sha256:4f1c... --layout /tmp/image --insecure-registry localhost:5001`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.Run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	o.flags(f, 15*time.Minute)
	f.StringVar(&o.Layout, "layout", "", "directory to write the image layout to")
	f.StringVar(&o.Platforms, "platforms", "", "platforms of an index to pull, as linux/amd64,linux/arm64; empty for all")
	o.LimitFlags(f)
	f.StringVar(&o.Policy, "policy", "", "file that says what fails an image; it may be missing")
	return Require(cmd, "reference", "layout")
}

// LimitFlags declares the flags of what an image may cost.
func (o *Fetch) LimitFlags(f *pflag.FlagSet) {
	f.Int64Var(&o.Limits.Bytes, "max-bytes", 4<<30, "most bytes to store")
	f.Int64Var(&o.Limits.Unpacked, "max-unpacked-bytes", 32<<30, "most bytes that all layers may unpack to")
	f.Int64Var(&o.Limits.Ratio, "max-ratio", fetch.DefaultRatio, "most bytes that a layer may unpack to for each that it has")
	f.IntVar(&o.Limits.Entries, "max-entries", layers.DefaultLimits().Entries, "most files, directories and links that the layers of an image may have")
}

// Run does the work of the step.
func (o Fetch) Run(ctx context.Context, out io.Writer) error {
	ref, options, err := o.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	registry, err := fetch.NewRegistry(ctx, ref.Repository(), options)
	if err != nil {
		return err
	}
	return o.From(ctx, out, registry, ref)
}

// From is Run with another source than the registry that ref names.
func (o Fetch) From(ctx context.Context, out io.Writer, source fetch.Source, ref image.Reference) error {
	if o.Limits.Bytes <= 0 || o.Limits.Unpacked <= 0 || o.Limits.Ratio <= 0 || o.Limits.Entries <= 0 {
		return fmt.Errorf("--max-bytes, --max-unpacked-bytes, --max-ratio and --max-entries must be positive")
	}
	rules, err := o.policy()
	if err != nil {
		return err
	}
	chosen, err := oci.ParseSelection(o.Platforms)
	if err != nil {
		return fmt.Errorf("--platforms: %w", err)
	}
	dir, err := oci.CreateLayout(o.Layout)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "kernel: %s\n", kernel())
	start := time.Now()
	tree, err := fetch.Fetch(ctx, source, ref.Digest(), chosen, dir, o.Limits)
	if err != nil {
		return err
	}
	found := layersReport(tree, rules, ref, start.UTC())
	if err := result.WriteReport(dir.Path(), found); err != nil {
		return err
	}
	for _, f := range found.Findings {
		fmt.Fprintf(out, "%s: %s: %s: %s\n", f.Severity, f.Platform, f.Rule, f.Message)
	}
	count, bytes := 0, int64(0)
	for _, i := range tree.Images {
		count += len(i.Layers)
		bytes += i.Size()
	}
	fmt.Fprintf(out, "fetched %s: images %d, layers %d, bytes %d, attachments %d, platforms not chosen %d, ambiguities %d, in %s\n",
		ref, len(tree.Images), count, bytes, len(tree.Attachments), len(tree.Unselected), len(found.Findings), time.Since(start).Round(time.Millisecond))
	return nil
}

func (o Fetch) policy() (policy.Policy, error) {
	if o.Policy == "" {
		return policy.Default(), nil
	}
	return policy.Load(o.Policy)
}
