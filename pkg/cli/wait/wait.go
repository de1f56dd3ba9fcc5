package wait

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/source"
)

// The exit statuses, beside 0 if every image passed.
const (
	exitFailed    = 1
	exitNoVerdict = 2
)

// readEvery is how often the ledger is read. Who may only get and list may not watch.
const readEvery = 2 * time.Second

const long = `Wait until every image has its verdict, and exit with it.

The command stands between a build and a deployment: it succeeds only if every image
passed, so that what comes after it deploys verified digests and nothing else. It waits
for an image that is not recorded yet, and for runs that are queued or under way. It ends
at once when one image failed.

Only the verdicts of one namespace count, in which the platform team has images verified:
whoever may edit a namespace can make verdicts there.

The verdict is that of the newest push that the ledger has. If several ImageTriggers
verify the image, each of them has to pass it, unless --trigger names one. What a trigger
left out by its filter does not count as passed.

A tag is refused, as it may stand for another digest when the deployment reads it. Build
tools print the digest that they pushed.

With --revision, images are named by their repositories, in full. The digest of each is the
one that the ledger has in that repository, and that claims the revision by its label
org.opencontainers.image.revision. Whoever may push to a repository can claim any revision.
If several digests of one repository claim it, the command refuses to choose: name the one
that is meant by its digest. Digests that a trigger left out, superseded ones for example,
do not count.

You need the rights to get and list imageverifications, which the role "view" has.

The exit status is 0 if every image passed, 1 if one failed, and 2 if one has no verdict:
the time ran out, its runs ended in Error, no trigger verifies it, or which digest is meant
is not known. It is also 2 if --newest refuses the revision.`

const example = `  # Deploy what was built only if all of it passed
  kubectl revet wait registry.example.com/shop/web@sha256:DIGEST \
    registry.example.com/shop/api@sha256:DIGEST -n image-verification --timeout 15m

  # Print the digests, one a line in the order given, if all of them passed
  kubectl revet wait demo/web@sha256:DIGEST -n image-verification -o digests

  # Deploy a commit once all of its images passed
  kubectl revet wait --revision COMMIT registry.example.com/shop/web \
    registry.example.com/shop/api -n image-verification -o digests

  # A verdict of last month is not enough
  kubectl revet wait demo/web@sha256:DIGEST -n image-verification --max-age 168h`

// outputs are what --output may be; without it, a line for each image is printed.
var outputs = []string{"digests", "json", "yaml"}

type options struct {
	cluster *command.ClusterFlags
	trigger string
	until   string
	output  string
	timeout time.Duration
	// revision is what images that are named without a digest claim to be built from.
	revision string
	// newest refuses a revision that is older than what passed since.
	newest bool
	// files is the directory of a file with the digest for each image.
	files string
	// maxAge is how old a verdict may be; 0 allows any age.
	maxAge time.Duration
}

// New returns the command wait.
func New(env command.Environment) *cobra.Command {
	o := &options{cluster: command.NewClusterFlags()}
	c := &cobra.Command{
		Use:   "wait IMAGE@DIGEST... | --revision REVISION IMAGE...",
		Short: "Wait until every image passed, between a build and a deployment",
		Long:  long, Example: example,
		RunE: func(c *cobra.Command, args []string) error {
			return noVerdict(o.run(c.Context(), env, args))
		},
	}
	// Not --all-namespaces: whoever edits some namespace makes verdicts there.
	o.cluster.Config.AddFlags(c.Flags())
	c.Flags().StringVar(&o.trigger, "trigger", "", "the name of the ImageTriggers whose verdict counts; all of them if empty")
	c.Flags().StringVar(&o.until, "for", "passed", "what to wait for; passed is the only choice")
	c.Flags().StringVarP(&o.output, "output", "o", "", "what to print once every image passed: digests, json or yaml")
	c.Flags().DurationVar(&o.timeout, "timeout", 15*time.Minute, "how long to wait")
	c.Flags().DurationVar(&o.maxAge, "max-age", 0, "how old a verdict may be; an older one is waited for again. Any age if 0")
	c.Flags().StringVar(&o.revision, "revision", "", "find the digests by the revision that images claim to be built from")
	c.Flags().BoolVar(&o.newest, "newest", false, "with --revision, refuse it if a digest that was first pushed later passed in one of the repositories")
	c.Flags().StringVar(&o.files, "digest-files", "", "a directory to write the digest of each image to once all passed; the last part of its path names the file")
	command.CompleteTriggers(env, c, o.cluster)
	command.CompleteFlag(c, "output", outputs)
	command.CompleteFlag(c, "for", []string{"passed"})
	return c
}

// noVerdict gives errors the status that says that there is no verdict.
func noVerdict(err error) error {
	var usage *command.UsageError
	var status *command.StatusError
	if err == nil || errors.As(err, &usage) || errors.As(err, &status) {
		return err
	}
	return &command.StatusError{Status: exitNoVerdict, Err: err}
}

func (o *options) run(ctx context.Context, env command.Environment, args []string) error {
	images, err := o.check(args)
	if err != nil {
		return err
	}
	cl, err := env.Connect(o.cluster)
	if err != nil {
		return err
	}
	w := &waiter{options: o, env: env, cluster: cl, images: images, told: map[string]string{}}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if err := w.await(ctx); err != nil {
		return err
	}
	if o.newest {
		if err := w.notReplaced(ctx); err != nil {
			return err
		}
	}
	if err := w.writeFiles(); err != nil {
		return err
	}
	return w.print()
}

// check returns the images that the arguments name, or a usage error.
func (o *options) check(args []string) ([]pushed, error) {
	switch {
	case o.until != "passed":
		return nil, command.Usagef("--for is %q; passed is the only choice", o.until)
	case o.timeout <= 0:
		return nil, command.Usagef("--timeout is %s; it must be positive", o.timeout)
	case o.maxAge < 0:
		return nil, command.Usagef("--max-age is %s; it must not be negative", o.maxAge)
	case len(args) == 0:
		return nil, command.Usagef("name at least one IMAGE@DIGEST")
	}
	if err := o.checkRevision(); err != nil {
		return nil, err
	}
	if o.output != "" {
		if err := command.CheckOutput(o.output, outputs); err != nil {
			return nil, err
		}
	}
	read := parse
	if o.revision != "" {
		read = parseRepository
	}
	var images []pushed
	for _, arg := range args {
		p, err := read(arg)
		if err != nil {
			return nil, err
		}
		images = append(images, p)
	}
	return images, o.nameFiles(images)
}

func (o *options) checkRevision() error {
	switch {
	case o.revision == "" && o.newest:
		return command.Usagef("--newest needs --revision")
	case o.revision == "":
		return nil
	case !source.ValidRevision(o.revision):
		return command.Usagef("--revision %q is none that Revet records: at most 128 letters, digits and ._+-, "+
			"of which the first is a letter or a digit", o.revision)
	default:
		return nil
	}
}

// waiter waits for the images of one command line.
type waiter struct {
	*options
	env     command.Environment
	cluster command.Cluster
	images  []pushed
	states  []state
	// told is what was last said about each image.
	told map[string]string
}

// await reads the ledger until every image passed, one of them cannot, or time runs out.
func (w *waiter) await(ctx context.Context) error {
	ticks := time.NewTicker(readEvery)
	defer ticks.Stop()
	w.states = make([]state, len(w.images))
	for {
		whole, err := w.look(ctx)
		if err != nil {
			return err
		}
		if w.all(passed) && !whole {
			w.doubt()
			continue
		}
		select {
		case <-ctx.Done():
			if !w.all(passed) {
				return w.timedOut()
			}
			return nil
		default:
		}
		switch {
		case w.any(failed):
			return &command.StatusError{Status: exitFailed, Err: errors.New(w.lines(failed, "failed"))}
		case w.any(ambiguous):
			return errors.New(w.lines(ambiguous, "are ambiguous"))
		case w.any(undecided):
			return errors.New(w.lines(undecided, "will have no verdict"))
		case w.all(passed):
			return nil
		}
		select {
		case <-ctx.Done():
		case <-ticks.C:
		}
	}
}

// doubt has every image looked at once more: what passed first may have turned while others ran.
func (w *waiter) doubt() {
	for i := range w.states {
		w.states[i] = state{kind: waiting, text: "it passed, and was not looked at again in time"}
	}
}

// look reads what the ledger says of every image, but of those that passed by their digest before,
// and reports whether these were all. What cannot be read is not known, and waited for, unless it
// never will be.
func (w *waiter) look(ctx context.Context) (whole bool, err error) {
	var claimed []v1alpha1.ImageVerification
	var claimedErr error
	if w.revision != "" {
		// All repositories are judged by one reading.
		claimed, claimedErr = w.claimed(ctx)
	}
	whole = true
	for i, p := range w.images {
		var s state
		err := claimedErr
		switch {
		case p.repository != "":
			s = w.judgeRevision(p.repository, claimed)
		case w.states[i].kind == passed:
			whole = false
			continue
		default:
			var entries []v1alpha1.ImageVerification
			entries, err = w.entries(ctx, p)
			s = w.judge(entries)
			s.digest = p.digest
		}
		if err != nil {
			s = state{kind: waiting, text: "not known, as the ledger could not be read: " + err.Error()}
		}
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			return false, fmt.Errorf("%w; you need the rights to get and list imageverifications: "+
				"kubectl create rolebinding revet-wait -n NAMESPACE --clusterrole=view --serviceaccount=NAMESPACE:NAME", err)
		}
		// What was asked for as the time ran out stays as it was known.
		if ctx.Err() != nil {
			whole = false
			continue
		}
		w.states[i] = s
		w.say(i)
	}
	return whole, nil
}

// say tells of an image on standard error when something changed.
func (w *waiter) say(i int) {
	line := w.name(i) + ": " + command.Printable(w.states[i].text)
	if arg := w.images[i].arg; w.told[arg] != line {
		w.told[arg] = line
		fmt.Fprintln(w.env.Streams.ErrOut, line)
	}
}

// name is an image as it was typed, with the digest that was found.
func (w *waiter) name(i int) string {
	p, s := &w.images[i], &w.states[i]
	if p.repository == "" || s.digest == "" {
		return p.arg
	}
	return p.arg + "@" + s.digest
}

func (w *waiter) all(kind int) bool {
	for _, s := range w.states {
		if s.kind != kind {
			return false
		}
	}
	return true
}

func (w *waiter) any(kind int) bool {
	for _, s := range w.states {
		if s.kind == kind {
			return true
		}
	}
	return false
}

// lines names the images of one kind, one a line, with what to run to see why.
func (w *waiter) lines(kind int, what string) string {
	var all []string
	for i, s := range w.states {
		if s.kind == kind {
			all = append(all, fmt.Sprintf("  %s: %s; %s", w.name(i), s.text, s.cure))
		}
	}
	return fmt.Sprintf("%d of %d images %s:\n%s", len(all), len(w.images), what, strings.Join(all, "\n"))
}

func (w *waiter) timedOut() error {
	var all []string
	for i, s := range w.states {
		if s.kind == passed {
			continue
		}
		if s.text == "" {
			s.text = "not known, as the ledger did not answer"
		}
		line := fmt.Sprintf("  %s: %s", w.name(i), s.text)
		if s.cure != "" {
			line += "; " + s.cure
		}
		all = append(all, line)
	}
	return fmt.Errorf("%d of %d images have no verdict after %s:\n%s", len(all), len(w.images), w.timeout, strings.Join(all, "\n"))
}
