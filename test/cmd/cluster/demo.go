package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/test/cluster/node"
	"github.com/revet-dev/revet/test/cluster/registry"
	"github.com/revet-dev/revet/test/cluster/upstream"
	"github.com/revet-dev/revet/test/demo"
	"github.com/revet-dev/revet/test/images"
	"github.com/revet-dev/revet/test/stack"
)

const (
	demoNamespace = "demo"
	demoTimeout   = 3 * time.Minute
	// takeDownTimeout bounds the end, which must happen even when the demo was interrupted.
	takeDownTimeout = time.Minute
)

var errUnexpected = errors.New("the account is not as expected: see above, and the logs that were named")

func demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Push three images to a cluster of its own, show each verified, and try to start them",
		Long: "Bring a cluster up with Knative, Tekton and Revet, fill its vulnerability database, push three images, show\n" +
			"each hop to the verdict while it happens, try to start two of them behind gates, and take the cluster down.\n" +
			"One image passes, one breaks rules, and one is a Go program with a known vulnerability. The exit status is 0\n" +
			"only if that is what came of them, and the gates let start what passed and nothing else.",
		Example: "  cluster demo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := options(cmd)
			if err != nil {
				return err
			}
			// One stream for all that a person reads, so that the last line is the account.
			o.Out = cmd.OutOrStdout()
			account, err := runDemo(cmd.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintln(o.Out, account)
			if !account.AsExpected() {
				return errUnexpected
			}
			return nil
		},
	}
}

// runDemo does everything but print the account, which comes last of all.
func runDemo(ctx context.Context, o node.Options) (account demo.Account, err error) {
	// A cluster of its own: the one of `make up` is left alone.
	o.Name = "demo"
	dir, err := node.StateDir(o)
	if err != nil {
		return account, err
	}
	// What an earlier demo pushed would be found, and verified, again.
	if err := registry.Forget(dir+".registry", demoNamespace); err != nil {
		return account, err
	}
	info, err := node.Up(ctx, o)
	if err != nil {
		return account, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeDownTimeout)
		defer cancel()
		err = errors.Join(err, node.Down(ctx, o))
	}()
	s := &stack.Stack{Root: o.Root, Cache: o.Cache, Info: info, Profile: upstream.Minimal, Out: o.Out}
	if err := prepareDemo(ctx, s); err != nil {
		return account, err
	}
	account, err = pushDemo(ctx, s, info)
	if err != nil {
		return account, err
	}
	if err := tellDemo(ctx, s, o.Out); err != nil || !account.AsExpected() {
		return account, err
	}
	return account, demo.Gate{
		Kubectl: s.KubectlSays, Out: o.Out, Trust: demoNamespace,
		Good: info.RegistryInCluster + "/" + demoNamespace + "/good:1.0",
		Bad:  info.RegistryInCluster + "/" + demoNamespace + "/bad:1.0",
	}.Run(ctx)
}

func prepareDemo(ctx context.Context, s *stack.Stack) error {
	fmt.Fprintf(s.Out, "\nInstalling Knative's ApiServerSource, Tekton and Revet, all as Pods:\n")
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
	return s.WaitSource(ctx, demoNamespace)
}

func pushDemo(ctx context.Context, s *stack.Stack, info *node.Info) (demo.Account, error) {
	config, err := s.Config()
	if err != nil {
		return demo.Account{}, err
	}
	fmt.Fprintf(s.Out, "\nPushing three images to %s. RuntimeClass %s.\n", info.RegistryHost, node.KataNote)
	return demo.Run(ctx, demo.Options{
		Config: config, Registry: info.RegistryHost, Namespace: demoNamespace, Out: s.Out, Timeout: demoTimeout,
	}, []demo.Push{
		{Name: "good", Stream: "good", Tag: "1.0", Sample: images.Good()},
		{Name: "bad", Stream: "bad", Tag: "1.0", Sample: images.Bad()},
		{Name: "old", Stream: "old", Tag: "1.0", Sample: images.GoProgram()},
	})
}

// tellDemo shows what a person would type to see the same.
func tellDemo(ctx context.Context, s *stack.Stack, out io.Writer) error {
	table, err := s.Kubectl(ctx, "get", "imageverifications", "-n", demoNamespace)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n$ kubectl get imageverifications -n %s\n%s", demoNamespace, table)
	story, err := s.Revet(ctx, "explain", "-n", demoNamespace, demoNamespace+"/old:1.0")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n$ kubectl revet explain -n %s %s/old:1.0\n%s\n", demoNamespace, demoNamespace, story)
	return nil
}
