package stepcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/pipeline/validate"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
)

// Verdict joins the results of all checks.
type Verdict struct {
	// Layout is the directory that fetch wrote. It may be empty.
	Layout string
	// Expect names the checks that must have reported.
	Expect []string
	// Outcomes are the "outcome" results of Tasks.
	Outcomes []string
	// Published is the "published" result of the Task that published the documents of another one.
	// It is empty if each Task published its own.
	Published string
	// Self is the image and the version of the program.
	Self string
}

// NewVerdict returns the command line of the step.
func NewVerdict(results *string) *cobra.Command {
	var o Verdict
	cmd := &cobra.Command{
		Use:   "verdict [--layout DIR] [--expect CHECKS] [OUTCOME...]",
		Short: "Join the results of all checks into the results of the run",
		Long: `Joins the reports in the layout DIR and the outcome results of other Tasks. Writes
the results verdict (pass or fail), digest (of the checked image), summary (JSON),
basis (JSON: what the verdict rests on) and report, or prints them without --results.

If a check failed, the verdict is fail and the step succeeds. A check that did not
report, or checked another image, is an error.`,
		Example: `  step verdict --layout /tmp/image
  step verdict --layout /tmp/image --results /tmp/results --expect layers,validate,scan
  step verdict --results /tmp/results --expect layers,validate,scan,signature -- "$SCAN" "$SIGNATURE"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Outcomes, o.Self = args, Self(cmd)
			return o.Run(cmd.Context(), cmd.OutOrStdout(), *results)
		},
	}
	cmd.Flags().StringVar(&o.Layout, "layout", "", "layout directory that fetch wrote")
	cmd.Flags().StringSliceVar(&o.Expect, "expect", []string{validate.CheckName}, "checks that must have reported")
	cmd.Flags().StringVar(&o.Published, "published", "", "result of publish-documents; empty if each Task published by itself")
	return cmd
}

// Run does the work of the step.
func (o Verdict) Run(ctx context.Context, out io.Writer, results string) error {
	dir, expect, texts := o.Layout, o.Expect, o.Outcomes
	fmt.Fprintf(out, "kernel: %s\n", kernel())
	var outcomes []taskresult.Result
	elsewhere := map[string]bool{}
	parts := Decided("verdict", o.Self, map[string]string{"expect": sorted(expect)})
	for i, text := range texts {
		o, err := taskresult.Decode(text)
		if err != nil {
			return fmt.Errorf("outcome %d of %d: %w", i+1, len(texts), err)
		}
		for _, c := range o.Checks {
			elsewhere[c.Name] = true
		}
		outcomes = append(outcomes, o)
	}
	switch {
	case dir == "" && len(texts) == 0:
		return errors.New("nothing to join: pass --layout, or the outcomes of Tasks")
	case dir != "":
		tree, reports, err := readLayout(ctx, dir)
		if err != nil {
			return err
		}
		var here []string
		for _, check := range expect {
			if !elsewhere[check] {
				here = append(here, check)
			}
		}
		decided, err := decidedBy(out, dir, reports)
		if err != nil {
			return err
		}
		o, err := taskresult.Make(taskresult.Input{Tree: tree, Expected: here, Reports: reports, Parts: result.JoinParts(decided)})
		if err != nil {
			return err
		}
		outcomes = append(outcomes, o)
	}
	if o.Published != "" {
		p, err := taskresult.DecodePublished(o.Published)
		if err == nil {
			err = p.Add(outcomes)
		}
		if err != nil {
			return err
		}
	}
	v, err := verdict.Combine(expect, outcomes, parts, time.Now())
	if err != nil {
		return err
	}
	summary, err := v.Summary.Encode()
	if err != nil {
		return err
	}
	basis, err := v.Basis.Encode()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "verdict %s on %s: errors %d, warnings %d\n%s\n%s\n",
		v.Value, v.Digest, v.Summary.Counts.Errors, v.Summary.Counts.Warnings, summary, basis)
	if results == "" {
		return nil
	}
	return verdict.Write(results, v)
}

// readLayout reads the fetched image and every report on it.
func readLayout(ctx context.Context, path string) (oci.Tree, []result.Report, error) {
	dir, err := oci.OpenLayout(path)
	if err != nil {
		return oci.Tree{}, nil, err
	}
	tree, err := dir.Tree(ctx)
	if err != nil {
		return oci.Tree{}, nil, err
	}
	checks, err := result.ListReports(dir.Path())
	if err != nil {
		return oci.Tree{}, nil, err
	}
	var reports []result.Report
	for _, check := range checks {
		r, err := result.ReadReport(dir.Path(), check)
		if err != nil {
			return oci.Tree{}, nil, err
		}
		if r.Check != check {
			return oci.Tree{}, nil, fmt.Errorf("the report in the file of check %q says that it is from check %q", check, r.Check)
		}
		reports = append(reports, r)
	}
	return tree, reports, nil
}
