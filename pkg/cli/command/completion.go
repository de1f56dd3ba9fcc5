package command

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// CompleteTimeout is the longest time that the tab key waits.
const CompleteTimeout = 3 * time.Second

type completeFunc = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// CompleteNames completes the names of entries, each described by its image.
func CompleteNames(env Environment, flags *ClusterFlags) completeFunc {
	return func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, e := range entriesToComplete(c.Context(), env, flags) {
			if strings.HasPrefix(e.Name, prefix) {
				names = append(names, e.Name+"\t"+Printable(e.Spec.Repository.Name+":"+TagList(&e)+" "+string(e.Phase())))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// CompleteTriggers completes the flag --trigger with the triggers of entries.
func CompleteTriggers(env Environment, c *cobra.Command, flags *ClusterFlags) {
	complete := func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, e := range entriesToComplete(c.Context(), env, flags) {
			names = append(names, e.Spec.Trigger.Name)
		}
		slices.Sort(names)
		return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
	}
	mustComplete(c.RegisterFlagCompletionFunc("trigger", complete))
}

// CompleteGates completes the flag --gate with the names of ImageGates.
func CompleteGates(env Environment, c *cobra.Command, flags *ClusterFlags) {
	complete := func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(c.Context(), CompleteTimeout)
		defer cancel()
		var gates v1alpha1.ImageGateList
		cl, err := env.Connect(flags)
		if err == nil {
			err = cl.List(ctx, &gates)
		}
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for i := range gates.Items {
			names = append(names, gates.Items[i].Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	mustComplete(c.RegisterFlagCompletionFunc("gate", complete))
}

// CompleteFlag completes a flag with fixed values.
func CompleteFlag(c *cobra.Command, name string, values []string) {
	mustComplete(c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// mustComplete panics if a command completes a flag that it does not have.
func mustComplete(err error) {
	if err != nil {
		panic(err)
	}
}

// entriesToComplete returns no entries if the cluster does not answer: a shell cannot show
// errors while it completes.
func entriesToComplete(ctx context.Context, env Environment, flags *ClusterFlags) []v1alpha1.ImageVerification {
	ctx, cancel := context.WithTimeout(ctx, CompleteTimeout)
	defer cancel()
	cl, err := env.Connect(flags)
	if err != nil {
		return nil
	}
	entries, err := cl.Verifications(ctx, flags.In(cl))
	if err != nil {
		return nil
	}
	NewestFirst(entries)
	return entries
}

// CompleteTriggerNames completes the name of a trigger, as an argument.
func CompleteTriggerNames(env Environment, flags *ClusterFlags) completeFunc {
	return func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(c.Context(), CompleteTimeout)
		defer cancel()
		cl, err := env.Connect(flags)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		// A shell shows no errors while it completes.
		all, _ := cl.Triggers(ctx, flags.In(cl))
		var names []string
		for i := range all {
			if strings.HasPrefix(all[i].Name, prefix) {
				names = append(names, all[i].Name)
			}
		}
		return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
	}
}
