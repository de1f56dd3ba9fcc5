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

// Verdict joins what all checks came to.
type Verdict struct {
	// Layout is the directory that fetch wrote, or empty.
	Layout string
	// Expect are the checks that must have reported.
	Expect []string
	// Outcomes are the results "outcome" of Tasks.
	Outcomes []string
}

// NewVerdict returns the command line of the step.
func NewVerdict(results *string) *cobra.Command {
	var o Verdict
	cmd := &cobra.Command{
		Use:   "verdict [--layout DIR] [--expect CHECKS] [OUTCOME...]",
		Short: "Join what all checks came to into the results of the run",
		Long: `Joins the reports in the layout DIR, and what other Tasks wrote as their result
outcome, into the results verdict (pass or fail), digest (of what was looked
at), summary (JSON) and report. A failed check gives the verdict fail, and the
step succeeds; a check that did not report, or looked at something else, is an
error. Without --results they are printed.`,
		Example: `  step verdict --layout /tmp/image
  step verdict --layout /tmp/image --results /tmp/results --expect layers,validate,scan
  step verdict --results /tmp/results --expect layers,validate,scan,signature -- "$SCAN" "$SIGNATURE"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Outcomes = args
			return o.Run(cmd.Context(), cmd.OutOrStdout(), *results)
		},
	}
	cmd.Flags().StringVar(&o.Layout, "layout", "", "directory that fetch wrote")
	cmd.Flags().StringSliceVar(&o.Expect, "expect", []string{validate.CheckName}, "checks that must have reported")
	return cmd
}

// Run does the work of the step.
func (o Verdict) Run(ctx context.Context, out io.Writer, results string) error {
	dir, expect, texts := o.Layout, o.Expect, o.Outcomes
	fmt.Fprintf(out, "kernel: %s\n", kernel())
	var outcomes []taskresult.Result
	elsewhere := map[string]bool{}
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
		return errors.New("there is nothing to join: give --layout, or the outcomes of Tasks")
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
		o, err := taskresult.Of(tree, here, nil, reports)
		if err != nil {
			return err
		}
		outcomes = append(outcomes, o)
	}
	v, err := verdict.Combine(expect, outcomes, time.Now())
	if err != nil {
		return err
	}
	summary, err := v.Summary.Encode()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "verdict %s on %s: errors %d, warnings %d\n%s\n", v.Value, v.Digest, v.Summary.Counts.Errors, v.Summary.Counts.Warnings, summary)
	if results == "" {
		return nil
	}
	return verdict.Write(results, v)
}

// readLayout reads what was fetched and all reports on it.
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
			return oci.Tree{}, nil, fmt.Errorf("the report of check %q says that it is of %q", check, r.Check)
		}
		reports = append(reports, r)
	}
	return tree, reports, nil
}
