//go:build linux

package chaos

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// gateLedger writes the entries of a script as the controllers do when runs begin and end: by
// the same functions, and under their account.
type gateLedger struct {
	client   client.Client
	book     *gateBook
	clock    *leadClock
	timeline *timeline
	began    time.Time
	// uids are those of the triggers, by name.
	uids map[string]string
}

const (
	writeTimeout = 10 * time.Second
	writeAgain   = 200 * time.Millisecond
)

// all makes the turns of all entries, each entry's one after another, and returns when the last
// is written or the context ends.
func (l *gateLedger) all(ctx context.Context, s *gateScript) error {
	var entries sync.WaitGroup
	for _, e := range s.entries {
		entries.Go(func() { l.entry(ctx, e) })
	}
	entries.Wait()
	return ctx.Err()
}

func (l *gateLedger) entry(ctx context.Context, e *gateEntry) {
	for n, t := range e.turns {
		if !sleep(ctx, time.Until(l.began.Add(t.at))) {
			return
		}
		create := func(ctx context.Context) error { return l.create(ctx, e, t) }
		if n == 0 && !l.again(ctx, "creating "+e.name, create) {
			return
		}
		if !l.turn(ctx, e, t, fmt.Sprintf("%s-%d", e.name, n+1)) {
			return
		}
	}
}

// again repeats a write until the API server confirms it.
func (l *gateLedger) again(ctx context.Context, what string, write func(context.Context) error) bool {
	for {
		bounded, cancel := context.WithTimeout(ctx, writeTimeout)
		err := write(bounded)
		cancel()
		if err == nil {
			return true
		}
		if !apierrors.IsConflict(err) {
			l.timeline.note("ledger", "%s: again after: %v", what, err)
		}
		if !sleep(ctx, writeAgain) {
			return false
		}
	}
}

// push is the record of a push of the script. Their numbers order them, whenever they are written.
func (l *gateLedger) push(e *gateEntry, number int) v1alpha1.PushRecord {
	at := l.began.Add(-2 * time.Hour).Truncate(time.Second).Add(time.Duration(number) * time.Second)
	return v1alpha1.PushRecord{
		Tag: e.tag, PushedAt: metav1.NewTime(at), ObservedAt: metav1.NewMicroTime(at), Source: v1alpha1.SourceEvent,
	}
}

func (l *gateLedger) create(ctx context.Context, e *gateEntry, t gateTurn) error {
	err := l.client.Create(ctx, &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: gateNamespace(e.trigger), Name: e.name},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: e.trigger, UID: l.uids[e.trigger]},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: e.repository, Pull: e.repository},
			Digest:     e.digest, FirstPush: l.push(e, t.push),
		},
	})
	if apierrors.IsAlreadyExists(err) {
		return nil // the answer to an earlier try was lost
	}
	return err
}

// turn begins a run and ends it. It says no if the context ended.
func (l *gateLedger) turn(ctx context.Context, e *gateEntry, t gateTurn, run string) bool {
	what := fmt.Sprintf("%s of %s", e.name, e.trigger)
	begin := func(ctx context.Context) error {
		return l.change(ctx, e, func(s *v1alpha1.ImageVerificationStatus) { l.begin(s, e, t, run) })
	}
	if !l.again(ctx, what+" begins", begin) || !sleep(ctx, t.length) {
		return false
	}
	at := time.Now().Add(-t.age).Truncate(time.Second)
	l.book.begins(e, t, at)
	end := func(ctx context.Context) error {
		return l.change(ctx, e, func(s *v1alpha1.ImageVerificationStatus) { l.end(s, e, t, run, at) })
	}
	if !l.again(ctx, what+" ends", end) {
		return false
	}
	l.book.written(e, t, l.clock.now())
	l.timeline.note("verdict", "%s: %s%s%s for %s", what, t.outcome, t.flaw, ageOf(t), e.digest)
	return true
}

func ageOf(t gateTurn) string {
	if t.age == 0 {
		return ""
	}
	return " " + t.age.String() + " old"
}

// change reads an entry and writes its status.
func (l *gateLedger) change(ctx context.Context, e *gateEntry, change func(*v1alpha1.ImageVerificationStatus)) error {
	var entry v1alpha1.ImageVerification
	key := client.ObjectKey{Namespace: gateNamespace(e.trigger), Name: e.name}
	if err := l.client.Get(ctx, key, &entry); err != nil {
		return err
	}
	change(&entry.Status)
	return l.client.Status().Update(ctx, &entry)
}

// begin begins a run, if that was not written already, for what was pushed.
func (l *gateLedger) begin(s *v1alpha1.ImageVerificationStatus, e *gateEntry, t gateTurn, run string) {
	if last := s.LatestRun(); last != nil && last.Name == run {
		return
	}
	if t.push != 0 {
		s.Tags = []v1alpha1.TagStatus{{PushRecord: l.push(e, t.push)}}
	}
	if len(e.children) > 0 {
		s.Image = &v1alpha1.ImageFacts{Children: e.children}
	}
	lifecycle.RecordBegin(s, v1alpha1.RunStatus{
		Name: run, Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: run},
		Sandbox: v1alpha1.SandboxStatus{Requested: runtimeClass},
	}, time.Now())
}

// end ends the run, unless that was written already. A controller may have ended it, as there
// is no such PipelineRun: then the run is one more.
func (l *gateLedger) end(s *v1alpha1.ImageVerificationStatus, e *gateEntry, t gateTurn, run string, at time.Time) {
	if s.CurrentRun() == nil {
		if last := s.LatestRun(); last.Name == run && last.Outcome == t.outcome && last.Reason == string(reasonOf(t)) {
			return
		}
		cause := v1alpha1.Cause{Type: v1alpha1.CausePush, Key: run}
		lifecycle.RecordBegin(s, v1alpha1.RunStatus{Name: run, Cause: cause}, time.Now())
	}
	pr := lifecycle.PipelineRun{Name: run, Finished: at}
	lifecycle.RecordOutcome(s, pr, outcomeOf(e, t), time.Now())
}

// reasonOf is of a kind that no repetition follows.
func reasonOf(t gateTurn) lifecycle.Reason {
	switch t.outcome {
	case v1alpha1.OutcomePass:
		return lifecycle.Passed
	case v1alpha1.OutcomeFail:
		return lifecycle.Failed
	default:
		return lifecycle.Unconfirmed
	}
}

// outcomeOf is what the run tells.
func outcomeOf(e *gateEntry, t gateTurn) lifecycle.Outcome {
	o := lifecycle.Outcome{
		Outcome: t.outcome, Reason: reasonOf(t), Digest: e.digest,
		Basis:   v1alpha1.Verdict{Checks: []string{gateCheck, "validate"}, Platforms: []string{gatePlatform}},
		Sandbox: v1alpha1.SandboxStatus{Requested: runtimeClass, Observed: []string{runtimeClass}},
	}
	if len(e.children) > 0 {
		o.Basis.Platforms = append(o.Basis.Platforms, gateOther)
	}
	switch t.flaw {
	case otherPlatform:
		o.Basis.Platforms = []string{gateOther}
	case notSandboxed:
		o.Sandbox.Observed = []string{""}
	case checkOff:
		o.Basis.Off, o.Basis.Checks = []string{gateCheck}, slices.Clone(o.Basis.Checks[1:])
	}
	return o
}
