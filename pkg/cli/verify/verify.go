package verify

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
)

// The exit statuses of a command line that waits.
const (
	exitFailed    = 1
	exitNoVerdict = 2
)

const long = `Verify a digest that nobody pushed here, such as a third party's image.

The command records the digest in the ledger, for an ImageTrigger of the namespace, and
asks for a run, whose cause is Manual. A gate that trusts the trigger then admits the
digest, wherever it is pulled from, so that it needs no exemption. If the ledger has the
digest already, the command asks for another run of it, as "kubectl revet replay" does.

The trigger says what runs, and with whose rights the image is read. Neither its selectors
nor its filter apply: somebody asked for this digest. Revet reads the registry only if
the operator lists its host for the namespace. nginx stands for docker.io/library/nginx.

A tag is refused, as nobody knows which digest it will stand for.

You need the right to create and update imageverifications, which the role "edit" does
not have. An administrator of the namespace grants it with
  kubectl create rolebinding replay -n NAMESPACE --clusterrole=revet-replay --user=NAME
The role allows nothing but this and requests.

Without --wait, the exit status is 0 once the request is made, and 2 for an error. With
--wait, it is 0 if the image passed, 1 if it failed, and 2 if there is no verdict.`

const example = `  # Verify an image from Docker Hub, and wait for the verdict
  kubectl revet verify docker.io/library/nginx:1.27@sha256:DIGEST -n image-verification --wait

  # By one of several ImageTriggers
  kubectl revet verify quay.io/prometheus/node-exporter@sha256:DIGEST --trigger third-party

  # Which digest does a tag have?
  crane digest docker.io/library/nginx:1.27`

type options struct {
	cluster *command.ClusterFlags
	trigger string
	// systemNamespace is where the operator lists the registries.
	systemNamespace string
	wait            bool
	timeout         time.Duration
}

// New returns the command verify.
func New(env command.Environment) *cobra.Command {
	o := &options{cluster: command.NewClusterFlags()}
	c := &cobra.Command{
		Use:   "verify IMAGE@DIGEST",
		Short: "Verify a digest that nobody pushed here",
		Long:  long, Example: example,
		Args: command.ExactlyOne("IMAGE@DIGEST"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.timeout <= 0 {
				return command.Usagef("--timeout is %s; it must be positive", o.timeout)
			}
			return noVerdict(o.run(c.Context(), env, args[0]))
		},
	}
	o.cluster.Config.AddFlags(c.Flags())
	c.Flags().StringVar(&o.trigger, "trigger", "", "the ImageTrigger by which the digest is verified; needed if the namespace has several")
	c.Flags().BoolVar(&o.wait, "wait", false, "wait for the verdict, and exit with it")
	c.Flags().DurationVar(&o.timeout, "timeout", time.Hour, "how long to wait with --wait")
	c.Flags().StringVar(&o.systemNamespace, "system-namespace", "revet-system", "Revet's own namespace, where the operator lists the registries")
	command.CompleteTriggers(env, c, o.cluster)
	return c
}

// noVerdict gives errors the status that says that there is no verdict.
func noVerdict(err error) error {
	switch err.(type) { //nolint:errorlint // these are the command's own, and not wrapped
	case nil, *command.UsageError, *command.StatusError:
		return err
	default:
		return &command.StatusError{Status: exitNoVerdict, Err: err}
	}
}

func (o *options) run(ctx context.Context, env command.Environment, arg string) error {
	named, err := parse(arg)
	if err != nil {
		return err
	}
	cl, err := env.Connect(o.cluster)
	if err != nil {
		return err
	}
	if named.ref.IsZero() {
		return refuseTag(ctx, cl, named)
	}
	trigger, err := o.chooseTrigger(ctx, cl)
	if err != nil {
		return err
	}
	id := command.RequestID(cl.User, env.Now(), env.Unique())
	entry, err := o.ask(ctx, env, cl, trigger, named, id)
	if err != nil {
		return err
	}
	for _, note := range notes(trigger, named.ref.Repository()) {
		fmt.Fprintln(env.Streams.ErrOut, note)
	}
	if !o.wait {
		fmt.Fprintf(env.Streams.ErrOut, "Follow with: kubectl revet explain %s -n %s\n", entry.Name, entry.Namespace)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	return await(ctx, env, cl, client.ObjectKeyFromObject(entry), id)
}

// ask makes one request for a run of the digest, and returns its entry.
func (o *options) ask(ctx context.Context, env command.Environment, cl command.Cluster, trigger *v1alpha1.ImageTrigger, named target, id string) (*v1alpha1.ImageVerification, error) {
	entry := ledger.NewManual(trigger, named.ref, named.tag, id, env.Now())
	have, err := existing(ctx, cl, entry)
	if err != nil {
		return nil, err
	}
	if have == nil {
		if err := o.checkRegistry(ctx, env, cl, trigger.Namespace, named.ref.Repository()); err != nil {
			return nil, err
		}
		err := cl.Writer.Create(ctx, entry)
		switch {
		case err == nil:
			fmt.Fprintf(env.Streams.Out, "Recorded %s for ImageTrigger %s, as ImageVerification %s, request %s.\n", named.ref, trigger.Name, entry.Name, id)
			return entry, nil
		case apierrors.IsForbidden(err):
			return nil, fmt.Errorf("recording %s: %w; %s", named.ref, err, command.GrantReplay(trigger.Namespace))
		case !apierrors.IsAlreadyExists(err):
			return nil, fmt.Errorf("recording %s: %w", named.ref, err)
		}
		// Somebody recorded it just now.
		if have, err = existing(ctx, cl, entry); err != nil {
			return nil, err
		}
		if have == nil {
			return nil, fmt.Errorf("recording %s: ImageVerification %s was there and is gone; run the command again", named.ref, entry.Name)
		}
	}
	if err := command.Request(ctx, cl, client.ObjectKeyFromObject(have), id); err != nil {
		return nil, err
	}
	fmt.Fprintf(env.Streams.Out, "The ledger has %s already, as ImageVerification %s of ImageTrigger %s, in phase %s: asked for another run, request %s.\n",
		named.ref, have.Name, trigger.Name, have.Phase(), id)
	return have, nil
}

// existing returns the entry of the same trigger and digest that pulls from the same place,
// which an ImageStream may show too, or nil.
func existing(ctx context.Context, cl command.Cluster, wanted *v1alpha1.ImageVerification) (*v1alpha1.ImageVerification, error) {
	all, err := cl.Verifications(ctx, wanted.Namespace)
	if err != nil {
		return nil, err
	}
	for i := range all {
		e := &all[i]
		same := e.Spec.Trigger.UID == wanted.Spec.Trigger.UID && e.Spec.Digest == wanted.Spec.Digest &&
			e.Spec.Repository.Pull == wanted.Spec.Repository.Pull
		switch {
		case same && ledger.Forged(e) == "":
			return e, nil
		case e.Name == wanted.Name:
			return nil, fmt.Errorf("ImageVerification %q has the name of this digest's entry and is another; find out who created it, and delete it: "+
				"kubectl delete imageverification %s -n %s", e.Name, e.Name, e.Namespace)
		}
	}
	return nil, nil
}

// chooseTrigger returns the trigger that was named, or the only one.
func (o *options) chooseTrigger(ctx context.Context, cl command.Cluster) (*v1alpha1.ImageTrigger, error) {
	if o.trigger != "" {
		t, err := cl.Trigger(ctx, client.ObjectKey{Namespace: cl.Namespace, Name: o.trigger})
		if err == nil && t == nil {
			err = fmt.Errorf("there is no ImageTrigger %q in namespace %q; list them with: kubectl get imagetriggers -n %s", o.trigger, cl.Namespace, cl.Namespace)
		}
		return t, err
	}
	all, err := cl.Triggers(ctx, cl.Namespace)
	if err != nil {
		return nil, fmt.Errorf("%w; name one with --trigger", err)
	}
	switch len(all) {
	case 0:
		return nil, fmt.Errorf("there is no ImageTrigger in namespace %q, which says what verifies an image; "+
			"create one as the README shows, or name its namespace with -n", cl.Namespace)
	case 1:
		return &all[0], nil
	default:
		names := make([]string, len(all))
		for i := range all {
			names[i] = all[i].Name
		}
		return nil, command.Usagef("there are %d ImageTriggers in namespace %q; name one with --trigger: %s", len(all), cl.Namespace, strings.Join(names, ", "))
	}
}

// refuseTag says how to get the digest of an image that is named by a tag.
func refuseTag(ctx context.Context, cl command.Cluster, named target) error {
	tag := named.tag
	err := fmt.Errorf("%s names no digest, and a tag may stand for another one tomorrow; get its digest with: crane digest %s:%s (or skopeo inspect), "+
		"and write %s@sha256:DIGEST", named.repository, named.repository, tag, named.repository)
	all, readErr := cl.Verifications(ctx, cl.Namespace)
	if readErr != nil {
		return &command.StatusError{Status: exitNoVerdict, Err: err}
	}
	q := command.Query{Repository: named.repository.String(), Tag: tag}
	if found, otherHost := q.Find(all); len(found) > 0 && !otherHost {
		newest := command.NewestOfTag(found, tag)[0]
		err = fmt.Errorf("%w; the newest push of this tag that the ledger has is %s", err, newest.Spec.Digest)
	}
	return err
}

// notes say what the trigger's selectors and filter mean for the digest.
func notes(trigger *v1alpha1.ImageTrigger, repository image.Repository) []string {
	var all []string
	if trigger.Spec.Filter != "" {
		all = append(all, fmt.Sprintf("ImageTrigger %s has a filter, which decides about pushes; this digest runs whatever the filter says.", trigger.Name))
	}
	if !selects(trigger, repository) {
		all = append(all, fmt.Sprintf("ImageTrigger %s does not select %s: what is pushed there later is not verified by itself.", trigger.Name, repository))
	}
	if !trigger.IsReady() {
		all = append(all, fmt.Sprintf("ImageTrigger %s is not ready; the run waits for it. Why, says: kubectl revet doctor %s -n %s",
			trigger.Name, trigger.Name, trigger.Namespace))
	}
	return all
}
