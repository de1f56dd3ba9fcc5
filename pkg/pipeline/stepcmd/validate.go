package stepcmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/validate"
)

// Validate checks the images of a layout against rules.
type Validate struct {
	Layout  string
	Rules   string
	Timeout time.Duration
	// Self is the image and the version of the program.
	Self string
}

// NewValidate returns the command line of the step.
func NewValidate() *cobra.Command {
	var o Validate
	cmd := &cobra.Command{
		Use:   "validate --layout DIR --rules FILE",
		Short: "Check images and their scan results against CEL rules",
		Long: `Applies the rules in FILE to every image in the layout and writes the report
to DIR/reports/validate.json. If a rule uses the SBOM or the findings and the
layout has none, the step skips the rule and names it in the report. A rule that
an image breaks gives a finding, and the step still succeeds. A rule that cannot
be read or evaluated is an error.`,
		Example: `  step validate --layout /tmp/image --rules rules.yaml

  # rules.yaml
  parameters: {maxAgeDays: 365}
  rules:
  - name: non-root
    expression: "!image.config.user.matches('^(root|0*)(:.*)?$')"
    message: it runs as root; set USER in the Dockerfile
  - name: not-too-old
    expression: image.created >= now - duration(string(parameters.maxAgeDays * 24) + 'h')
    message: it is too old; build it again`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Self = Self(cmd)
			return o.Run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Layout, "layout", "", "layout directory that fetch wrote")
	f.StringVar(&o.Rules, "rules", "", "rules file")
	f.DurationVar(&o.Timeout, "timeout", time.Minute, "time limit for all rules")
	return Require(cmd, "layout", "rules")
}

// Run does the work of the step.
func (o Validate) Run(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	start := time.Now()
	raw, err := os.ReadFile(o.Rules)
	if err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	rules, err := validate.Parse(raw)
	if err != nil {
		return fmt.Errorf("rules file %q: %w", o.Rules, err)
	}
	dir, err := oci.OpenLayout(o.Layout)
	if err != nil {
		return err
	}
	tree, err := dir.Tree(ctx)
	if err != nil {
		return err
	}
	known, err := validate.LoadMaterials(dir.Path(), tree)
	if err != nil {
		return err
	}
	found, err := rules.CheckWith(ctx, tree, known, start.UTC())
	if err != nil {
		return err
	}
	if err := result.WriteParts(dir.Path(), validate.CheckName, decidedRules(o.Self, raw)); err != nil {
		return err
	}
	if err := result.WriteReport(dir.Path(), found); err != nil {
		return err
	}
	for _, f := range found.Findings {
		fmt.Fprintf(out, "%s: %s: %s: %s\n", f.Severity, f.Platform, f.Rule, f.Message)
	}
	for _, name := range found.Unapplied {
		fmt.Fprintf(out, "not applied: %s: it uses sbom or findings, and the layout has none\n", name)
	}
	fmt.Fprintf(out, "validated %s: images %d, rules %d, findings %d, in %s\n",
		found.Digest, len(found.Images), found.Rules, len(found.Findings), time.Since(start).Round(time.Millisecond))
	return nil
}
