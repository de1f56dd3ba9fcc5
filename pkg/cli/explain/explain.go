package explain

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	nodev1 "k8s.io/api/node/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/attested"
	"github.com/revet-dev/revet/pkg/cli/command"
)

var explainOutputs = []string{"text", "json", "yaml"}

type explainOptions struct {
	cluster *command.ClusterFlags
	system  string
	output  string
}

// New returns the command explain.
func New(env command.Environment) *cobra.Command {
	o := &explainOptions{cluster: command.NewClusterFlags()}
	c := &cobra.Command{
		Use:   "explain NAME|IMAGE",
		Short: "Show what happened to one image, and why",
		Long: `Show what happened to one image: its pushes and when Revet recorded them, its runs
and their causes, where the Pods really executed, what the runs found, what became of
its signed verdicts, and what to do about it.

NAME is the name of a verification, as "kubectl revet get" prints it. IMAGE is one of
  namespace/stream:tag      a tag of an ImageStream; namespace and tag are optional
  host/path:tag             a tag in a registry, under any host name of the registry
  host/path@sha256:...      a digest in a repository
  sha256:...                a digest, or at least its first 6 digits

The command shows all verifications that match, the newest push first.`,
		Example: `  # Find out why an image failed
  kubectl revet explain demo/app:latest

  # Name the image by the reference that was pushed
  kubectl revet explain localhost:5001/demo/app:latest -n demo

  # Print JSON for a script
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
	attested.AddFlag(c.Flags(), &o.system)
	c.Flags().StringVarP(&o.output, "output", "o", "text", "output format: "+strings.Join(explainOutputs, ", "))
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
	signed := attested.At(ctx, cl, namespace, o.system, env.Now(), found)
	reports := make([]Report, 0, len(found))
	for i := range found {
		report := newReport(&found[i], handlers)
		report.Attestations, report.Unattested = signed.Of(&found[i])
		reports = append(reports, report)
	}
	if o.output != "text" {
		return command.PrintValue(env.Streams.Out, o.output, reports)
	}
	if otherHost {
		fmt.Fprintf(env.Streams.ErrOut, "No entry has the host of %q; these have the same path.\n", q.Repository)
	}
	if len(found) > 1 {
		fmt.Fprintf(env.Streams.ErrOut, "%d verifications match, the newest push first.\n", len(found))
	}
	return printReports(env.Streams.Out, reports, env.Now())
}

// handlersFrom reads the handlers of the RuntimeClasses that entries name. It leaves out
// a class that it cannot read: the report then shows the name alone.
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
