package intake

import (
	"context"
	"fmt"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

// Endpoint is the registry that a notification came from.
type Endpoint struct {
	// Host is what the operator configured; what a notification says of its own
	// host is not asked.
	Host string
	// Allows reports whether triggers of a namespace may use the registry.
	Allows func(namespace string) bool
}

// Notification handles the hints of one notification.
func (i *Intake) Notification(ctx context.Context, from Endpoint, hints []webhook.Hint) Result {
	failpoint.Hit("intake.decoded")
	// A client that pushes a tag again and again is told of once, the latest:
	// what counts is what the registry shows now.
	type tagged struct{ path, tag string }
	latest := map[tagged]webhook.Hint{}
	var order []tagged
	for _, h := range hints {
		t := tagged{h.ClaimedPath, h.Tag}
		if _, ok := latest[t]; !ok {
			order = append(order, t)
		}
		latest[t] = h
	}
	result := Handled(KindRegistry, NothingNew)
	for n, t := range order {
		r := i.hint(ctx, from, latest[t])
		if n == 0 {
			result = r
			continue
		}
		result = Combine(result, r)
	}
	return result
}

// place is one tag of a repository of a registry.
type place struct {
	repository image.Repository
	tag        string
}

func (p place) String() string { return p.repository.String() + ":" + p.tag }

// shows is the tag as a stream of one item. A registry shows no times: a push
// is dated when it is seen, and ordered by the ledger's sequence.
func (i *Intake) shows(p place, digest string) push.Stream {
	return push.Stream{
		Repository: push.Repository{Kind: push.Registry, Name: p.repository.String()},
		Pull:       p.repository,
		Tags:       []push.Tag{{ClaimedName: p.tag, Items: []push.Item{{ClaimedDigest: digest, Created: i.Now()}}}},
	}
}

func (i *Intake) hint(ctx context.Context, from Endpoint, h webhook.Hint) Result {
	repository, err := h.Repository(from.Host)
	if err != nil {
		return Result{Status: Refused, Reason: Undecodable, Kind: KindRegistry, Err: err}
	}
	at := place{repository, h.Tag}
	interested, selected := i.interested(ctx, from, at, h.ClaimedDigest)
	if len(interested) == 0 {
		return Handled(KindRegistry, passedOver(selected))
	}
	unlock, err := i.locks.lock(ctx, at.String())
	if err != nil {
		return again(KindRegistry, fmt.Errorf("waiting for another notification of %q: %w", at, err))
	}
	defer unlock()
	// Another notification may have recorded just this since it was looked at.
	if interested, selected = i.interested(ctx, from, at, h.ClaimedDigest); len(interested) == 0 {
		return Handled(KindRegistry, passedOver(selected))
	}
	c := tally{kind: KindRegistry}
	news := false
	looks := map[source.Account]*look{}
	for _, t := range interested {
		as := t.account()
		if looks[as] == nil {
			looks[as] = i.look(ctx, at, as)
		}
		news = i.actOn(ctx, t, at, looks[as], &c) || news
	}
	if !news && c.failed == nil && c.denied == 0 {
		return Handled(KindRegistry, NothingNew)
	}
	return c.result()
}

func passedOver(selected bool) Reason {
	if selected {
		return NothingNew
	}
	return NotSelected
}

// interested returns the triggers that select the tag and that the ledger does
// not show to know the claimed digest already.
func (i *Intake) interested(ctx context.Context, from Endpoint, at place, claimed image.Digest) (interested []*Trigger, selected bool) {
	for _, t := range i.Triggers.snapshot().triggers {
		tags := t.selector.Repository(at.repository)
		if !tags.Admit(at.tag) {
			continue
		}
		if !from.Allows(t.Namespace) {
			i.tellTrigger(ctx, t, i.shows(at, "").Repository, string(source.NotAllowed), "trigger selects a registry that is not listed for its namespace",
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

// look is what a registry shows an account of a tag.
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

func (i *Intake) look(ctx context.Context, at place, as source.Account) *look {
	ctx, cancel := context.WithTimeout(ctx, i.RegistryTimeout)
	defer cancel()
	i.Metrics.reread(ctx, v1alpha1.SourceWebhook)
	digest, err := i.Registry.Head(ctx, at.repository, at.tag, as)
	failpoint.Hit("intake.read")
	return &look{digest: digest, err: err}
}

// read gets the manifest: a digest in a header is only a claim until it is
// recomputed from the bytes.
func (i *Intake) read(ctx context.Context, at place, as source.Account, l *look) *content {
	if l.content == nil {
		ctx, cancel := context.WithTimeout(ctx, i.RegistryTimeout)
		defer cancel()
		l.content = &content{}
		l.content.Content, l.content.err = i.Registry.Content(ctx, at.repository.At(l.digest), as)
	}
	return l.content
}

// actOn records for one trigger what its account was shown. It tells whether
// there was anything new.
func (i *Intake) actOn(ctx context.Context, t *Trigger, at place, l *look, c *tally) bool {
	if !i.readable(ctx, t, at, l.err, c) {
		return false
	}
	f := i.compare(t, i.shows(at, l.digest.String()), t.selector.Repository(at.repository))
	i.tellSkips(ctx, f.Skips)
	if len(f.Pushes) == 0 {
		return false
	}
	read := i.read(ctx, at, t.account(), l)
	switch reason := source.ReasonOf(read.err); {
	case reason == source.NotFound, reason == "" && read.err != nil:
		return i.readable(ctx, t, at, read.err, c)
	case reason != "":
		i.tellUnknown(t, f.Pushes[0], string(reason), read.err)
	}
	i.record(ctx, f, func(_ *Trigger, p push.Push) (seen, error) {
		return seen{exempt: i.exempt.Exempt(p.Digest, read.Content)}, nil
	}, v1alpha1.SourceWebhook, c)
	return true
}

// readable tells of a registry that did not answer, or refused.
func (i *Intake) readable(ctx context.Context, t *Trigger, at place, err error, c *tally) bool {
	switch reason := source.ReasonOf(err); reason {
	case "":
		if err != nil {
			c.fail(err)
		}
		return err == nil
	case source.NotFound:
		return false // deleted since: nothing is there to verify
	default:
		c.deny()
		i.tellTrigger(ctx, t, i.shows(at, "").Repository, string(reason), "registry cannot be read for the trigger", err)
		return false
	}
}
