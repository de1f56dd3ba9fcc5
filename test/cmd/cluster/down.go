package main

import (
	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/test/cluster/node"
)

func downCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Take the cluster of this checkout down",
		Long: "Take the cluster of this checkout down, and remove what one that was killed may have left.\n" +
			"The cache of binaries, the logs and the registry's content stay.",
		Example: "  cluster down",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := options(cmd)
			if err != nil {
				return err
			}
			return node.Down(cmd.Context(), o)
		},
	}
}
