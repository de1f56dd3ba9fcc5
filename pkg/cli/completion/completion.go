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
		Short: "Print the completion script for a shell: " + strings.Join(shells, ", "),
		Long: `Print the completion script for a shell: ` + strings.Join(shells, ", ") + `.

The script completes "kubectl-revet". To complete "kubectl revet", kubectl runs the
program kubectl_complete-revet in the PATH. The second example creates it.`,
		Example: `  # Complete in this bash
  source <(kubectl-revet completion bash)

  # Complete "kubectl revet": the folder must be in the PATH
  printf '#!/bin/sh\nexec kubectl-revet __complete "$@"\n' > ~/.local/bin/kubectl_complete-revet
  chmod +x ~/.local/bin/kubectl_complete-revet`,
		Args:      command.ExactlyOne("SHELL"),
		ValidArgs: shells,
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		out := c.OutOrStdout()
		// The script completes the name of the program, not "kubectl revet".
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
