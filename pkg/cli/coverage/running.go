package coverage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/running"
)

const longRunning = `

With --running, the command lists all Pods instead, and says what runs in the namespaces
of each ImageGate, or of the one that is named, judged by the gate's own rules over the
whole ledger as it is now. A Pod counts as the worst of its images:
  VERIFIED     each was verified, as the gate requires, or is exempt
  EXPIRED      a verdict is older than maxAge
  FAILED       a trusted trigger failed an image
  UNKNOWN      there is no verdict that counts, or no digest
  EXEMPT       the gate exempts all of them
  BREAK-GLASS  it asked to start without a verdict, and needs to
The line (none) is for the namespaces that no gate gates: those that no selector selects,
and those that the operator excludes. Its Pods are judged by whether any trigger that some
gate trusts passed their images, and none failed them; if there is no gate, by all
triggers. The first 20 Pods of each line that are not verified are listed below.
--running needs to read the whole cluster. The exit status is 1 if anything that runs is
not verified, or that is not known.`

const exampleRunning = `

  # What runs unverified, here and where no gate is
  kubectl revet coverage --running`

// RunningReport is what runs behind one gate, or behind none.
type RunningReport struct {
	// Gate is empty for the namespaces that no gate gates.
	Gate string            `json:"gate"`
	Mode v1alpha1.GateMode `json:"mode,omitempty"`
	// State is Verified, Unverified or NotKnown.
	State RunningState `json:"state"`
	// Why says why it is not known.
	Why     string                 `json:"why,omitempty"`
	Running v1alpha1.RunningStatus `json:"running"`
}

// RunningState sums up what runs. The zero value is not known.
type RunningState string

// The states of what runs.
const (
	RunningNotKnown   RunningState = "NotKnown"
	RunningVerified   RunningState = "Verified"
	RunningUnverified RunningState = "Unverified"
)

// runRunning gives errors a status of their own: 1 says that something unverified runs.
func (o *coverageOptions) runRunning(ctx context.Context, env command.Environment) error {
	if o.verify {
		return command.Usagef("--running reads what runs, and takes neither --verify nor --artefacts")
	}
	if o.cluster.AllNamespaces || *o.cluster.Config.Namespace != "" {
		return command.Usagef("--running is about the whole cluster, and takes neither -n nor -A; name an ImageGate to see its namespaces only")
	}
	reports, err := o.readRunning(ctx, env)
	if err == nil {
		if o.output == "table" {
			err = printRunning(env.Streams.Out, reports)
		} else {
			err = command.PrintValue(env.Streams.Out, o.output, reports)
		}
	}
	if err != nil {
		return &command.StatusError{Status: command.ExitUsage, Err: err}
	}
	return unverified(reports)
}

func (o *coverageOptions) readRunning(ctx context.Context, env command.Environment) ([]RunningReport, error) {
	cl, err := env.Connect(o.cluster)
	if err != nil {
		return nil, err
	}
	f, err := readFacts(ctx, cl, o.systemNamespace, env.Now())
	if err != nil {
		return nil, err
	}
	reports, views, err := f.sort(o.name)
	if err != nil {
		return nil, err
	}
	censuses, err := running.Count(ctx, cl, views, func() time.Time { return env.Now() })
	if err != nil {
		return nil, runningError("reading what runs", err)
	}
	next := 0
	for i := range reports {
		if reports[i].Why != "" {
			continue
		}
		reports[i].Running = censuses[next].Status()
		reports[i].State = RunningVerified
		if reports[i].Running.Unverified > 0 {
			reports[i].State = RunningUnverified
		}
		next++
	}
	return reports, nil
}

// sort makes a report for each gate, and a view for those whose spec can be followed, in the
// same order. Unless one gate is asked for, the namespaces that no gate gates come last.
func (f *facts) sort(only string) (reports []RunningReport, views []running.Gate, err error) {
	var names []string
	var gated []func(namespace string) bool
	for i := range f.gates {
		g := &f.gates[i]
		names = append(names, g.Name)
		if selects, err := f.selects(g); err == nil {
			gated = append(gated, selects)
		}
		if only != "" && g.Name != only {
			continue
		}
		r := RunningReport{Gate: g.Name, Mode: g.Status.Mode, State: RunningNotKnown}
		if view, err := f.view(g); err != nil {
			r.Why = "the gate's spec cannot be followed: " + err.Error()
		} else {
			views = append(views, view)
		}
		reports = append(reports, r)
	}
	if only != "" {
		if len(reports) == 0 {
			return nil, nil, fmt.Errorf("there is no ImageGate %q; there are: %s", only, strings.Join(names, ", "))
		}
		return reports, views, nil
	}
	view, err := f.view(f.ungated())
	if err != nil {
		return nil, nil, err
	}
	view.Selects = func(namespace string) bool {
		for _, gates := range gated {
			if gates(namespace) {
				return false
			}
		}
		return true
	}
	return append(reports, RunningReport{State: RunningNotKnown}), append(views, view), nil
}

// unverified says in one sentence what keeps all that runs from being verified.
func unverified(reports []RunningReport) error {
	var pods, bad int64
	unknown := 0
	for i := range reports {
		pods += reports[i].Running.Pods
		bad += reports[i].Running.Unverified
		if reports[i].State != RunningVerified && reports[i].State != RunningUnverified {
			unknown++
		}
	}
	var parts []string
	if bad > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d Pods that run are not verified", bad, pods))
	}
	if unknown > 0 {
		parts = append(parts, fmt.Sprintf("what runs behind %d of the gates is not known", unknown))
	}
	if len(parts) == 0 {
		return nil
	}
	return &command.StatusError{Status: command.ExitError, Err: errors.New(strings.Join(parts, "; "))}
}
