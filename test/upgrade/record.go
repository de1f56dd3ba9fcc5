//go:build linux

package upgrade

import (
	"context"
	"errors"
	"fmt"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
)

// minEntries is how many entries a recording must have.
const minEntries = 50

// wanted is how many entries of each phase a recording must have at least.
var wanted = map[v1alpha1.Phase]int{
	v1alpha1.PhasePending: 6, v1alpha1.PhaseRequested: 5, v1alpha1.PhaseRunning: 10, v1alpha1.PhasePassed: 8,
	v1alpha1.PhaseFailed: 6, v1alpha1.PhaseError: 3, v1alpha1.PhaseSkipped: 2,
}

// Record plays pushes against the programs of the version in root until entries of every phase
// exist, kills the programs, and returns what etcd holds.
func Record(ctx context.Context, root, dir string) (content []Pair, err error) {
	e, err := NewEnv(ctx, root, dir, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Stop()) }() //nolint:contextcheck // what stops has to outlive ctx
	if err := e.Install(ctx); err != nil {
		return nil, err
	}
	listener, err := StartListeners(ctx, e.Admin, true)
	if err != nil {
		return nil, err
	}
	defer listener.Stop()
	if err := e.StartPrograms(ctx); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{e.finished, e.underWay, e.queued} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, e.Logs())
		}
	}
	e.Kill()
	if err := e.unhandled(ctx); err != nil {
		return nil, err
	}
	if err := e.complete(ctx); err != nil {
		return nil, err
	}
	return Dump(ctx, e.Cluster.Etcd())
}

// pushAll pushes to a number of streams and tells the receiver.
func (e *Env) pushAll(ctx context.Context, prefix string, number int) error {
	for n := range number {
		name := fmt.Sprintf("%s-%d", prefix, n)
		if err := e.Push(ctx, name, "v1"); err != nil {
			return err
		}
		if err := e.Send(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// finished leaves entries whose verdict is recorded, and entries that a later push superseded before
// their turn came. Runs that failed for want of
// infrastructure are to be repeated.
func (e *Env) finished(ctx context.Context) error {
	for range 5 {
		if err := e.pushAll(ctx, "skipped", 1); err != nil {
			return err
		}
	}
	all := 0
	for prefix, number := range map[string]int{"app-pass": 10, "app-fail": 8, "app-loose": 4, "app-error": 2} {
		if err := e.pushAll(ctx, prefix, number); err != nil {
			return err
		}
		if prefix != "app-error" {
			all += number
		}
	}
	return rig.Await(ctx, poll, startPatience, "the first runs end", func() error {
		if err := e.EndRuns(ctx); err != nil {
			return err
		}
		count, err := e.phases(ctx)
		if ended := count[v1alpha1.PhasePassed] + count[v1alpha1.PhaseFailed] + count[v1alpha1.PhaseError]; err == nil && ended < all || count[v1alpha1.PhaseSkipped] < wanted[v1alpha1.PhaseSkipped] {
			err = fmt.Errorf("the phases are %v", count)
		}
		return err
	})
}

// underWay leaves runs that have not ended, and a second push to a tag whose first was verified.
func (e *Env) underWay(ctx context.Context) error {
	if err := e.Push(ctx, "app-pass-0", "v1"); err != nil {
		return err
	}
	if err := e.Send(ctx, "app-pass-0"); err != nil {
		return err
	}
	return e.pushAll(ctx, "app-run", 8)
}

// queued leaves entries that wait for a slot, and entries whose request got lost.
func (e *Env) queued(ctx context.Context) error {
	if err := e.pushAll(ctx, "narrow", 8); err != nil {
		return err
	}
	if err := e.pushAll(ctx, "deaf", 6); err != nil {
		return err
	}
	return rig.Await(ctx, poll, startPatience, "every phase is there", func() error { return e.complete(ctx) })
}

// unhandled leaves what happened while nobody looked: requests of people, and pushes.
func (e *Env) unhandled(ctx context.Context) error {
	for _, name := range []string{"app-pass-1", "app-fail-1"} {
		if out, err := e.Kubectl(ctx, "replay", Namespace+"/"+name+":v1", "-n", Namespace); err != nil {
			return fmt.Errorf("asking for another run of %s: %w: %s", name, err, out)
		}
	}
	for n := range 2 {
		if err := e.Push(ctx, fmt.Sprintf("app-unseen-%d", n), "v1"); err != nil {
			return err
		}
	}
	return nil
}

// complete says what a recording still lacks.
func (e *Env) complete(ctx context.Context) error {
	count, err := e.phases(ctx)
	if err != nil {
		return err
	}
	all := 0
	for phase, number := range wanted {
		all += count[phase]
		if count[phase] < number {
			return fmt.Errorf("the phases are %v, want %v", count, wanted)
		}
	}
	if all < minEntries {
		return fmt.Errorf("%d entries, want %d", all, minEntries)
	}
	return nil
}

// Entries reads the ledger.
func (e *Env) Entries(ctx context.Context) ([]v1alpha1.ImageVerification, error) {
	var list v1alpha1.ImageVerificationList
	err := e.Admin.List(ctx, &list, client.InNamespace(Namespace))
	return list.Items, err
}

// Runs reads the PipelineRuns.
func (e *Env) Runs(ctx context.Context) ([]pipelinev1.PipelineRun, error) {
	var list pipelinev1.PipelineRunList
	err := e.Admin.List(ctx, &list, client.InNamespace(Namespace))
	return list.Items, err
}

func (e *Env) phases(ctx context.Context) (map[v1alpha1.Phase]int, error) {
	entries, err := e.Entries(ctx)
	count := map[v1alpha1.Phase]int{}
	for i := range entries {
		phase := entries[i].Status.Phase
		if phase == "" {
			phase = v1alpha1.PhasePending
		}
		count[phase]++
	}
	return count, err
}

// EndRuns ends all runs that have not ended, each as its stream's name says.
func (e *Env) EndRuns(ctx context.Context) error {
	return e.EndRunsWith(ctx, func(_, verdict string) string { return verdict })
}

// EndRunsWith is EndRuns for a caller that chooses some verdicts itself.
func (e *Env) EndRunsWith(ctx context.Context, choose func(stream, verdict string) string) error {
	entries, err := e.Entries(ctx)
	if err != nil {
		return err
	}
	streams := map[string]string{}
	for i := range entries {
		streams[string(entries[i].UID)] = nameOf(&entries[i])
	}
	runs, err := e.Runs(ctx)
	if err != nil {
		return err
	}
	for i := range runs {
		run := &runs[i]
		stream, known := streams[run.Annotations[v1alpha1.EntryUIDAnnotation]]
		if run.Status.CompletionTime != nil || !known {
			continue
		}
		verdict, class := verdictOf(stream)
		if err := End(ctx, e.Admin, run, choose(stream, verdict), class); err != nil {
			return err
		}
	}
	return nil
}
