package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/pipeline/layout"
	"github.com/revet-dev/revet/pkg/pipeline/report"
	"github.com/revet-dev/revet/pkg/pipeline/validate"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
)

func newVerdict(results *string) *cobra.Command {
	var dir string
	var expect []string
	cmd := &cobra.Command{
		Use:   "verdict --layout DIR --results DIR",
		Short: "Join the reports of all checks into the results of the run",
		Long: `Writes the results verdict (pass or fail), digest (of what was fetched),
summary (JSON) and report. A failed check gives the verdict fail, and the
step succeeds; a check that did not report is an error.`,
		Example: `  step verdict --layout /tmp/image --results /tmp/results
  step verdict --layout /tmp/image --results /tmp/results --expect validate,scan`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if *results == "" {
				return errors.New("--results is missing; in Tekton it is " + verdict.DefaultResults)
			}
			v, err := join(cmd.Context(), dir, expect)
			if err != nil {
				return err
			}
			if err := verdict.Write(*results, v); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "verdict %s on %s: errors %d, warnings %d\n",
				v.Value, v.Digest, v.Summary.Counts.Errors, v.Summary.Counts.Warnings)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "layout", "", "directory that fetch wrote")
	cmd.Flags().StringSliceVar(&expect, "expect", []string{validate.CheckName}, "checks that must have reported")
	if err := cmd.MarkFlagRequired("layout"); err != nil {
		panic(err) // a flag that is not declared above
	}
	return cmd
}

func join(ctx context.Context, path string, expect []string) (verdict.Verdict, error) {
	dir, err := layout.Open(path)
	if err != nil {
		return verdict.Verdict{}, err
	}
	tree, err := dir.Tree(ctx)
	if err != nil {
		return verdict.Verdict{}, err
	}
	checks, err := report.List(dir.Path())
	if err != nil {
		return verdict.Verdict{}, err
	}
	var reports []report.Report
	for _, check := range checks {
		r, err := report.Read(dir.Path(), check)
		if err != nil {
			return verdict.Verdict{}, err
		}
		if r.Check != check {
			return verdict.Verdict{}, fmt.Errorf("the report of check %q says that it is of %q", check, r.Check)
		}
		reports = append(reports, r)
	}
	return verdict.Join(tree, expect, reports)
}
