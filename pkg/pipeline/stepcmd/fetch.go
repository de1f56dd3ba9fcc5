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
	// Policy is the policy file. It decides what happens if runtimes read an image's layers
	// differently. If Policy is empty or the file does not exist, fetch fails on such an image.
	Policy string
	// Self is the image and the version of the program.
	Self string
}

// NewFetch returns the command line of the step.
func NewFetch() *cobra.Command {
	var o Fetch
	cmd := &cobra.Command{
		Use:   "fetch --reference HOST/REPOSITORY@sha256:... --layout DIR",
		Short: "Pull an image by digest and recompute every digest in it",
		Long: `Pulls an image, or an index and everything it names, into an OCI image layout.
Fetch recomputes the digests of manifests, configurations, layers and unpacked
layers, and fails if one does not match.

Runtimes (containerd, containers/storage, lazy pullers) may read the same layers
differently: a file that one of them shows may be hidden from another, or from a
scanner. Fetch reports such layers under the rule ambiguous-layers in
DIR/reports/layers.json.

Fetch reads credentials from the Docker configuration ($DOCKER_CONFIG, or else
~/.docker/config.json). It uses TLS, except for the registries that
--insecure-registry or the file "insecure" in --registries lists. Files ending in
.crt in that directory add certificate authorities.`,
		Example: `  step fetch --reference registry.example.com/team/app@sha256:4f1c... --layout /tmp/image
  step fetch --reference localhost:5001/demo/app@sha256:4f1c... --layout /tmp/image --insecure-registry localhost:5001`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Self = Self(cmd)
			return o.Run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	o.flags(f, 15*time.Minute)
	f.StringVar(&o.Layout, "layout", "", "directory to write the image layout to")
	f.StringVar(&o.Platforms, "platforms", "", "platforms of an index to pull, e.g. linux/amd64,linux/arm64; empty means all")
	o.LimitFlags(f)
	f.StringVar(&o.Policy, "policy", "", "policy file, which decides what fails an image; may be missing")
	return Require(cmd, "reference", "layout")
}

// LimitFlags declares the flags that limit what an image may cost.
func (o *Fetch) LimitFlags(f *pflag.FlagSet) {
	f.Int64Var(&o.Limits.Bytes, "max-bytes", 4<<30, "maximum bytes to store")
	f.Int64Var(&o.Limits.Unpacked, "max-unpacked-bytes", 32<<30, "maximum bytes that all layers together may unpack to")
	f.Int64Var(&o.Limits.Ratio, "max-ratio", fetch.DefaultRatio, "maximum ratio of a layer's unpacked bytes to its compressed bytes")
	f.IntVar(&o.Limits.Entries, "max-entries", layers.DefaultLimits().Entries, "maximum files, directories and links in the layers of an image")
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

// From does what Run does, but reads from source instead of the registry that ref names.
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
	parts := Decided(LayersCheck, o.Self, map[string]string{"platforms": o.Platforms})
	parts[result.PartPolicy] = rules.Part()
	if err := result.WriteParts(dir.Path(), LayersCheck, parts); err != nil {
		return err
	}
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
