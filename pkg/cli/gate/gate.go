package gate

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/cli/command"
)

// The exit statuses.
const (
	exitRefused  = 1
	exitNotKnown = 2
)

const long = `Say what each gate would say of the images in manifests, without applying them.

For each image of each object, and each gate of its namespace, the table shows
  IMAGE     the normalised name, and the digest that its tag would be pinned to
  STANDING  Verified, Expired, Failed, Unknown or Exempt
  MODE      the gate's mode in force
  HAPPENS   admitted, warned, audited, refused or NOT KNOWN
  EXPIRES   for how long the verdict, or the exemption, still admits it
and the list below it says why, and what to do.

It looks at every place in a Pod where an image stands: containers, init containers,
ephemeral containers and image volumes, in Pods and in the template of any kind that has
one, in lists and in files of several documents. A gate only warns of a template. What the
command says is what happens to the Pods that are made of it.

Where you may create Pods, the command also asks the API server, by a dry run, and says so
if it disagrees. --dry-run=false leaves that out.

The exit status is 0 if every image is admitted, 1 if a gate refuses one, or would if its
mode were Deny, and 2 if that is not known, such as where you may not read a gate, a
namespace, or the ledger of a trigger that the gate trusts.`

const example = `  # Would this start in the namespace web?
  kubectl revet gate test -f deploy.yaml -n web

  # What a chart makes
  helm template web ./chart | kubectl revet gate test -f - -n web

  # One image
  kubectl revet gate test --image docker.io/library/nginx:1.27 -n web`

var outputs = []string{"table", "json"}

type options struct {
	cluster *command.ClusterFlags
	files   []string
	images  []string
	gate    string
	output  string
	dryRun  bool
	// systemNamespace is where Revet keeps what gates look up.
	systemNamespace string
}

// New returns the command gate.
func New(env command.Environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "gate",
		Short: "Ask gates about images",
		Long:  "Ask gates about images, without applying anything.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return command.Usagef("there is no command %q; there is test", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newTest(env))
	return c
}

func newTest(env command.Environment) *cobra.Command {
	o := &options{cluster: command.NewClusterFlags()}
	c := &cobra.Command{
		Use:   "test -f FILE | --image IMAGE",
		Short: "Say what each gate would say of images, and why",
		Long:  long, Example: example,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return command.Usagef("name files with -f and images with --image, not %q", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			if err := command.CheckOutput(o.output, outputs); err != nil {
				return err
			}
			if len(o.files)+len(o.images) == 0 {
				return command.Usagef("name a file with -f, or an image with --image")
			}
			return o.run(c.Context(), env)
		},
	}
	o.cluster.Config.AddFlags(c.Flags())
	c.Flags().StringArrayVarP(&o.files, "filename", "f", nil, "a file with manifests; - is standard input")
	c.Flags().StringArrayVar(&o.images, "image", nil, "an image")
	c.Flags().StringVar(&o.gate, "gate", "", "ask only the ImageGate with this name")
	c.Flags().StringVarP(&o.output, "output", "o", "table", "how to print: "+strings.Join(outputs, ", "))
	c.Flags().BoolVar(&o.dryRun, "dry-run", true, "ask the API server too, by dry runs that make Pods")
	c.Flags().StringVar(&o.systemNamespace, "system-namespace", "revet-system", "Revet's own namespace, where it keeps what gates look up")
	command.CompleteFlag(c, "output", outputs)
	command.CompleteGates(env, c, o.cluster)
	return c
}

// run gives errors a status of their own: 1 says that something is refused.
func (o *options) run(ctx context.Context, env command.Environment) error {
	report, err := o.report(ctx, env)
	if err == nil {
		if o.output == "json" {
			err = command.PrintValue(env.Streams.Out, o.output, report)
		} else {
			err = printReport(env.Streams.Out, report)
		}
	}
	if err != nil {
		return &command.StatusError{Status: exitNotKnown, Err: err}
	}
	return report.conclude()
}

// report judges every image by every gate of its namespace.
func (o *options) report(ctx context.Context, env command.Environment) (*Report, error) {
	cl, err := env.Connect(o.cluster)
	if err != nil {
		return nil, err
	}
	in := input{namespace: cl.Namespace, namespaces: map[string]map[string]string{}}
	for _, name := range o.files {
		if err := in.readFile(name, env.Streams.In); err != nil {
			return nil, err
		}
	}
	for _, image := range o.images {
		in.addImage(image)
	}
	w := newWorld(cl, o, in.namespaces, env.Now())
	if err := w.load(ctx, o.gate); err != nil {
		return nil, err
	}
	r := &Report{Images: []Image{}, Gates: w.gateReports(), Other: in.other}
	for _, object := range in.objects {
		rows := w.judge(ctx, object)
		if o.dryRun {
			w.tryOut(ctx, object, rows)
		}
		for _, row := range rows {
			r.Images = append(r.Images, *row)
		}
	}
	r.Notes = w.notes
	return r, nil
}

// readFile reads a file of manifests.
func (in *input) readFile(name string, stdin io.Reader) error {
	if name == "-" {
		return in.read("standard input", stdin)
	}
	f, err := os.Open(name) //nolint:gosec // the user names it
	if err != nil {
		return fmt.Errorf("reading manifests: %w", err)
	}
	defer func() { _ = f.Close() }()
	return in.read(name, f)
}
