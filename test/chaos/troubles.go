//go:build linux

package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

const (
	// lead is the part of the time of a break that pushes begin before it, and go on after it.
	lead = 10
	// listenTick is how often is read what trigger and entries say.
	listenTick = 200 * time.Millisecond
	// freshEntry is how old an entry has to be to be counted among those that wait: requests are given 2 s.
	freshEntry = 5 * time.Second
)

// trouble breaks and mends one thing after another while pushes happen.
func (w *env) trouble(ctx context.Context) (int, error) {
	names, err := parseCases(w.options.Cases)
	if err != nil {
		return 0, err
	}
	for n, name := range names {
		if err := w.troubleCase(ctx, n, name); err != nil {
			return n, fmt.Errorf("case %s: %w", name, err)
		}
	}
	return len(names), nil
}

func (w *env) troubleCase(ctx context.Context, n int, name string) error {
	pids := w.pids()
	length := w.options.brokenFor(name)
	before := len(w.pusher.acknowledged())
	pushed := make(chan error, 1)
	go func() {
		pushed <- w.pusher.all(ctx, steady(w.options.Shape, n*w.options.Shape.Pushes, length+2*length/lead))
	}()
	if !sleep(ctx, length/lead) {
		return ctx.Err()
	}
	result, err := w.broken(ctx, name, length)
	if err != nil {
		return err
	}
	mended := time.Now()
	if err := <-pushed; err != nil {
		return err
	}
	// The last push may be after the mending.
	result.digests = map[string]bool{}
	for _, a := range w.pusher.acknowledged()[before:] {
		result.digests[a.Digest] = true
	}
	if err := w.settleCase(ctx, &result, mended); err != nil {
		return err
	}
	result.Restarted = restarted(pids, w.pids())
	w.troubles = append(w.troubles, result)
	_, _ = fmt.Fprintf(w.options.Out, "seed %d: %s: broken for %.0f s, settled %.1f s after the mending\n", w.seed, name, result.Broken.Seconds(), result.Settle.Seconds())
	return nil
}

// broken breaks a thing, listens to what is said of it, and mends it.
func (w *env) broken(ctx context.Context, name string, length time.Duration) (TroubleResult, error) {
	w.timeline.note("fault", "begins: %s", name)
	began := time.Now()
	mend, err := w.breaks(ctx, name)
	if err != nil {
		return TroubleResult{}, err
	}
	reason := ""
	for _, c := range troubleCases {
		if c.name == name {
			reason = c.reason
		}
	}
	t := newTold(reason, began)
	for time.Since(began) < length {
		if _, err := w.listen(ctx, t); err != nil {
			return TroubleResult{}, err
		}
		if !sleep(ctx, listenTick) {
			return TroubleResult{}, ctx.Err()
		}
	}
	waiting, err := w.listen(ctx, t)
	if err != nil {
		return TroubleResult{}, err
	}
	t.ends(waiting)
	if err := mend(); err != nil {
		return TroubleResult{}, fmt.Errorf("mending: %w", err)
	}
	w.timeline.note("fault", "is over: %s", name)
	return TroubleResult{Case: name, Broken: time.Since(began), told: t}, nil
}

// listen reads what the trigger and the entries say, and returns what those say that have waited for long.
func (w *env) listen(ctx context.Context, t *told) (map[string]said, error) {
	trigger := &v1alpha1.ImageTrigger{}
	if err := w.admin.Get(ctx, client.ObjectKey{Namespace: vetting, Name: triggerName}, trigger); err != nil {
		return nil, err
	}
	var entries v1alpha1.ImageVerificationList
	if err := w.admin.List(ctx, &entries, client.InNamespace(vetting)); err != nil {
		return nil, err
	}
	now := time.Now()
	if ready := meta.FindStatusCondition(trigger.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Status == metav1.ConditionFalse {
		t.triggerSays(said{ready.Reason, ready.Message}, now)
	}
	waiting := map[string]said{}
	for _, e := range entries.Items {
		s := said{e.Status.Reason, e.Status.Message}
		switch e.Status.Phase {
		case v1alpha1.PhasePassed, v1alpha1.PhaseFailed, v1alpha1.PhaseError, v1alpha1.PhaseSkipped, v1alpha1.PhaseRunning:
			continue
		case v1alpha1.PhasePending, v1alpha1.PhaseRequested:
		}
		t.entrySays(e.Name, s, now)
		// An entry whose run failed waits for the time of its retry first, and says so.
		if now.Sub(e.CreationTimestamp.Time) > freshEntry && s.Reason != string(lifecycle.RetryScheduled) {
			waiting[e.Name] = s
		}
	}
	return waiting, nil
}

// settleCase waits until nothing of a case is under way, for as long as is allowed.
func (w *env) settleCase(ctx context.Context, r *TroubleResult, mended time.Time) error {
	for {
		looked := time.Now()
		o, err := w.gather(ctx, false)
		if err != nil {
			return err
		}
		r.Account = accountOf(o.of(r.digests))
		r.Settle, r.Settled = looked.Sub(mended), r.Account.Settled()
		if r.Settled || r.Settle > w.options.Limit {
			return nil
		}
		if !sleep(ctx, settlePoll) {
			return ctx.Err()
		}
	}
}

// recount takes the account of each case again at the end: a run may be doubled late.
func (w *env) recount(ctx context.Context) ([]TroubleResult, error) {
	if len(w.troubles) == 0 {
		return nil, nil
	}
	o, err := w.gather(ctx, false)
	for i := range w.troubles {
		w.troubles[i].Account = accountOf(o.of(w.troubles[i].digests))
	}
	return w.troubles, err
}

// pids are the processes of what is not to be restarted.
func (w *env) pids() map[string]int {
	all := map[string]int{}
	for _, p := range w.parts {
		if name := p.program.Name; strings.HasPrefix(name, "receiver-") || strings.HasPrefix(name, "controller-") || name == "adapter" {
			all[name] = p.pid()
		}
	}
	return all
}

// restarted names the programs whose process is another.
func restarted(before, after map[string]int) (names []string) {
	for name, pid := range before {
		if after[name] != pid {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
