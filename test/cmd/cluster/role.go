package main

import (
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/test/cluster/node"
)

func roleCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "role NAME CONFIG",
		Short:              "Run one of the cluster's own processes",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			// Roles decide themselves what a signal means.
			signal.Reset(syscall.SIGINT, syscall.SIGTERM)
			return node.Role(args)
		},
	}
}
