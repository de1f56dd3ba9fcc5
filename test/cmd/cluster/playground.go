package main

import (
	"context"
	"fmt"

	"github.com/revet-dev/revet/test/cluster/node"
	"github.com/revet-dev/revet/test/cluster/upstream"
	"github.com/revet-dev/revet/test/stack"
)

// playground installs everything on a cluster that stays, with a namespace
// whose pushes are verified.
func playground(ctx context.Context, o node.Options, info *node.Info) error {
	s := &stack.Stack{Root: o.Root, Cache: o.Cache, Info: info, Profile: upstream.Full, Out: o.Out}
	fmt.Fprintf(s.Out, "\nInstalling Knative, Tekton and Revet, all as Pods:\n")
	if err := s.Install(ctx); err != nil {
		return err
	}
	if err := s.AddNamespace(ctx, demoNamespace, stack.Direct); err != nil {
		return err
	}
	if err := s.FillDatabase(ctx); err != nil {
		return err
	}
	if err := s.UseDatabase(ctx, demoNamespace); err != nil {
		return err
	}
	if err := s.AddTrigger(ctx, demoNamespace); err != nil {
		return err
	}
	if err := s.WaitSource(ctx, demoNamespace); err != nil {
		return err
	}
	if _, err := s.BuildPlugin(ctx); err != nil {
		return err
	}
	return nil
}
