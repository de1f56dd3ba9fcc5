package explain

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	nodev1 "k8s.io/api/node/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
)

var explainOutputs = []string{"text", "json", "yaml"}

type explainOptions struct {
	cluster *command.ClusterFlags
	output  string
}

// New returns the command explain.
func New(env command.Environment) *cobra.Command {
	o := &explainOptions{cluster: command.NewClusterFlags()}
	c := &cobra.Command{
		Use:   "explain NAME|IMAGE",
		Short: "Tell the whole story of one image",
		Long: `Tell the whole story of one image: which push, how and when it was seen, which
runs it got and why, where their Pods really executed, what was found, and what
to do about it.

NAME is a verification's name, as "kubectl revet get" prints. IMAGE is one of
  namespace/stream:tag      an ImageStream's tag; namespace and tag may be left out
  host/path:tag             a registry's, under any of the registry's host names
  host/path@sha256:...      by digest
  sha256:...                by digest alone, or its first 6 digits or more

All verifications that match are told, the newest push first.`,
		Example: `  # Why did it fail?
  kubectl revet explain demo/app:latest

  # By the reference that was pushed
  kubectl revet explain localhost:5001/demo/app:latest -n demo

  # For a script
  kubectl revet explain -A sha256:cb61bde6 -o json`,
		Args:              command.ExactlyOne("NAME or IMAGE"),
		ValidArgsFunction: command.CompleteNames(env, o.cluster),
		RunE: func(c *cobra.Command, args []string) error {
			if err := command.CheckOutput(o.output, explainOutputs); err != nil {
				return err
			}
			q, err := command.ParseQuery(args[0])
			if err != nil {
				return err
			}
			return o.run(c.Context(), env, q)
		},
	}
	o.cluster.Add(c)
	c.Flags().StringVarP(&o.output, "output", "o", "text", "how to print: "+strings.Join(explainOutputs, ", "))
	command.CompleteFlag(c, "output", explainOutputs)
	return c
}

func (o *explainOptions) run(ctx context.Context, env command.Environment, q command.Query) error {
	cl, err := env.Connect(o.cluster)
	if err != nil {
		return err
	}
	namespace := o.cluster.In(cl)
	all, err := cl.Verifications(ctx, namespace)
	if err != nil {
		return err
	}
	found, otherHost := q.Find(all)
	if len(found) == 0 {
		return fmt.Errorf("there is no verification %s %s; %s", q, command.Where(namespace), command.WhatExists(all, namespace))
	}
	handlers := handlersFrom(ctx, cl, found)
	stories := make([]Story, 0, len(found))
	for i := range found {
		stories = append(stories, newStory(&found[i], handlers))
	}
	if o.output != "text" {
		return command.PrintValue(env.Streams.Out, o.output, stories)
	}
	if otherHost {
		fmt.Fprintf(env.Streams.ErrOut, "No entry has the host of %q; these have its path.\n", q.Repository)
	}
	if len(found) > 1 {
		fmt.Fprintf(env.Streams.ErrOut, "%d verifications match, the newest push first.\n", len(found))
	}
	return printStories(env.Streams.Out, stories, env.Now())
}

// handlersFrom reads what serves the RuntimeClasses that entries speak of. It is a
// nicety: a class that cannot be read is told by its name alone.
func handlersFrom(ctx context.Context, c command.Cluster, entries []v1alpha1.ImageVerification) map[string]string {
	handlers := map[string]string{}
	asked := map[string]bool{"": true}
	for _, e := range entries {
		for _, r := range e.Status.Runs {
			for _, class := range append([]string{r.Sandbox.Requested}, r.Sandbox.Observed...) {
				if asked[class] {
					continue
				}
				asked[class] = true
				var rc nodev1.RuntimeClass
				if err := c.Get(ctx, client.ObjectKey{Name: class}, &rc); err == nil {
					handlers[class] = rc.Handler
				}
			}
		}
	}
	return handlers
}
