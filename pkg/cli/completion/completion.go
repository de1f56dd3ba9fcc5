package completion

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/cli/command"
)

var shells = []string{"bash", "zsh", "fish", "powershell"}

// New returns the command completion.
func New(command.Environment) *cobra.Command {
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
		Args:      command.ExactlyOne("SHELL"),
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
			return command.Usagef("unknown shell %q; allowed: %s", args[0], strings.Join(shells, ", "))
		}
	}
	return c
}
