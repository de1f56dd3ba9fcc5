package coverage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/coverage"
)

const long = `Prove that no push slipped through.

Each ImageTrigger has one STATE:
  COVERED    Revet saw everything that the trigger selects, and the ledger covers it
  GAP        a push is shown that the ledger does not cover, or a run is doubled
  NOT KNOWN  Revet could not see everything: the trigger's account may not get an
             ImageStream, a registry refused or did not answer, or the latest sweep
             is old or of another spec. The list below the table says why, and what
             to do.

Of the pushes that the trigger answers for:
  PUSHES     are shown by the API server or a registry
  COVERED    are in the ledger; of these
  PENDING      have no verdict yet
  FAILED       ended in Error, without a verdict
  SKIPPED      have nothing to verify
  RECOVERED    were recorded by a sweep, as no event had brought them
  GAP        are in no entry of the ledger
  ARTEFACTS  are no pushes: their content proves that they cannot run, as that of
             signatures and SBOMs does
A registry shows no times. Its pushes are what its tags show now, including what was
there before the trigger.

Without --verify, the command prints what the latest sweep saw, and takes the
ledger's word for what became of it. A sweep that began more than --max-age ago
proves nothing. With --verify, the command reads every stream and registry itself,
with your rights, and does not believe the ledger: an entry counts only if the
records of its runs agree with the PipelineRuns. DOUBLED counts PipelineRuns that
share their cause, or that the ledger does not know. A push of the last moment is a
gap until Revet has recorded it. --artefacts reads everything too, and lists what is
exempt, and why.

The exit status is 0 if everything is covered, that is, if every trigger is COVERED.
It is 1 if a trigger is GAP or NOT KNOWN, and 2 for an error.`

const example = `  # Was anything missed here?
  kubectl revet coverage

  # For all triggers, without trust, in a script that must fail otherwise
  kubectl revet coverage -A --verify

  # What needs no verification, as it cannot run
  kubectl revet coverage --artefacts

  # What one trigger missed
  kubectl revet coverage prod --verify -o json`

var coverageOutputs = []string{"table", "json", "yaml"}

type coverageOptions struct {
	cluster *command.ClusterFlags
	name    string
	output  string
	verify  bool
	// artefacts lists what is exempt, which takes a verification to know.
	artefacts bool
	// running lists what runs, instead of pushes.
	running bool
	// systemNamespace is where the operator lists the registries.
	systemNamespace string
	// maxAge is how long a sweep proves something.
	maxAge time.Duration
}

// New returns the command coverage.
func New(env command.Environment) *cobra.Command {
	o := &coverageOptions{cluster: command.NewClusterFlags()}
	c := &cobra.Command{
		Use:   "coverage [TRIGGER] | --running [GATE]",
		Short: "Prove that no push slipped through",
		Long:  long + longRunning, Example: example + exampleRunning,
		Args:              command.AtMostOne("TRIGGER"),
		ValidArgsFunction: command.CompleteTriggerNames(env, o.cluster),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.name = args[0]
			}
			if err := command.CheckOutput(o.output, coverageOutputs); err != nil {
				return err
			}
			if o.maxAge <= 0 {
				return command.Usagef("--max-age is %s; it must be positive", o.maxAge)
			}
			o.verify = o.verify || o.artefacts
			if o.running {
				return o.runRunning(c.Context(), env)
			}
			return o.run(c.Context(), env)
		},
	}
	o.cluster.Add(c)
	c.Flags().StringVarP(&o.output, "output", "o", "table", "how to print: "+strings.Join(coverageOutputs, ", "))
	c.Flags().BoolVar(&o.verify, "verify", false, "read every stream, registry and run again, and do not trust the ledger")
	c.Flags().BoolVar(&o.artefacts, "artefacts", false, "list the pushes that are exempt, as they cannot run; implies --verify")
	c.Flags().BoolVar(&o.running, "running", false, "say what runs, and whether it is verified, instead of what was pushed")
	c.Flags().StringVar(&o.systemNamespace, "system-namespace", "revet-system", "Revet's own namespace, where the operator lists the registries")
	c.Flags().DurationVar(&o.maxAge, "max-age", coverage.DefaultMaxAge, "how long ago the latest sweep may have begun, without --verify")
	command.CompleteFlag(c, "output", coverageOutputs)
	return c
}

// run gives errors a status of their own: 1 says that something is not covered.
func (o *coverageOptions) run(ctx context.Context, env command.Environment) error {
	cl, err := env.Connect(o.cluster)
	if err != nil {
		return &command.StatusError{Status: command.ExitUsage, Err: err}
	}
	triggers, err := o.triggers(ctx, cl)
	if err != nil {
		return &command.StatusError{Status: command.ExitUsage, Err: err}
	}
	reports, err := o.reports(ctx, env, cl, triggers)
	if err != nil {
		return &command.StatusError{Status: command.ExitUsage, Err: err}
	}
	if o.output == "table" {
		if len(reports) == 0 {
			fmt.Fprintf(env.Streams.ErrOut, "There are no ImageTriggers %s.\n", command.Where(o.cluster.In(cl)))
			return nil
		}
		err = printCoverage(env.Streams.Out, reports, o.cluster.TableOptions())
	} else {
		err = command.PrintValue(env.Streams.Out, o.output, reports)
	}
	if err != nil {
		return &command.StatusError{Status: command.ExitUsage, Err: err}
	}
	return unproven(reports)
}

// triggers reads those that are asked for, in the order of their names.
func (o *coverageOptions) triggers(ctx context.Context, cl command.Cluster) ([]*v1alpha1.ImageTrigger, error) {
	namespace := o.cluster.In(cl)
	all, err := cl.Triggers(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var wanted []*v1alpha1.ImageTrigger
	var names []string
	for i := range all {
		names = append(names, all[i].Name)
		if o.name == "" || all[i].Name == o.name {
			wanted = append(wanted, &all[i])
		}
	}
	if o.name != "" && len(wanted) == 0 {
		if len(names) == 0 {
			return nil, fmt.Errorf("there is no ImageTrigger %q %s; there are none at all", o.name, command.Where(namespace))
		}
		return nil, fmt.Errorf("there is no ImageTrigger %q %s; there are %s", o.name, command.Where(namespace), strings.Join(slices.Compact(names), ", "))
	}
	return wanted, nil
}

func (o *coverageOptions) reports(ctx context.Context, env command.Environment, cl command.Cluster, triggers []*v1alpha1.ImageTrigger) ([]coverage.Report, error) {
	reports := []coverage.Report{}
	if len(triggers) == 0 {
		return reports, nil
	}
	if o.verify {
		sources, err := newCoverageSources(ctx, cl, o.systemNamespace, env.Now)
		if err != nil {
			return nil, err
		}
		reports, err := coverage.Verify(ctx, sources.sources(), triggers)
		if err != nil {
			return nil, err
		}
		if !o.artefacts {
			for i := range reports {
				reports[i].Exempt = nil
			}
		}
		for _, note := range sources.notes() {
			fmt.Fprintln(env.Streams.ErrOut, note)
		}
		return reports, nil
	}
	entries := map[string][]v1alpha1.ImageVerification{}
	for _, t := range triggers {
		if _, read := entries[t.Namespace]; !read {
			list, err := cl.Verifications(ctx, t.Namespace)
			if err != nil {
				return nil, err
			}
			entries[t.Namespace] = list
		}
		reports = append(reports, coverage.FromStatus(t, entries[t.Namespace], env.Now(), o.maxAge))
	}
	return reports, nil
}

// unproven says in one sentence what keeps the reports from being a proof.
func unproven(reports []coverage.Report) error {
	var pushes, missing, doubled, unknown, uncovered int
	for i := range reports {
		pushes += reports[i].Pushes
		missing += reports[i].Gap
		doubled += reports[i].Doubled
		if len(reports[i].Unknown) > 0 {
			unknown++
		}
		if reports[i].State != v1alpha1.CoverageCovered {
			uncovered++
		}
	}
	if uncovered == 0 {
		return nil
	}
	var parts []string
	if missing > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d pushes are not covered", missing, pushes))
	}
	if doubled > 0 {
		parts = append(parts, fmt.Sprintf("%d runs are doubled", doubled))
	}
	if unknown > 0 {
		parts = append(parts, fmt.Sprintf("the coverage of %d of %d triggers is not known", unknown, len(reports)))
	}
	return &command.StatusError{Status: command.ExitError, Err: errors.New(strings.Join(parts, "; "))}
}
