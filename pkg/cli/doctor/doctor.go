package doctor

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
)

var doctorOutputs = []string{"text", "json"}

// Level says how bad a finding is.
type Level string

// The levels. A problem keeps pushes from being recorded or verified; a warning
// makes that slower, or cannot be known.
const (
	LevelOK      Level = "ok"
	LevelWarning Level = "warning"
	LevelProblem Level = "problem"
)

// Diagnosis is what one check found.
type Diagnosis struct {
	Level   Level  `json:"level"`
	Check   string `json:"check"`
	Message string `json:"message"`
	// Cure is what a person can do; it may also stand in the message.
	Cure string `json:"cure,omitempty"`
}

// Examination is all that doctor found.
type Examination struct {
	Installation []Diagnosis   `json:"installation"`
	Triggers     []TriggerExam `json:"triggers"`
}

// TriggerExam is what was found of one ImageTrigger.
type TriggerExam struct {
	Namespace string      `json:"namespace"`
	Name      string      `json:"name"`
	Findings  []Diagnosis `json:"findings"`
}

// count returns how many findings are of a level.
func (e Examination) count(level Level) int {
	n := 0
	all := [][]Diagnosis{e.Installation}
	for _, t := range e.Triggers {
		all = append(all, t.Findings)
	}
	for _, findings := range all {
		for _, f := range findings {
			if f.Level == level {
				n++
			}
		}
	}
	return n
}

type doctorOptions struct {
	cluster         *command.ClusterFlags
	output          string
	systemNamespace string
}

// New returns the command doctor.
func New(env command.Environment) *cobra.Command {
	o := &doctorOptions{cluster: command.NewClusterFlags()}
	c := &cobra.Command{
		Use:   "doctor [TRIGGER]",
		Short: "Find out why pushes are not recorded or verified, and what to do about it",
		Long: `Find out why pushes are not recorded or verified, and what to do about it.

Looked at are the installation (kinds, programs, who leads, the ledger's policy,
Tekton, Knative) and each ImageTrigger: whether its filter compiles, its sink can
be reached, the sink's template starts runs that are found again, the accounts may
do what they have to, the sandbox exists and was really used, sources send the
pushes, sweeps succeed, and nothing is stuck. Triggers are judged by the
controller's own functions, with your rights: what you may not read is a warning.

The exit status is 1 if there is a problem.`,
		Example: `  # Everything in this namespace
  kubectl revet doctor

  # One trigger
  kubectl revet doctor prod

  # Only what is wrong, anywhere, for a script
  kubectl revet doctor -A -o json | jq '.triggers[].findings[] | select(.level != "ok")'`,
		Args:              command.AtMostOne("TRIGGER"),
		ValidArgsFunction: command.CompleteTriggerNames(env, o.cluster),
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains(doctorOutputs, o.output) {
				return command.Usagef("unknown output %q; there are %s", o.output, strings.Join(doctorOutputs, ", "))
			}
			return o.run(c.Context(), env, strings.Join(args, ""))
		},
	}
	o.cluster.Add(c)
	c.Flags().StringVarP(&o.output, "output", "o", "text", "how to print: "+strings.Join(doctorOutputs, ", "))
	c.Flags().StringVar(&o.systemNamespace, "system-namespace", "revet-system", "Revet's own namespace")
	command.CompleteFlag(c, "output", doctorOutputs)
	return c
}

func (o *doctorOptions) run(ctx context.Context, env command.Environment, name string) error {
	cl, err := env.Connect(o.cluster)
	if err != nil {
		return err
	}
	d := &doctor{Cluster: cl, system: o.systemNamespace, now: env.Now()}
	var exam Examination
	var usable bool
	if exam.Installation, usable = d.installation(ctx); usable {
		if exam.Triggers, err = d.triggersIn(ctx, o.cluster.In(cl), name); err != nil {
			return err
		}
		if len(exam.Triggers) == 0 {
			exam.Installation = append(exam.Installation, Diagnosis{Level: LevelWarning, Check: "triggers",
				Message: "there is no ImageTrigger " + command.Where(o.cluster.In(cl)) + ", so that no push is verified there",
				Cure:    "create one; with -A you look in every namespace"})
		}
	}
	if o.output == "json" {
		err = command.PrintValue(env.Streams.Out, "json", exam)
	} else {
		err = printExamination(env.Streams.Out, exam)
	}
	if err == nil && exam.count(LevelProblem) > 0 {
		err = fmt.Errorf("there are problems: %d", exam.count(LevelProblem))
	}
	return err
}

func (d *doctor) triggersIn(ctx context.Context, namespace, name string) ([]TriggerExam, error) {
	triggers, err := d.Triggers(ctx, namespace)
	if err != nil {
		return nil, err
	}
	entries, err := d.Verifications(ctx, namespace)
	if err != nil {
		return nil, err
	}
	exams := []TriggerExam{}
	var others []string
	for i := range triggers {
		t := &triggers[i]
		if name != "" && t.Name != name {
			others = append(others, t.Name)
			continue
		}
		exams = append(exams, TriggerExam{Namespace: t.Namespace, Name: t.Name, Findings: d.trigger(ctx, t, entriesOf(entries, t))})
	}
	if name != "" && len(exams) == 0 {
		there := "there is none at all"
		if len(others) > 0 {
			there = "there are " + strings.Join(others, ", ")
		}
		return nil, fmt.Errorf("there is no ImageTrigger %q %s; %s", name, command.Where(namespace), there)
	}
	return exams, nil
}

// entriesOf returns the entries of one incarnation of a trigger, newest push first.
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

// doctor examines a cluster.
type doctor struct {
	command.Cluster
	system string
	now    time.Time
}

func ok(check, format string, args ...any) Diagnosis {
	return Diagnosis{Level: LevelOK, Check: check, Message: fmt.Sprintf(format, args...)}
}

func warn(check, cure, format string, args ...any) Diagnosis {
	return Diagnosis{Level: LevelWarning, Check: check, Message: fmt.Sprintf(format, args...), Cure: cure}
}

func problem(check, cure, format string, args ...any) Diagnosis {
	return Diagnosis{Level: LevelProblem, Check: check, Message: fmt.Sprintf(format, args...), Cure: cure}
}

// printExamination prints findings under what they are of.
func printExamination(w io.Writer, exam Examination) error {
	var b strings.Builder
	printFindings(&b, "Installation", exam.Installation)
	for _, t := range exam.Triggers {
		b.WriteString("\n")
		printFindings(&b, fmt.Sprintf("ImageTrigger %s/%s", t.Namespace, t.Name), t.Findings)
	}
	fmt.Fprintf(&b, "\n%d ok, %d warnings, %d problems\n", exam.count(LevelOK), exam.count(LevelWarning), exam.count(LevelProblem))
	_, err := io.WriteString(w, b.String())
	return err
}

func printFindings(b *strings.Builder, title string, findings []Diagnosis) {
	fmt.Fprintln(b, command.Printable(title))
	for _, f := range findings {
		fmt.Fprintf(b, "  %-8s %-17s %s\n", f.Level, f.Check, command.Printable(command.OneLine(f.Message)))
		if f.Cure != "" {
			fmt.Fprintf(b, "  %-8s %-17s cure: %s\n", "", "", command.Printable(command.OneLine(f.Cure)))
		}
	}
}
