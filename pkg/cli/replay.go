package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

type replayOptions struct {
	cluster *clusterFlags
	trigger string
	failed  bool
	errored bool
	every   bool
	dryRun  bool
}

func newReplay(env environment) *cobra.Command {
	o := &replayOptions{cluster: newClusterFlags()}
	c := &cobra.Command{
		Use:   "replay NAME|IMAGE | --failed | --error",
		Short: "Ask for another run of an image",
		Long: `Ask for another run of an image.

NAME and IMAGE are what "kubectl revet explain" takes. A tag stands for the
newest push of it; with --all every digest that was pushed to it is meant. With
--failed every verification whose phase is Failed or Error gets another run, with
--error every one in Error: what failed there was no check but its infrastructure.

A request is an id in spec.requests of the ImageVerification. The controller
gives each one run of its own, after what is under way and whatever freshness
says; a filter is not asked again. It needs the right to update
imageverifications, which no one has by editing a namespace. Give it with
  kubectl create rolebinding replay -n NAMESPACE --clusterrole=revet-replay --user=NAME
Nothing else of an entry can be changed with it.`,
		Example: `  # Once more, please
  kubectl revet replay demo/app:latest

  # After the registry, or the cluster, was mended: what would be run again?
  kubectl revet replay --error -A --dry-run

  # After the rules were mended, for one trigger
  kubectl revet replay --failed --trigger prod

  # What became of it
  kubectl revet explain demo/app:latest`,
		Args:              atMostOne("NAME or IMAGE"),
		ValidArgsFunction: completeNames(env, o.cluster),
		RunE: func(c *cobra.Command, args []string) error {
			q, err := o.query(args)
			if err != nil {
				return err
			}
			return o.run(c.Context(), env, q)
		},
	}
	o.cluster.add(c)
	c.Flags().StringVar(&o.trigger, "trigger", "", "only entries of the ImageTrigger of this name")
	c.Flags().BoolVar(&o.failed, "failed", false, "every entry whose phase is Failed or Error")
	c.Flags().BoolVar(&o.errored, "error", false, "every entry whose phase is Error")
	c.Flags().BoolVar(&o.every, "all", false, "every entry that matches IMAGE, not only the newest push of its tag")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "print what would be asked for, and ask for nothing")
	completeTriggers(env, c, o.cluster)
	return c
}

// query returns what names the entries; nil if their phase does.
func (o *replayOptions) query(args []string) (*query, error) {
	byPhase := o.failed || o.errored
	switch {
	case o.failed && o.errored:
		return nil, usagef("--failed includes what --error selects; give one of them")
	case byPhase && len(args) > 0:
		return nil, usagef("give either NAME or IMAGE, or --failed or --error, not both")
	case byPhase && o.every:
		return nil, usagef("--all is for IMAGE; --failed and --error select all entries of their phase")
	case byPhase:
		return nil, nil
	case len(args) == 0:
		return nil, usagef("one NAME or IMAGE must be given, or --failed, or --error")
	}
	q, err := parseQuery(args[0])
	return &q, err
}

func (o *replayOptions) run(ctx context.Context, env environment, q *query) error {
	cl, err := env.connect(o.cluster)
	if err != nil {
		return err
	}
	namespace := o.cluster.in(cl)
	all, err := cl.list(ctx, namespace)
	if err != nil {
		return err
	}
	entries, err := o.choose(env.streams.ErrOut, all, q, namespace)
	if err != nil || len(entries) == 0 {
		return err
	}
	lines, err := o.ask(ctx, env, cl, entries)
	if printErr := o.print(env.streams.Out, lines); err == nil {
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
		return errors.New("nothing was asked for")
	case asked > 0 && !o.dryRun:
		fmt.Fprintf(env.streams.ErrOut, "Follow with: kubectl revet explain %s -n %s\n", entries[0].Name, entries[0].Namespace)
	}
	return nil
}

// choose returns the entries that are meant.
func (o *replayOptions) choose(notes io.Writer, all []v1alpha1.ImageVerification, q *query, namespace string) ([]v1alpha1.ImageVerification, error) {
	ofTrigger := all
	if o.trigger != "" {
		ofTrigger = nil
		for _, e := range all {
			if e.Spec.Trigger.Name == o.trigger {
				ofTrigger = append(ofTrigger, e)
			}
		}
	}
	if q == nil {
		return o.ofPhase(notes, ofTrigger, namespace), nil
	}
	found, otherHost := q.find(ofTrigger)
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no verification %s %s; %s", q, where(namespace), whatExists(ofTrigger, namespace))
	}
	if otherHost {
		fmt.Fprintf(notes, "No entry has the host of %q; these have its path.\n", q.repository)
	}
	if o.every || q.digest != "" || len(found) == 1 {
		return found, nil
	}
	if q.tag == "" {
		return nil, usagef("%d verifications match; name a tag or a digest, or all of them with --all", len(found))
	}
	newest := newestOfTag(found, q.tag)
	if left := len(found) - len(newest); left > 0 {
		fmt.Fprintf(notes, "%d older pushes of tag %q are left alone; --all includes them.\n", left, q.tag)
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
	newestFirst(found)
	if len(found) == 0 {
		fmt.Fprintf(notes, "None of the %d verifications %s needs it.\n", len(all), where(namespace))
	}
	return found
}

// newestOfTag keeps the entry with the newest push of a tag, for each trigger and
// repository. Those found are ordered by any of their pushes.
func newestOfTag(found []v1alpha1.ImageVerification, tag string) []v1alpha1.ImageVerification {
	type place struct{ namespace, trigger, repository string }
	at := map[place]int{}
	var newest []v1alpha1.ImageVerification
	for i := range found {
		e := &found[i]
		p := place{e.Namespace, e.Spec.Trigger.UID, e.Spec.Repository.Name}
		j, seen := at[p]
		switch {
		case !seen:
			at[p] = len(newest)
			newest = append(newest, *e)
		case later(pushOfTag(e, tag), pushOfTag(&newest[j], tag)):
			newest[j] = *e
		}
	}
	return newest
}

func pushOfTag(e *v1alpha1.ImageVerification, tag string) v1alpha1.PushRecord {
	for _, p := range pushesOf(e) {
		if p.Tag == tag {
			return p.PushRecord
		}
	}
	return v1alpha1.PushRecord{}
}

func later(a, b v1alpha1.PushRecord) bool {
	if a.Sequence != b.Sequence {
		return a.Sequence > b.Sequence
	}
	return a.PushedAt.After(b.PushedAt.Time)
}

// ask asks for a run of each entry. What was done before an error is returned too.
func (o *replayOptions) ask(ctx context.Context, env environment, cl cluster, entries []v1alpha1.ImageVerification) ([]replayLine, error) {
	triggers := map[client.ObjectKey]*v1alpha1.ImageTrigger{}
	var lines []replayLine
	for i := range entries {
		e := &entries[i]
		key := client.ObjectKey{Namespace: e.Namespace, Name: e.Spec.Trigger.Name}
		trigger, known := triggers[key]
		if !known {
			var err error
			if trigger, err = cl.trigger(ctx, key); err != nil {
				return lines, err
			}
			triggers[key] = trigger
		}
		line := plan(e, trigger, env.now())
		if !line.accepted {
			lines = append(lines, line)
			continue
		}
		id := requestID(cl.user, env.now(), env.unique())
		if !o.dryRun {
			if err := cl.request(ctx, client.ObjectKeyFromObject(e), id); err != nil {
				return lines, err
			}
		}
		line.id = id
		lines = append(lines, line)
	}
	return lines, nil
}

// trigger returns nil if there is none.
func (c cluster) trigger(ctx context.Context, key client.ObjectKey) (*v1alpha1.ImageTrigger, error) {
	var t v1alpha1.ImageTrigger
	err := c.Get(ctx, key, &t)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, readError(fmt.Sprintf("reading ImageTrigger %q", key.Name), key.Namespace, err)
	}
	return &t, nil
}

// request adds an id to the entry's requests. It is written against the state
// that was read: the controller's writes, and other people's, are not lost.
func (c cluster) request(ctx context.Context, key client.ObjectKey, id string) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		var e v1alpha1.ImageVerification
		if err := c.Get(ctx, key, &e); err != nil {
			return err
		}
		requests, err := withRequest(&e, id)
		if err != nil {
			return err
		}
		e.Spec.Requests = requests
		return c.writer.Update(ctx, &e)
	})
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		return fmt.Errorf("asking for a run of %q: %w; whoever administers the namespace lets you by: "+
			"kubectl create rolebinding replay -n %s --clusterrole=revet-replay --user=NAME", key.Name, err, key.Namespace)
	default:
		return fmt.Errorf("asking for a run of %q: %w", key.Name, err)
	}
}

// print prints a line for each entry.
func (o *replayOptions) print(w io.Writer, lines []replayLine) error {
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintln(t, strings.Join([]string{"NAME", "IMAGE", "REQUEST", "WHAT HAPPENS"}, "\t"))
	for _, l := range lines {
		id := l.id
		if id == "" {
			id = "-"
		}
		what := l.what
		if o.dryRun {
			what += " (dry run)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", printable(l.name), printable(l.image), printable(id), printable(oneLine(what)))
	}
	return t.Flush()
}
