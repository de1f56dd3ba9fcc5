package intake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/recorder"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// The reasons for which a trigger of another namespace is put off: a retry of this process
// records for it, or the next sweep.
const (
	// OverBudget: its namespace's triggers made the receiver ask about too many accounts.
	OverBudget Reason = "OverBudget"
	// OutOfTime: its namespace's triggers took too long.
	OutOfTime Reason = "OutOfTime"
	// NotAnswered: what its account may see could not be asked.
	NotAnswered Reason = "NotAnswered"
)

// maxSpaces bounds how many other namespaces' triggers are served at once for one event.
const maxSpaces = 16

// spaceOf is what belongs to the triggers of one namespace, as one event serves them.
type spaceOf[T any] struct {
	namespace string
	of        []T
}

// bySpace groups what belongs to triggers by their namespaces. Its order is one by chance, so
// that no namespace is always the last.
func bySpace[T any](all []T, namespace func(T) string) []spaceOf[T] {
	groups := map[string][]T{}
	for _, one := range all {
		groups[namespace(one)] = append(groups[namespace(one)], one)
	}
	spaces := make([]spaceOf[T], 0, len(groups))
	for name, of := range groups {
		spaces = append(spaces, spaceOf[T]{name, of})
	}
	return spaces
}

// eachSpace serves namespaces beside each other, each within the time that is allotted to it.
// None begins after most of the event; serve then sees a context that has ended.
func eachSpace[T any](ctx context.Context, b allowance, spaces []spaceOf[T], most time.Duration, failed func(error), serve func(ctx context.Context, s spaceOf[T])) {
	all := ctx
	if b != (unbounded{}) {
		var cancel context.CancelFunc
		all, cancel = context.WithTimeout(ctx, most)
		defer cancel()
	}
	var running sync.WaitGroup
	slots := make(chan struct{}, maxSpaces)
	for _, s := range spaces {
		running.Go(func() {
			defer caught(failed)
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
			case <-all.Done():
			}
			ctx, end := b.begin(all, s.namespace, most)
			defer end()
			serve(ctx, s)
		})
	}
	running.Wait()
}

// allowance bounds how long a namespace's triggers may take.
type allowance interface {
	begin(ctx context.Context, namespace string, most time.Duration) (space context.Context, end func())
}

// unbounded is the allowance where there is no other namespace to wait.
type unbounded struct{}

func (unbounded) begin(ctx context.Context, _ string, _ time.Duration) (context.Context, func()) {
	return ctx, func() {}
}

// allowance returns what bounds the triggers of some namespaces that are served together.
func (i *Intake) allowance(spaces int) allowance {
	if spaces == 1 {
		return unbounded{}
	}
	return i.budgets
}

// serveOthers records for the triggers of other namespaces than the stream's.
func (i *Intake) serveOthers(ctx context.Context, object openshift.Object, state *openshift.StreamState, others []selected, asked *prefetch, c *tally) {
	spaces := bySpace(others, func(one selected) string { return one.trigger.Namespace })
	eachSpace(ctx, i.budgets, spaces, timeOfEvent, c.fail, func(space context.Context, s spaceOf[selected]) {
		if i.serveSpace(ctx, space, object, state, s.of, asked, c) {
			i.retries.add(retryKey{s.namespace, "stream " + object.Namespace + "/" + object.Name}, func(ctx context.Context) bool {
				return i.retryStream(ctx, s.namespace, object)
			})
		}
	})
}

// serveSpace records for the triggers of one namespace that is not the stream's. It returns
// whether some were put off. Space ends before ctx.
func (i *Intake) serveSpace(ctx, space context.Context, object openshift.Object, state *openshift.StreamState, of []selected, asked *prefetch, c *tally) (putOff bool) {
	off := func(f finding, reason Reason, err error) {
		putOff = true
		i.putOff(ctx, c, f.trigger, f.Pushes[0].Repository, reason, err)
	}
	questions := 0
	for _, one := range of {
		f := i.compare(one.trigger, state.Stream, one.tags)
		i.reportSkips(ctx, f.Skips)
		if len(f.Pushes) == 0 {
			continue
		}
		c.foundNews()
		if space.Err() != nil {
			off(f, OutOfTime, space.Err())
			continue
		}
		account := f.trigger.account()
		if !asked.has(account) && !i.knows(account, object) {
			if questions++; questions > maxQuestions || !i.budgets.ask(account.Namespace) {
				off(f, OverBudget, nil)
				continue
			}
		}
		allowed, err := asked.right(space, account).within(space)
		switch {
		case err != nil && ctx.Err() != nil:
			c.fail(err) // the request has ended
		case err != nil:
			off(f, NotAnswered, err)
		case !allowed:
			i.deny(ctx, f, object, c)
		default:
			mine := tally{kind: KindStream}
			i.record(space, f, func(p push.Push) recorder.Candidate { return i.streamCandidate(f.trigger, p, asked) }, &mine)
			if mine.failed != nil && space.Err() != nil && ctx.Err() == nil {
				off(f, OutOfTime, mine.failed)
				mine.failed = nil
			}
			c.add(&mine)
		}
	}
	return putOff
}

// knows reports whether what an account may see costs no question.
func (i *Intake) knows(account source.Account, object openshift.Object) bool {
	if i.Remembered == nil {
		return false
	}
	_, known := i.Remembered(account, object.Namespace, object.Name)
	return known
}

// hides reports whether it is known that an account may not get a stream.
func (i *Intake) hides(account source.Account, object openshift.Object) bool {
	if i.Remembered == nil {
		return false
	}
	allowed, known := i.Remembered(account, object.Namespace, object.Name)
	return known && !allowed
}

// putOff leaves a push to a retry for a trigger, and tells so: it counts each, and logs once a
// minute for each namespace.
func (i *Intake) putOff(ctx context.Context, c *tally, t *Trigger, r push.Repository, reason Reason, err error) {
	c.putOffOne()
	i.Metrics.Skip(ctx, string(reason))
	minute := i.Now().Unix() / 60
	if !i.reported.first(report{trigger: t.Namespace, reason: fmt.Sprintf("%s %d", reason, minute)}.key()) {
		return
	}
	i.Log.Warn("triggers of a namespace are put off, so that they hold up no other namespace's; they are tried again shortly, and the next sweep records what is left",
		zap.String("reason", string(reason)), zap.String("namespace", t.Namespace), zap.String("trigger", t.Name), zap.String("repository", r.Name), zap.Error(err))
}

// retryStream records once more for one namespace what a stream shows now. It returns whether
// something is left.
func (i *Intake) retryStream(ctx context.Context, namespace string, object openshift.Object) (left bool) {
	if !i.budgets.ask(namespace) {
		return true
	}
	state, err := i.Cluster.Stream(ctx, object.Namespace, object.Name)
	if err != nil || state == nil {
		return err != nil
	}
	found, err := i.find(ctx, object, state)
	if err != nil {
		return true
	}
	others, _ := found.others()
	mine := slices.DeleteFunc(others, func(one selected) bool { return one.trigger.Namespace != namespace })
	c := tally{kind: KindStream}
	left = i.serveSpace(ctx, ctx, object, state, mine, newPrefetch(i.Cluster, object), &c)
	return left || c.failed != nil
}
