package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/test/cluster/node"
)

// options are those of the checkout that the working directory is in.
func options(cmd *cobra.Command) (node.Options, error) {
	directory, err := os.Getwd()
	if err != nil {
		return node.Options{}, fmt.Errorf("find the working directory: %w", err)
	}
	root, err := node.FindRoot(directory)
	if err != nil {
		return node.Options{}, err
	}
	cache, err := node.CacheDir(os.Getenv)
	if err != nil {
		return node.Options{}, err
	}
	name, err := cmd.Flags().GetString("name")
	if err != nil {
		return node.Options{}, err
	}
	executable, err := os.Executable()
	if err != nil {
		return node.Options{}, fmt.Errorf("find this command's binary: %w", err)
	}
	return node.Options{Root: root, Cache: cache, Executable: executable, Name: name, Out: cmd.ErrOrStderr()}, nil
}
