package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// completeTimeout bounds what a press of the tab key may wait.
const completeTimeout = 3 * time.Second

var shells = []string{"bash", "zsh", "fish", "powershell"}

func newCompletion() *cobra.Command {
	c := &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script of a shell: " + strings.Join(shells, ", "),
		Long: `Print the completion script of a shell: ` + strings.Join(shells, ", ") + `.

The script completes "kubectl-revet". For "kubectl revet", kubectl looks for a
program named kubectl_complete-revet in the PATH; the example makes it.`,
		Example: `  # In this bash
  source <(kubectl-revet completion bash)

  # For "kubectl revet", in a folder of the PATH
  printf '#!/bin/sh\nexec kubectl-revet __complete "$@"\n' > ~/.local/bin/kubectl_complete-revet
  chmod +x ~/.local/bin/kubectl_complete-revet`,
		Args:      exactlyOne("SHELL"),
		ValidArgs: shells,
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		out := c.OutOrStdout()
		// The script is for the program's own name; "kubectl revet" is for people.
		root := c.Root()
		root.Annotations = nil
		switch args[0] {
		case "bash":
			return root.GenBashCompletionV2(out, true)
		case "zsh":
			return root.GenZshCompletion(out)
		case "fish":
			return root.GenFishCompletion(out, true)
		case "powershell":
			return root.GenPowerShellCompletionWithDesc(out)
		default:
			return usagef("unknown shell %q; there are %s", args[0], strings.Join(shells, ", "))
		}
	}
	return c
}

type completeFunc = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// completeNames completes the names of entries, each described by its image.
func completeNames(env environment, flags *clusterFlags) completeFunc {
	return func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, e := range entriesToComplete(c.Context(), env, flags) {
			if strings.HasPrefix(e.Name, prefix) {
				names = append(names, e.Name+"\t"+printable(e.Spec.Repository.Name+":"+strings.Join(tagNames(&e), ",")+" "+string(e.Phase())))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func completeTriggers(env environment, c *cobra.Command, flags *clusterFlags) {
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

func completeFlag(c *cobra.Command, name string, values []string) {
	mustComplete(c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// mustComplete stops a program that completes a flag which it does not have.
func mustComplete(err error) {
	if err != nil {
		panic(err)
	}
}

// entriesToComplete returns nothing where the cluster does not answer: a shell
// shows no errors while it completes.
func entriesToComplete(ctx context.Context, env environment, flags *clusterFlags) []v1alpha1.ImageVerification {
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	cl, err := env.connect(flags)
	if err != nil {
		return nil
	}
	entries, err := cl.list(ctx, flags.in(cl))
	if err != nil {
		return nil
	}
	newestFirst(entries)
	return entries
}
