package coverage

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/coverage"
)

var coverageOutputs = []string{"table", "json", "yaml"}

type coverageOptions struct {
	cluster *command.ClusterFlags
	name    string
	output  string
	verify  bool
	// artefacts lists what is exempt, which takes a verification to know.
	artefacts bool
	// systemNamespace is where the operator lists the registries.
	systemNamespace string
}

// New returns the command coverage.
func New(env command.Environment) *cobra.Command {
	o := &coverageOptions{cluster: command.NewClusterFlags()}
	c := &cobra.Command{
		Use:   "coverage [TRIGGER]",
		Short: "Prove that no push slipped through",
		Long: `Prove that no push slipped through.

For each ImageTrigger, of the pushes that it answers for:
  PUSHES     are shown by the API server or a registry
  COVERED    are in the ledger; of these
  PENDING      have no verdict yet
  FAILED       ended in Error: no verdict could be had
  SKIPPED      have nothing to verify
  RECOVERED    were recorded by a sweep, as no event had brought them
  GAP        are in no entry of the ledger
  ARTEFACTS  are shown besides, and no pushes: their content proves that they cannot
             run, as signatures, SBOMs and other artefacts
A registry shows no times, so that its pushes are what its tags show now, what was
there before the trigger included.

Without --verify these are the numbers of the latest sweep, and the ledger's word
for what became of them. With it, every stream and registry is read again, as you
may read them, and the ledger is not believed: an entry counts only if its runs'
records agree with the PipelineRuns, and DOUBLED counts PipelineRuns that share
their cause, or that the ledger does not know of. A push of the last moment is a
gap until it is recorded. --artefacts reads everything again too, and lists what is
exempt, and why.

The exit status is 0 if everything is covered and no run is doubled, 1 if not or if
something could not be looked at, and 2 for an error.`,
		Example: `  # Was anything missed here?
  kubectl revet coverage

  # For all triggers, without trust, in a script that is to fail if not
  kubectl revet coverage -A --verify

  # What was not verified, as it cannot run
  kubectl revet coverage --artefacts

  # What one trigger missed
  kubectl revet coverage prod --verify -o json`,
		Args:              command.AtMostOne("TRIGGER"),
		ValidArgsFunction: command.CompleteTriggerNames(env, o.cluster),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.name = args[0]
			}
			if err := command.CheckOutput(o.output, coverageOutputs); err != nil {
				return err
			}
			o.verify = o.verify || o.artefacts
			return o.run(c.Context(), env)
		},
	}
	o.cluster.Add(c)
	c.Flags().StringVarP(&o.output, "output", "o", "table", "how to print: "+strings.Join(coverageOutputs, ", "))
	c.Flags().BoolVar(&o.verify, "verify", false, "read every stream, registry and run again, and do not trust the ledger")
	c.Flags().BoolVar(&o.artefacts, "artefacts", false, "list the pushes that are exempt, as they cannot run; implies --verify")
	c.Flags().StringVar(&o.systemNamespace, "system-namespace", "revet-system", "Revet's own namespace, where the operator lists the registries")
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
		reports = append(reports, coverage.FromStatus(t, entries[t.Namespace]))
	}
	return reports, nil
}

// unproven says in one sentence what keeps the reports from being a proof.
func unproven(reports []coverage.Report) error {
	var pushes, gap, doubled, unknown int
	for i := range reports {
		pushes += reports[i].Pushes
		gap += reports[i].Gap
		doubled += reports[i].Doubled
		unknown += len(reports[i].Unknown)
	}
	var parts []string
	if gap > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d pushes are not covered", gap, pushes))
	}
	if doubled > 0 {
		parts = append(parts, fmt.Sprintf("%d runs are doubled", doubled))
	}
	if unknown > 0 {
		parts = append(parts, "not everything could be looked at")
	}
	if len(parts) == 0 {
		return nil
	}
	return &command.StatusError{Status: command.ExitError, Err: fmt.Errorf("%s", strings.Join(parts, "; "))}
}
