package intake

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/recorder"
	"github.com/revet-dev/revet/pkg/source"
)

// timeOfNotification is how long the triggers of one namespace may take of one notification,
// where others wait too: each reads the tag and a manifest.
const timeOfNotification = 5 * time.Second

// lookAt looks at a tag and records what is new there. It sets the result, and early for a
// tag that does not show yet what is claimed.
func (i *Intake) lookAt(ctx context.Context, from Endpoint, h *hinted) {
	h.early = nil
	if h.result.Status == Refused {
		return
	}
	recorded := h.result.Recorded
	h.result = i.lookNow(ctx, from, h)
	if h.result.Recorded += recorded; recorded > 0 && h.result.Status == Done {
		h.result.Reason = Recorded
	}
}

func (i *Intake) lookNow(ctx context.Context, from Endpoint, h *hinted) Result {
	interested, selected := i.interested(ctx, from, h.at, h.claimed)
	if len(interested) == 0 {
		return Handled(KindRegistry, passedOver(selected))
	}
	unlock, err := i.locks.lock(ctx, h.at.String())
	if err != nil {
		return again(KindRegistry, fmt.Errorf("waiting for another notification of %q: %w", h.at, err))
	}
	defer unlock()
	// Another notification may have recorded the same push since.
	if interested, selected = i.interested(ctx, from, h.at, h.claimed); len(interested) == 0 {
		return Handled(KindRegistry, passedOver(selected))
	}
	l := i.lookFor(ctx, h.at, h.claimed, interested)
	l.settle(ctx, from)
	h.early = l.early()
	return l.result()
}

// lookFor looks at a tag for each of the triggers: those of each namespace beside the others',
// within a time.
func (i *Intake) lookFor(ctx context.Context, at place, claimed image.Digest, triggers []*Trigger) *looks {
	all := newLooks(i, at, claimed)
	spaces := bySpace(triggers, func(t *Trigger) string { return t.Namespace })
	var mu sync.Mutex
	eachSpace(ctx, i.allowance(len(spaces)), spaces, timeOfNotification, all.tally.fail, func(space context.Context, s spaceOf[*Trigger]) {
		l := newLooks(i, at, claimed)
		l.serve(ctx, space, s.of)
		mu.Lock()
		defer mu.Unlock()
		all.add(l)
	})
	return all
}

// retryTag looks once more at a tag for one namespace. It returns whether something is left.
func (i *Intake) retryTag(ctx context.Context, from Endpoint, at place, claimed image.Digest, namespace string) (left bool) {
	interested, _ := i.interested(ctx, from, at, claimed)
	l := newLooks(i, at, claimed)
	l.serve(ctx, ctx, slices.DeleteFunc(interested, func(t *Trigger) bool { return t.Namespace != namespace }))
	return len(l.late) > 0 || l.tally.failed != nil
}

// interested returns the triggers that select the tag and for which the ledger does not
// cover the claimed digest. It uses caches only.
func (i *Intake) interested(ctx context.Context, from Endpoint, at place, claimed image.Digest) (interested []*Trigger, selected bool) {
	for _, t := range i.Triggers.ofHost(at.repository.Host()) {
		tags := t.selector.Repository(at.repository)
		if !tags.Admit(at.tag) {
			continue
		}
		if !from.Allows(t.Namespace) {
			i.reportTrigger(ctx, t, i.shows(at, "").Repository, string(source.NotAllowed), "trigger selects a registry that is not listed for its namespace",
				fmt.Errorf("add namespace %q to the entry of host %q in the ConfigMap config-registries", t.Namespace, from.Host))
			continue
		}
		selected = true
		if claimed.IsZero() || len(i.compare(t, i.shows(at, claimed.String()), tags).Pushes) > 0 {
			interested = append(interested, t)
		}
	}
	return interested, selected
}

func passedOver(selected bool) Reason {
	if selected {
		return NothingNew
	}
	return NotSelected
}

// looks is what a registry shows of a tag, to each account that is interested.
type looks struct {
	intake  *Intake
	at      place
	claimed image.Digest
	shown   map[source.Account]*look
	tally   tally
	// news: some account was shown something new.
	news bool
	// absent are the namespaces of triggers to which the tag, or its content, is not
	// shown; other are those of triggers to which it shows another digest than is claimed,
	// or nothing new where none is claimed.
	absent, other []string
	// late are the triggers for which the registry did not answer, or that cost too much.
	late []latecomer
}

// latecomer is a trigger that was not served, and why.
type latecomer struct {
	trigger *Trigger
	reason  Reason
	err     error
}

func newLooks(i *Intake, at place, claimed image.Digest) *looks {
	return &looks{intake: i, at: at, claimed: claimed, shown: map[source.Account]*look{}, tally: tally{kind: KindRegistry}}
}

// add adds what was seen for another namespace.
func (l *looks) add(other *looks) {
	maps.Copy(l.shown, other.shown)
	l.tally.add(&other.tally)
	l.news = l.news || other.news
	l.absent, l.other = append(l.absent, other.absent...), append(l.other, other.other...)
	l.late = append(l.late, other.late...)
}

// serve looks for the triggers of one namespace. Space ends before ctx. Each account costs the
// registry requests, and others time.
func (l *looks) serve(ctx, space context.Context, triggers []*Trigger) {
	for _, t := range triggers {
		account := t.account()
		switch {
		case space.Err() != nil && ctx.Err() == nil:
			l.late = append(l.late, latecomer{t, OutOfTime, space.Err()})
			continue
		case l.shown[account] == nil && len(l.shown) > 0 && (len(l.shown) >= maxQuestions || !l.intake.budgets.ask(t.Namespace)):
			l.late = append(l.late, latecomer{t, OverBudget, fmt.Errorf("triggers of namespace %q use too many accounts for one tag", t.Namespace)})
			continue
		}
		all := l.tally.failed
		l.tally.failed = nil
		l.actOn(space, t)
		if err := l.tally.failed; err != nil && space.Err() != nil && ctx.Err() == nil {
			l.late = append(l.late, latecomer{t, OutOfTime, err})
			l.tally.failed = nil
		}
		if l.tally.failed == nil {
			l.tally.failed = all
		}
	}
}

// settle says what becomes of those that were not served. If the registry showed the tag to
// somebody, they are put off: a repetition for their sake would hold up everybody who pushes
// there. If it did so to nobody, it is asked to send the notification again.
func (l *looks) settle(ctx context.Context, from Endpoint) {
	i, served := l.intake, false
	for _, shown := range l.shown {
		served = served || shown.err == nil
	}
	for _, late := range l.late {
		if !served {
			l.tally.fail(late.err)
			continue
		}
		i.putOff(ctx, &l.tally, late.trigger, i.shows(l.at, "").Repository, late.reason, late.err)
		namespace, at, claimed := late.trigger.Namespace, l.at, l.claimed
		i.retries.add(retryKey{namespace, "tag " + at.String()}, func(ctx context.Context) bool { return i.retryTag(ctx, from, at, claimed, namespace) })
	}
}

// look is what a registry shows one account.
type look struct {
	digest image.Digest
	err    error
	// content is read when something new would be recorded.
	content *content
}

type content struct {
	image.Content
	err error
}

func (l *looks) as(ctx context.Context, account source.Account) *look {
	if l.shown[account] == nil {
		i := l.intake
		ctx, cancel := context.WithTimeout(ctx, i.RegistryTimeout)
		defer cancel()
		i.Metrics.reread(ctx, v1alpha1.SourceWebhook)
		digest, err := i.Registry.Head(ctx, l.at.repository, l.at.tag, account)
		if err == nil && digest != l.claimed {
			// HEAD may lag behind. It is believed if the notification says the same.
			digest, err = i.Registry.Tagged(ctx, l.at.repository, l.at.tag, digest, account)
		}
		failpoint.Hit("intake.read")
		l.shown[account] = &look{digest: digest, err: err}
	}
	return l.shown[account]
}

// actOn records for one trigger what its account is shown.
func (l *looks) actOn(ctx context.Context, t *Trigger) {
	i, shown := l.intake, l.as(ctx, t.account())
	if shown.err != nil {
		l.failed(ctx, t, shown.err)
		return
	}
	f := i.compare(t, i.shows(l.at, shown.digest.String()), t.selector.Repository(l.at.repository))
	i.reportSkips(ctx, f.Skips)
	if len(f.Pushes) > 0 {
		l.news = true
		gone := l.tally.gone
		i.record(ctx, f, func(p push.Push) recorder.Candidate { return l.candidate(t, p, shown) }, &l.tally)
		if l.tally.gone > gone {
			l.absent = append(l.absent, t.Namespace)
		}
	}
	if shown.digest != l.claimed && (!l.claimed.IsZero() || len(f.Pushes) == 0) {
		l.other = append(l.other, t.Namespace)
	}
}

// candidate says how to find out what the tag's digest is. A digest in a header is only a
// claim until it is recomputed from the bytes.
func (l *looks) candidate(t *Trigger, p push.Push, shown *look) recorder.Candidate {
	return recorder.Candidate{
		Trigger: t.ImageTrigger, Push: p, Source: v1alpha1.SourceWebhook,
		Content: func(ctx context.Context) (image.Content, error) {
			if shown.content == nil {
				ctx, cancel := context.WithTimeout(ctx, l.intake.RegistryTimeout)
				defer cancel()
				shown.content = &content{}
				shown.content.Content, shown.content.err = l.intake.Registry.Content(ctx, p.Pull.At(p.Digest), t.account())
			}
			return shown.content.Content, shown.content.err
		},
	}
}

// failed handles a registry that did not answer, or refused.
func (l *looks) failed(ctx context.Context, t *Trigger, err error) {
	switch reason := source.ReasonOf(err); reason {
	case "":
		l.late = append(l.late, latecomer{t, NotAnswered, err})
	case source.NotFound:
		l.absent = append(l.absent, t.Namespace)
	default:
		l.tally.deny()
		l.intake.reportTrigger(ctx, t, l.intake.shows(l.at, "").Repository, string(reason), "registry cannot be read for the trigger", err)
	}
}

// early returns the namespaces of the triggers to wait for. Nobody waits for an account that
// is not shown a tag which another account is shown as claimed.
func (l *looks) early() []string {
	if l.tally.gone > 0 {
		return l.absent // its digest shows, and its content does not yet
	}
	for _, shown := range l.shown {
		if shown.err == nil && shown.digest == l.claimed {
			return nil
		}
	}
	return append(l.absent, l.other...)
}

func (l *looks) result() Result {
	switch {
	case l.tally.failed == nil && len(l.absent) > 0 && l.tally.recorded == 0:
		return Handled(KindRegistry, Gone)
	case !l.news && l.tally.failed == nil && l.tally.denied == 0 && l.tally.late == 0:
		return Handled(KindRegistry, NothingNew)
	default:
		return l.tally.result()
	}
}
