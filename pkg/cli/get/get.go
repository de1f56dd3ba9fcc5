package get

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/attested"
	"github.com/revet-dev/revet/pkg/cli/command"
)

var getOutputs = []string{"table", "wide", "json", "yaml"}

var phases = []string{
	string(v1alpha1.PhasePending), string(v1alpha1.PhaseRequested), string(v1alpha1.PhaseRunning),
	string(v1alpha1.PhasePassed), string(v1alpha1.PhaseFailed), string(v1alpha1.PhaseError), string(v1alpha1.PhaseSkipped),
}

type getOptions struct {
	cluster *command.ClusterFlags
	system  string
	name    string
	output  string
	trigger string
	phases  []string
}

// New returns the command get.
func New(env command.Environment) *cobra.Command {
	o := &getOptions{cluster: command.NewClusterFlags()}
	c := &cobra.Command{
		Use:   "get [NAME]",
		Short: "Print the ledger: what was pushed, and whether it passed",
		Long: `Print the ledger: what was pushed, and whether it passed.

Each line is one ImageVerification: one digest in one repository, for one
ImageTrigger. The newest push comes first. ATTESTED is where it stands with signed
verdicts; kubectl revet explain says more.`,
		Example: `  # List what was pushed to this namespace
  kubectl revet get

  # List what failed in any namespace, with digests and messages
  kubectl revet get -A --phase Failed,Error -o wide

  # List the entries of one ImageTrigger, for a script
  kubectl revet get --trigger prod -o json`,
		Args:              command.AtMostOne("NAME"),
		ValidArgsFunction: command.CompleteNames(env, o.cluster),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.name = args[0]
			}
			if err := o.validate(); err != nil {
				return err
			}
			return o.run(c.Context(), env)
		},
	}
	o.cluster.Add(c)
	attested.AddFlag(c.Flags(), &o.system)
	c.Flags().StringVarP(&o.output, "output", "o", "table", "output format: "+strings.Join(getOutputs, ", "))
	c.Flags().StringVar(&o.trigger, "trigger", "", "list only entries of the ImageTrigger with this name")
	c.Flags().StringSliceVar(&o.phases, "phase", nil, "list only entries in these phases: "+strings.Join(phases, ", "))
	command.CompleteFlag(c, "output", getOutputs)
	command.CompleteFlag(c, "phase", phases)
	command.CompleteTriggers(env, c, o.cluster)
	return c
}

// validate checks the flags. It corrects the case of phases.
func (o *getOptions) validate() error {
	if err := command.CheckOutput(o.output, getOutputs); err != nil {
		return err
	}
	for i, p := range o.phases {
		known := slices.IndexFunc(phases, func(k string) bool { return strings.EqualFold(k, p) })
		if known < 0 {
			return command.Usagef("unknown phase %q; allowed: %s", p, strings.Join(phases, ", "))
		}
		o.phases[i] = phases[known]
	}
	return nil
}

func (o *getOptions) run(ctx context.Context, env command.Environment) error {
	cl, err := env.Connect(o.cluster)
	if err != nil {
		return err
	}
	namespace := o.cluster.In(cl)
	all, err := cl.Verifications(ctx, namespace)
	if err != nil {
		return err
	}
	entries := o.filter(all)
	command.NewestFirst(entries)
	switch o.output {
	case "json", "yaml":
		if o.name != "" && len(entries) == 0 {
			return o.notFound(namespace, all)
		}
		return printObjects(env.Streams.Out, o.output, entries, o.name != "")
	default:
		if len(entries) > 0 {
			return o.printTable(env, entries, attested.At(ctx, cl, namespace, o.system, env.Now(), entries))
		}
		if o.name != "" {
			return o.notFound(namespace, all)
		}
		o.explainNone(env.Streams.ErrOut, namespace, len(all))
		return nil
	}
}

func (o *getOptions) filter(all []v1alpha1.ImageVerification) []v1alpha1.ImageVerification {
	return slices.DeleteFunc(slices.Clone(all), func(e v1alpha1.ImageVerification) bool {
		return (o.name != "" && e.Name != o.name) ||
			(o.trigger != "" && e.Spec.Trigger.Name != o.trigger) ||
			(len(o.phases) > 0 && !slices.Contains(o.phases, string(e.Phase())))
	})
}

// printTable prints entries as they are ordered.
func (o *getOptions) printTable(env command.Environment, entries []v1alpha1.ImageVerification, signed attested.Look) error {
	options := o.cluster.TableOptions()
	if o.output == "wide" {
		options |= command.Wide
	}
	rows := make([]row, len(entries))
	for i := range entries {
		rows[i] = row{ImageVerification: &entries[i], now: env.Now(), attested: signed.Word(&entries[i])}
	}
	return command.PrintTable(env.Streams.Out, columns, options, rows)
}

// explainNone says why the table is empty. An empty table is no error.
func (o *getOptions) explainNone(w io.Writer, namespace string, all int) {
	if all > 0 {
		fmt.Fprintf(w, "None of the %d verifications %s has this trigger and phase.\n", all, command.Where(namespace))
		return
	}
	fmt.Fprintf(w, "There are no verifications %s: no push matched an ImageTrigger.\n", command.Where(namespace))
	if namespace != "" {
		fmt.Fprintln(w, "Use -A to look in every namespace, and 'kubectl revet doctor' to find out why there are none.")
	}
}

func (o *getOptions) notFound(namespace string, all []v1alpha1.ImageVerification) error {
	if slices.ContainsFunc(all, func(e v1alpha1.ImageVerification) bool { return e.Name == o.name }) {
		return fmt.Errorf("verification %q %s has another trigger or phase", o.name, command.Where(namespace))
	}
	return fmt.Errorf("there is no verification %q %s; %s", o.name, command.Where(namespace), command.WhatExists(all, namespace))
}

// printObjects prints whole objects: a single one as itself, others as a List.
func printObjects(w io.Writer, output string, entries []v1alpha1.ImageVerification, single bool) error {
	for i := range entries {
		entries[i].SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ImageVerification"))
		entries[i].ManagedFields = nil
	}
	var value any
	if single && len(entries) == 1 {
		value = entries[0]
	} else {
		l := v1alpha1.ImageVerificationList{Items: append([]v1alpha1.ImageVerification{}, entries...)}
		l.TypeMeta = metav1.TypeMeta{Kind: "ImageVerificationList", APIVersion: v1alpha1.GroupVersion.String()}
		value = l
	}
	return command.PrintValue(w, output, value)
}
