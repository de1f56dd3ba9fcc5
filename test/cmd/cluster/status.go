package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/test/cluster/node"
)

func statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Say whether the cluster of this checkout runs, and what it is",
		Example: "  cluster status",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := options(cmd)
			if err != nil {
				return err
			}
			info, state, err := node.Status(o)
			if err != nil {
				return err
			}
			switch state {
			case node.Running:
				describe(cmd.OutOrStdout(), info)
				return nil
			case node.Stopped:
				return node.ErrNotRunning
			default:
				return fmt.Errorf("the cluster of this checkout is %s", state)
			}
		},
	}
}
