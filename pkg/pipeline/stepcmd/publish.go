package stepcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/sarif"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/pipeline/validate"
)

const (
	scanCheck = "scan"
	sarifFile = "report.sarif"
)

// Publish joins the reports in a layout and pushes the full report.
type Publish struct {
	Registry
	Layout string
	Expect []string
	// Scan says whether the check scan had to report.
	Scan Scan
	Mode string
	// Documents is the volume on which another Pod finds what it publishes. If it is empty, the
	// step publishes by itself.
	Documents string
	// Self is the image and the version of the program.
	Self string
}

// NewPublish returns the command line of the step.
func NewPublish(results *string) *cobra.Command {
	var o Publish
	cmd := &cobra.Command{
		Use:   "publish --reference HOST/REPOSITORY@sha256:... --layout DIR",
		Short: "Join the reports of a layout, and push the full report beside the image",
		Long: `Writes the full report to DIR/` + sarifFile + ` as SARIF 2.1.0. Pushes the
report and the SBOMs beside the image, as artefacts that refer to it. Writes the
result outcome, which the step verdict joins with the outcomes of other Tasks.

With --publish referrers, a failed push does not change the verdict: the outcome
says why there is no report. With required, a failed push is an error. With none,
publish pushes nothing. The credentials must allow pushing to the image's repository.

With --documents, publish pushes nothing either: it writes the documents into that
directory, from which publish-documents pushes them in a Pod of its own.`,
		Example: `  step publish --reference registry.example.com/team/app@sha256:4f1c... --layout /tmp/image --publish none`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Self = Self(cmd)
			return o.Run(cmd.Context(), cmd.OutOrStdout(), *results)
		},
	}
	f := cmd.Flags()
	o.flags(f, 2*time.Minute)
	f.StringVar(&o.Layout, "layout", "", "layout directory that fetch wrote")
	f.StringSliceVar(&o.Expect, "expect", []string{validate.CheckName}, "checks that must have reported")
	o.Scan.Flag(f)
	modeFlag(f, &o.Mode)
	f.StringVar(&o.Documents, "documents", "", "directory to hand the documents on in, for publish-documents, rather than push them")
	return Require(cmd, "reference", "layout")
}

// Run does the work of the step.
func (o Publish) Run(ctx context.Context, out io.Writer, results string) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if err := checkMode(o.Mode); err != nil {
		return err
	}
	ref, options, err := o.open()
	if err != nil {
		return err
	}
	tree, reports, err := readLayout(ctx, o.Layout)
	if err != nil {
		return err
	}
	if tree.Root.Digest != ref.Digest() {
		return fmt.Errorf("the layout holds %s, not %s", tree.Root.Digest, ref.Digest())
	}
	var off []string
	if o.Scan.Off {
		off = append(off, scanCheck)
	}
	parts, err := o.decided(out, reports)
	if err != nil {
		return err
	}
	joined, err := taskresult.Make(taskresult.Input{Tree: tree, Expected: o.Expect, Off: off, Reports: reports, Parts: parts})
	if err != nil {
		return err
	}
	full, err := o.writeSARIF(ref, tree, reports, parts)
	if err != nil {
		return err
	}
	if err := o.deliver(ctx, out, ref, options, tree, &joined, full); err != nil {
		return err
	}
	if err := writeOutcome(results, joined); err != nil {
		return err
	}
	fmt.Fprintf(out, "outcome of %s: errors %d, warnings %d, report %q\n", joined.Digest, joined.Errors, joined.Warnings, joined.Report)
	return nil
}

// deliver pushes the documents, or hands them on, and adds to joined what became of them.
func (o Publish) deliver(
	ctx context.Context, out io.Writer, ref image.Reference, options fetch.Options, tree oci.Tree, joined *taskresult.Result, full []byte,
) error {
	if o.Mode == publishNone {
		return nil
	}
	var err error
	if o.Documents != "" {
		var list image.Digest
		if list, err = o.handOn(out, tree, joined.Inventory, full); err == nil {
			joined.HandOn(list)
			return nil
		}
	} else {
		var report, inventory image.Digest
		if report, inventory, err = o.push(ctx, out, ref, options, tree, joined.Inventory, full); err == nil {
			joined.Published(ref.Repository().At(report).String(), inventory)
			return nil
		}
	}
	if o.Mode == publishRequired {
		return err
	}
	fmt.Fprintln(out, "warning: could not publish the report:", result.Line(err.Error()))
	joined.Withheld(err)
	return nil
}

// decided joins what the steps before decided by with what this one decides by. It returns nil if
// one of them does not say so.
func (o Publish) decided(out io.Writer, reports []result.Report) (result.Parts, error) {
	all, err := decidedBy(out, o.Layout, reports)
	if all == nil || err != nil {
		return nil, err
	}
	all[""] = Decided("publish", o.Self, map[string]string{
		"scan": o.Scan.String(), "publish": o.Mode, "expect": sorted(o.Expect),
	})
	return result.JoinParts(all), nil
}

// sorted returns names in one text, in an order that does not depend on theirs.
func sorted(names []string) string { return strings.Join(slices.Sorted(slices.Values(names)), ",") }

// writeSARIF builds the full report and stores it in the layout.
func (o Publish) writeSARIF(ref image.Reference, tree oci.Tree, reports []result.Report, parts result.Parts) ([]byte, error) {
	in := sarif.Input{Reference: ref, Reports: reports, Parts: parts, ScanCheck: scanCheck, Now: time.Now()}
	found, err := result.ReadFindings(o.Layout)
	switch {
	case errors.Is(err, result.ErrNoFindings):
	case err != nil:
		return nil, err
	case found.Digest != tree.Root.Digest:
		return nil, fmt.Errorf("the findings describe %s, but fetch pulled %s", found.Digest, tree.Root.Digest)
	default:
		in.Scan = &found
	}
	full, err := sarif.Make(in)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(o.Layout, sarifFile), full, 0o644); err != nil { //nolint:gosec // a later step may run as another user
		return nil, fmt.Errorf("write report: %w", err)
	}
	return full, nil
}

// push pushes each SBOM beside its own image, then the inventory if one was judged, and then the
// report. It returns the digests of the report and of the inventory's artefact.
func (o Publish) push(
	ctx context.Context, out io.Writer, ref image.Reference, options fetch.Options, tree oci.Tree, judged *taskresult.Inventory, full []byte,
) (report, inventory image.Digest, err error) {
	registry, err := publish.NewRegistry(ref.Repository(), options)
	if err != nil {
		return image.Digest{}, image.Digest{}, err
	}
	push := pushTo(ctx, out, registry)
	sboms, err := publish.SBOMs(o.Layout, tree)
	if err != nil {
		return image.Digest{}, image.Digest{}, err
	}
	for _, a := range sboms {
		if _, err := push(a); err != nil {
			return image.Digest{}, image.Digest{}, err
		}
	}
	if judged != nil {
		a, err := publish.Inventory(o.Layout, tree, judged.Digest)
		if err != nil {
			return image.Digest{}, image.Digest{}, err
		}
		if inventory, err = push(a); err != nil {
			return image.Digest{}, image.Digest{}, err
		}
	}
	report, err = push(reportOf(tree.Root, full))
	return report, inventory, err
}
