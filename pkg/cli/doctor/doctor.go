package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/attested"
	"github.com/revet-dev/revet/pkg/cli/command"
)

var outputs = []string{"text", "json"}

type options struct {
	cluster         *command.ClusterFlags
	output          string
	systemNamespace string
}

// New returns the command doctor.
func New(env command.Environment) *cobra.Command {
	o := &options{cluster: command.NewClusterFlags()}
	c := &cobra.Command{
		Use:   "doctor [TRIGGER]",
		Short: "Find out why pushes are not recorded or verified, and how to fix it",
		Long: `Find out why pushes are not recorded or verified, and how to fix it.

The command checks the installation: resource kinds, Deployments, leader election,
the policy that protects the ledger, Tekton and Knative. Then it checks each
ImageTrigger:
  - the filter compiles, the sink can be reached, and the sink's template starts
    PipelineRuns that Revet finds again
  - the service accounts have the rights that they need
  - the sandbox exists, and Pods really used it
  - event sources send the pushes, and sweeps succeed
  - no push waits too long, and runs do not end in Error for the same reason
    again and again
  - every entry that was judged has a verdict
  - verdicts are signed where the trigger asks for it: an attestor leads and has a key,
    the operator lists the trigger, and registries publish and remove statements

The command judges ImageTriggers with the controller's own code and with your rights.
A check that needs what you may not read is "unknown".

The exit status is 1 if any check found a problem or could not be made.`,
		Example: `  # Check everything in this namespace
  kubectl revet doctor

  # Check one ImageTrigger
  kubectl revet doctor prod

  # Print what is wrong in any namespace, for a script
  kubectl revet doctor -A -o json | jq '.triggers[].findings[] | select(.level != "ok")'`,
		Args:              command.AtMostOne("TRIGGER"),
		ValidArgsFunction: command.CompleteTriggerNames(env, o.cluster),
		RunE: func(c *cobra.Command, args []string) error {
			if err := command.CheckOutput(o.output, outputs); err != nil {
				return err
			}
			return o.run(c.Context(), env, strings.Join(args, ""))
		},
	}
	o.cluster.Add(c)
	c.Flags().StringVarP(&o.output, "output", "o", "text", "output format: "+strings.Join(outputs, ", "))
	attested.AddFlag(c.Flags(), &o.systemNamespace)
	command.CompleteFlag(c, "output", outputs)
	return c
}

// doctor examines a cluster.
type doctor struct {
	command.Cluster

	system string
	now    time.Time
	// signing is what could be read of who signs verdicts, and whose.
	signing *attested.World
}

func (o *options) run(ctx context.Context, env command.Environment, name string) error {
	cl, err := env.Connect(o.cluster)
	if err != nil {
		return err
	}
	d := &doctor{Cluster: cl, system: o.systemNamespace, now: env.Now()}
	report := Report{Triggers: []TriggerReport{}}
	var usable bool
	if report.Installation, usable = d.installation(ctx); usable {
		d.signing = attested.Read(ctx, cl, d.system, d.now)
		if err := d.triggers(ctx, o.cluster.In(cl), name, &report); err != nil {
			return err
		}
	}
	if o.output == "json" {
		err = command.PrintValue(env.Streams.Out, "json", report)
	} else {
		err = report.print(env.Streams.Out)
	}
	if err == nil {
		err = report.verdict()
	}
	return err
}

// triggers examines the ImageTriggers of a namespace, or the one of a name. It returns an
// error only if there is no ImageTrigger of that name.
func (d *doctor) triggers(ctx context.Context, namespace, name string, report *Report) error {
	all, err := d.Triggers(ctx, namespace)
	report.Installation = append(report.Installation, d.attestor(ctx, all)...)
	if err != nil {
		report.Installation = append(report.Installation, notRead("triggers", "the ImageTriggers "+command.Where(namespace), err))
		return nil
	}
	entries, entriesErr := d.Verifications(ctx, namespace)
	var others []string
	for i := range all {
		t := &all[i]
		if name != "" && t.Name != name {
			others = append(others, t.Name)
			continue
		}
		own := entriesOf(entries, t)
		findings := d.trigger(ctx, t, own)
		if entriesErr != nil {
			findings = append(findings, notRead("entries", "the ImageVerifications "+command.Where(namespace), entriesErr))
		} else {
			findings = append(findings, d.waiting(own)...)
			findings = append(findings, d.errors(t, own)...)
			findings = append(findings, d.verdicts(t, own)...)
			findings = append(findings, d.attestations(t, own)...)
		}
		report.Triggers = append(report.Triggers, TriggerReport{Namespace: t.Namespace, Name: t.Name, Findings: findings})
	}
	if name == "" && entriesErr == nil {
		report.Installation = append(report.Installation, d.abandoned(all, entries)...)
	}
	switch {
	case len(report.Triggers) > 0:
		return nil
	case name == "":
		report.Installation = append(report.Installation, warn("triggers", "create one, or look in every namespace with -A",
			"there is no ImageTrigger %s, so no push is verified there", command.Where(namespace)))
		return nil
	case len(others) > 0:
		return fmt.Errorf("there is no ImageTrigger %q %s; there are %s", name, command.Where(namespace), strings.Join(others, ", "))
	default:
		return fmt.Errorf("there is no ImageTrigger %q %s, and no other either", name, command.Where(namespace))
	}
}

// trigger checks everything about an ImageTrigger but what its entries wait for and end
// in. Its entries are sorted by their newest push.
func (d *doctor) trigger(ctx context.Context, t *v1alpha1.ImageTrigger, entries []v1alpha1.ImageVerification) []Finding {
	findings := d.conditions(ctx, t)
	findings = append(findings, d.sandbox(ctx, t, entries)...)
	findings = append(findings, d.sources(ctx, t, entries)...)
	return append(findings, d.sweep(t))
}

// entriesOf returns the entries of one incarnation of an ImageTrigger, newest push first.
func entriesOf(all []v1alpha1.ImageVerification, t *v1alpha1.ImageTrigger) []v1alpha1.ImageVerification {
	var own []v1alpha1.ImageVerification
	for _, e := range all {
		if e.Namespace == t.Namespace && e.Spec.Trigger.UID == string(t.UID) {
			own = append(own, e)
		}
	}
	command.NewestFirst(own)
	return own
}
