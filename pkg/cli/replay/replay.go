package replay

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// defaultLimit is how many renewals one command asks for: some hours of runs.
const defaultLimit = 1000

type replayOptions struct {
	cluster *command.ClusterFlags
	trigger string
	failed  bool
	errored bool
	every   bool
	// withoutVerdict selects entries that were judged before verdicts were kept, at most
	// limit of them.
	withoutVerdict bool
	limit          int
	dryRun         bool
}

// New returns the command replay.
func New(env command.Environment) *cobra.Command {
	o := &replayOptions{cluster: command.NewClusterFlags()}
	c := &cobra.Command{
		Use:   "replay NAME|IMAGE | --failed | --error | --without-verdict",
		Short: "Ask for another run of an image",
		Long: `Ask for another run of an image.

NAME and IMAGE are those of "kubectl revet explain". A tag means its newest push, or
every push of it with --all. --failed selects every verification in phase Failed or
Error; --error selects those in Error, where a run gave no verdict.

--without-verdict selects the verifications that were judged before verdicts were kept,
the newest pushes first. Their runs go after all others: one starts only while no push,
request or retry waits for its slot, and they never hold more than half of the slots of
an ImageTrigger or of the controller. To renew more than --limit, repeat the command.

A request is an ID in spec.requests of the ImageVerification. For each request, the
controller starts one run after the runs that are under way. It ignores spec.freshness
and the filter.

You need the right to update imageverifications, which the role "edit" does not have.
An administrator of the namespace grants it with
  kubectl create rolebinding replay -n NAMESPACE --clusterrole=revet-replay --user=NAME
The role allows nothing but requests.`,
		Example: `  # Run one image again
  kubectl revet replay demo/app:latest

  # After repairing a registry: what would run again?
  kubectl revet replay --error -A --dry-run

  # After correcting the rules of one ImageTrigger
  kubectl revet replay --failed --trigger prod

  # After an update to a version that keeps verdicts
  kubectl revet replay --without-verdict --trigger prod

  # See the result
  kubectl revet explain demo/app:latest`,
		Args:              command.AtMostOne("NAME or IMAGE"),
		ValidArgsFunction: command.CompleteNames(env, o.cluster),
		RunE: func(c *cobra.Command, args []string) error {
			q, err := o.query(args)
			if err != nil {
				return err
			}
			return o.run(c.Context(), env, q)
		},
	}
	o.cluster.Add(c)
	c.Flags().StringVar(&o.trigger, "trigger", "", "select only entries of the ImageTrigger with this name")
	c.Flags().BoolVar(&o.failed, "failed", false, "select every entry in phase Failed or Error")
	c.Flags().BoolVar(&o.errored, "error", false, "select every entry in phase Error")
	c.Flags().BoolVar(&o.withoutVerdict, "without-verdict", false, "select every entry that was judged before verdicts were kept")
	c.Flags().IntVar(&o.limit, "limit", defaultLimit, "the most entries that --without-verdict selects")
	c.Flags().BoolVar(&o.every, "all", false, "select every entry that matches IMAGE, not only the newest push of its tag")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "print the requests without making them")
	command.CompleteTriggers(env, c, o.cluster)
	return c
}

// query returns the query that selects entries, or nil if their phase selects them.
func (o *replayOptions) query(args []string) (*command.Query, error) {
	byPhase := o.failed || o.errored
	switch {
	case o.withoutVerdict && (byPhase || o.every || len(args) > 0):
		return nil, command.Usagef("--without-verdict goes with neither NAME nor IMAGE, --failed, --error nor --all")
	case o.limit < 1:
		return nil, command.Usagef("--limit must be at least 1")
	case o.withoutVerdict:
		return nil, nil
	case o.failed && o.errored:
		return nil, command.Usagef("--failed includes what --error selects; give one of them")
	case byPhase && len(args) > 0:
		return nil, command.Usagef("give either NAME or IMAGE, or --failed or --error, not both")
	case byPhase && o.every:
		return nil, command.Usagef("--all is for IMAGE; --failed and --error select all entries of their phase")
	case byPhase:
		return nil, nil
	case len(args) == 0:
		return nil, command.Usagef("one NAME or IMAGE must be given, or --failed, --error or --without-verdict")
	}
	q, err := command.ParseQuery(args[0])
	return &q, err
}

func (o *replayOptions) run(ctx context.Context, env command.Environment, q *command.Query) error {
	cl, err := env.Connect(o.cluster)
	if err != nil {
		return err
	}
	namespace := o.cluster.In(cl)
	all, err := cl.Verifications(ctx, namespace)
	if err != nil {
		return err
	}
	entries, err := o.choose(env.Streams.ErrOut, all, q, namespace)
	if err != nil || len(entries) == 0 {
		return err
	}
	lines, err := o.ask(ctx, env, cl, entries)
	if printErr := o.print(env.Streams.Out, lines); err == nil {
		err = printErr
	}
	if err != nil {
		return err
	}
	asked := 0
	for _, l := range lines {
		if l.id != "" {
			asked++
		}
	}
	switch {
	case asked == 0 && q != nil:
		return errors.New("no request was made")
	case asked > 0 && !o.dryRun:
		fmt.Fprintf(env.Streams.ErrOut, "Follow with: kubectl revet explain %s -n %s\n", entries[0].Name, entries[0].Namespace)
	}
	return nil
}

// choose returns the selected entries.
func (o *replayOptions) choose(notes io.Writer, all []v1alpha1.ImageVerification, q *command.Query, namespace string) ([]v1alpha1.ImageVerification, error) {
	ofTrigger := all
	if o.trigger != "" {
		ofTrigger = nil
		for _, e := range all {
			if e.Spec.Trigger.Name == o.trigger {
				ofTrigger = append(ofTrigger, e)
			}
		}
	}
	if o.withoutVerdict {
		return o.unjudged(notes, ofTrigger, namespace), nil
	}
	if q == nil {
		return o.ofPhase(notes, ofTrigger, namespace), nil
	}
	found, otherHost := q.Find(ofTrigger)
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no verification %s %s; %s", q, command.Where(namespace), command.WhatExists(ofTrigger, namespace))
	}
	if otherHost {
		fmt.Fprintf(notes, "No entry has the host of %q; these have the same path.\n", q.Repository)
	}
	if o.every || q.Digest != "" || len(found) == 1 {
		return found, nil
	}
	if q.Tag == "" {
		return nil, command.Usagef("%d verifications match; name a tag or a digest, or select all of them with --all", len(found))
	}
	newest := command.NewestOfTag(found, q.Tag)
	if left := len(found) - len(newest); left > 0 {
		fmt.Fprintf(notes, "%d older pushes of tag %q are not run again; --all includes them.\n", left, q.Tag)
	}
	return newest, nil
}

func (o *replayOptions) ofPhase(notes io.Writer, all []v1alpha1.ImageVerification, namespace string) []v1alpha1.ImageVerification {
	var found []v1alpha1.ImageVerification
	for i := range all {
		phase := all[i].Phase()
		if phase == v1alpha1.PhaseError || (o.failed && phase == v1alpha1.PhaseFailed) {
			found = append(found, all[i])
		}
	}
	command.NewestFirst(found)
	if len(found) == 0 {
		fmt.Fprintf(notes, "None of the %d verifications %s is in this phase.\n", len(all), command.Where(namespace))
	}
	return found
}

// unjudged returns the entries that were judged before verdicts were kept, and whose run
// nobody asked for, newest push first.
func (o *replayOptions) unjudged(notes io.Writer, all []v1alpha1.ImageVerification, namespace string) []v1alpha1.ImageVerification {
	var found []v1alpha1.ImageVerification
	asked := 0
	for i := range all {
		switch e := &all[i]; {
		case !e.JudgedWithoutVerdict():
		case lifecycle.RenewalAsked(e):
			asked++
		default:
			found = append(found, *e)
		}
	}
	command.NewestFirst(found)
	if asked > 0 {
		fmt.Fprintf(notes, "%d verifications wait for the run that was asked for before.\n", asked)
	}
	if len(found) == 0 && asked == 0 {
		fmt.Fprintf(notes, "Of the %d verifications %s none was judged without a verdict.\n", len(all), command.Where(namespace))
	}
	if more := len(found) - o.limit; more > 0 {
		fmt.Fprintf(notes, "%d older verifications are left; repeat the command when these have run.\n", more)
		found = found[:o.limit]
	}
	return found
}

// ask requests a run of each entry. With an error it returns the lines before it, too.
func (o *replayOptions) ask(ctx context.Context, env command.Environment, cl command.Cluster, entries []v1alpha1.ImageVerification) ([]replayLine, error) {
	triggers := map[client.ObjectKey]*v1alpha1.ImageTrigger{}
	var lines []replayLine
	for i := range entries {
		e := &entries[i]
		key := client.ObjectKey{Namespace: e.Namespace, Name: e.Spec.Trigger.Name}
		trigger, known := triggers[key]
		if !known {
			var err error
			if trigger, err = cl.Trigger(ctx, key); err != nil {
				return lines, err
			}
			triggers[key] = trigger
		}
		id := command.RequestID(cl.User, env.Now(), env.Unique())
		if o.withoutVerdict {
			id = renewalID(env.Now(), env.Unique())
		}
		line := plan(e, trigger, id, env.Now())
		if !line.accepted {
			lines = append(lines, line)
			continue
		}
		if !o.dryRun {
			if err := command.Request(ctx, cl, client.ObjectKeyFromObject(e), id); err != nil {
				return lines, err
			}
		}
		line.id = id
		lines = append(lines, line)
	}
	return lines, nil
}

// columns are those of the table, from left to right.
var columns = []command.Column[replayLine]{
	{Header: "NAME", Cell: func(l replayLine) string { return l.name }},
	{Header: "IMAGE", Cell: func(l replayLine) string { return l.image }},
	{Header: "REQUEST", Cell: func(l replayLine) string { return l.id }},
	{Header: "WHAT HAPPENS", Cell: func(l replayLine) string { return command.OneLine(l.what) }},
}

// print prints a line for each entry.
func (o *replayOptions) print(w io.Writer, lines []replayLine) error {
	if o.dryRun {
		for i := range lines {
			lines[i].what += " (dry run)"
		}
	}
	return command.PrintTable(w, columns, 0, lines)
}
