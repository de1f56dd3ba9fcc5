package comparesandbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/comparesandbox/compare"
)

// noClass is what --classes calls the runtime that Pods have without a RuntimeClass.
const noClass = "default"

var compareOutputs = []string{"table", "json", "yaml"}

type compareOptions struct {
	cluster *command.ClusterFlags
	classes []string
	runs    int
	cold    bool
	node    string
	output  string
	plot    string
	params  []string
	timeout time.Duration

	probeNamespace  string
	probeImage      string
	runtimeEndpoint string
	systemNamespace string
}

// New returns the command compare-sandbox.
func New(env command.Environment) *cobra.Command {
	o := &compareOptions{cluster: command.NewClusterFlags()}
	c := &cobra.Command{
		Use:   "compare-sandbox NAME|IMAGE",
		Short: "Measure what isolation costs on a node",
		Long: `Measure what isolation costs on a node.

The pipeline that a push of the image starts is run under each class in turn, all on
one node, and what its Pods took is read from that node. NAME and IMAGE are what
"kubectl revet explain" takes; "` + noClass + `" is the runtime that Pods have without a
RuntimeClass. The ratios are to the last class. The runs have no entry in the ledger,
so that no verdict changes, and are removed. What they would publish beside the image
is left out, where the pipeline has a parameter "publish", unless --param sets it.

A warm run finds the images of its steps on the node. With --cold as many runs more
are made for which they were removed.

To look at the node a Pod is run there which reads the control groups and the process
IDs of the node. With --cold others are, as root, which have the socket of its
container runtime. A namespace that enforces Pod Security has to allow "privileged";
--probe-namespace names one that does. You need the right to create PipelineRuns
beside the image's ImageTrigger and Pods in the namespace of the probe, and to read
nodes and RuntimeClasses.

Nothing else should happen on the node meanwhile. On a workstation, mind the time:
each run takes as long as a verification does.`,
		Example: `  # What does the sandbox of the image's ImageTrigger cost?
  kubectl revet compare-sandbox demo/app:latest

  # For a report: cold images too, and a figure
  kubectl revet compare-sandbox demo/app:latest --classes kata,default --runs 10 --cold --plot sandbox.svg

  # For a program, on a node of your choice
  kubectl revet compare-sandbox demo/app:latest --node worker-3 -o json`,
		Args:              command.ExactlyOne("NAME or IMAGE"),
		ValidArgsFunction: command.CompleteNames(env, o.cluster),
		RunE: func(c *cobra.Command, args []string) error {
			q, err := command.ParseQuery(args[0])
			if err != nil {
				return err
			}
			if err := o.check(); err != nil {
				return err
			}
			return o.run(c.Context(), env, q)
		},
	}
	o.cluster.Add(c)
	f := c.Flags()
	f.StringSliceVar(&o.classes, "classes", nil, "RuntimeClasses to compare, in their order; by default the ImageTrigger's and "+noClass)
	f.IntVar(&o.runs, "runs", 5, "how many runs of each class count")
	f.BoolVar(&o.cold, "cold", false, "measure as many runs more for which the step images are removed from the node")
	f.StringVar(&o.node, "node", "", "the node that everything runs on; by default the first that fits")
	f.StringVarP(&o.output, "output", "o", "table", "how to print: "+strings.Join(compareOutputs, ", "))
	f.StringVar(&o.plot, "plot", "", "file that a figure is written to, as SVG")
	f.StringArrayVar(&o.params, "param", nil, "a parameter of the pipeline, as name=value; may be repeated")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "most time for one run")
	f.StringVar(&o.probeNamespace, "probe-namespace", "kube-system", "namespace of the Pods that look at the node")
	f.StringVar(&o.probeImage, "probe-image", "", "their image, with Revet's program probe; by default the one that Revet was installed with")
	f.StringVar(&o.runtimeEndpoint, "runtime-endpoint", "/run/containerd/containerd.sock", "socket of the node's container runtime, for --cold")
	f.StringVar(&o.systemNamespace, "system-namespace", "revet-system", "Revet's own namespace")
	command.CompleteFlag(c, "output", compareOutputs)
	return c
}

// paramPattern is what Tekton accepts as a parameter's name.
var paramPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*=`)

// check refuses what needs no cluster to be seen as wrong.
func (o *compareOptions) check() error {
	if err := command.CheckOutput(o.output, compareOutputs); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, class := range o.classes {
		if class == "" || seen[class] {
			return command.Usagef("--classes %q names a class twice, or none", strings.Join(o.classes, ","))
		}
		seen[class] = true
	}
	for _, p := range o.params {
		if !paramPattern.MatchString(p) {
			return command.Usagef("--param %q is not name=value", p)
		}
	}
	switch {
	case o.runs < 1:
		return command.Usagef("--runs must be at least 1, not %d", o.runs)
	case o.timeout <= 0:
		return command.Usagef("--timeout must be positive")
	case o.plot != "" && !strings.HasSuffix(o.plot, ".svg"):
		return command.Usagef("--plot %q must end in .svg, which is what is written", o.plot)
	}
	return nil
}

func (o *compareOptions) run(ctx context.Context, env command.Environment, q command.Query) error {
	cl, err := env.Connect(o.cluster)
	if err != nil {
		return err
	}
	c := &comparison{compareOptions: o, env: env, cl: cl, id: env.Unique()}
	if err := c.prepare(ctx, q); err != nil {
		return err
	}
	if err := c.measure(ctx); err != nil {
		return err
	}
	c.report.Summarise()
	if o.plot != "" {
		var figure bytes.Buffer
		if err := c.report.WriteSVG(&figure); err != nil {
			return err
		}
		if err := os.WriteFile(o.plot, figure.Bytes(), 0o644); err != nil { //nolint:gosec // a figure is for everybody
			return fmt.Errorf("writing the figure: %w", err)
		}
	}
	return o.print(env.Streams.Out, &c.report)
}

func (o *compareOptions) print(w io.Writer, r *compare.Report) error {
	if o.output != "table" {
		return command.PrintValue(w, o.output, r)
	}
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		return err
	}
	_, err := io.WriteString(w, command.PrintableLines(table.String()))
	return err
}
