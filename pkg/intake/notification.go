package intake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

// Endpoint is the registry that sent a notification.
type Endpoint struct {
	// Host is what the operator configured. Revet ignores what a notification says of its
	// own host.
	Host string
	// Allows reports whether triggers of a namespace may use the registry.
	Allows func(namespace string) bool
}

// Notification handles the hints of one notification. It looks at each tag, and again at
// those where the registry does not show yet what a hint claims.
func (i *Intake) Notification(ctx context.Context, from Endpoint, hints []webhook.Hint) Result {
	failpoint.Hit("intake.decoded")
	looks := latest(from, hints)
	for _, l := range looks {
		i.lookAt(ctx, from, l)
	}
	i.lookAgain(ctx, from, looks)
	result := Handled(KindRegistry, NothingNew)
	for n, l := range looks {
		if n == 0 {
			result = l.result
			continue
		}
		result = Combine(result, l.result)
	}
	return result
}

// place is one tag of a repository of a registry.
type place struct {
	repository image.Repository
	tag        string
}

func (p place) String() string { return p.repository.String() + ":" + p.tag }

// owner is the first part of the repository's path, with the host.
func (p place) owner() string {
	first, _, _ := strings.Cut(p.repository.Path(), "/")
	return p.repository.Host() + "/" + first
}

// shows is the tag as a stream of one item. A registry shows no times: a push gets the time
// when Revet saw it, and the ledger's sequence orders pushes.
func (i *Intake) shows(p place, digest string) push.Stream {
	return push.Stream{
		Repository: push.Repository{Kind: push.Registry, Name: p.repository.String()},
		Pull:       p.repository,
		Tags:       []push.Tag{{ClaimedName: p.tag, Items: []push.Item{{ClaimedDigest: digest, Created: i.Now()}}}},
	}
}

// hinted is a tag that a notification names, and what became of it so far.
type hinted struct {
	at      place
	claimed image.Digest
	result  Result
	// early are the namespaces of the triggers to which the registry does not show what is
	// claimed. Empty means that there is nothing to wait for.
	early []string
	// parties pay for waiting. They may take that many pauses, and spent says that one of
	// them waited in vain too often. Waited is what they waited.
	parties []party
	take    int
	spent   bool
	waited  time.Duration
}

// latest keeps the last hint for each tag: what the registry shows now is what counts.
func latest(from Endpoint, hints []webhook.Hint) []*hinted {
	type tagged struct{ path, tag string }
	of := map[tagged]*hinted{}
	var order []*hinted
	for _, h := range hints {
		t := tagged{h.ClaimedPath, h.Tag}
		if of[t] == nil {
			of[t] = &hinted{}
			order = append(order, of[t])
		}
		repository, err := h.Repository(from.Host)
		*of[t] = hinted{at: place{repository, h.Tag}, claimed: h.ClaimedDigest}
		if err != nil {
			of[t].result = Result{Status: Refused, Reason: Undecodable, Kind: KindRegistry, Err: err}
		}
	}
	return order
}

// lookAgain looks at the tags that came early until the registry shows them or patience
// ends. It holds no lock while it waits. All of a notification's tags wait together.
func (i *Intake) lookAgain(ctx context.Context, from Endpoint, looks []*hinted) {
	var early []*hinted
	for _, l := range looks {
		if len(l.early) > 0 {
			l.parties = l.costs()
			l.take, l.spent = i.patience.enter(l.parties)
			early = append(early, l)
		}
	}
	for n, pause := range pauses {
		waiting := slices.DeleteFunc(slices.Clone(early), func(l *hinted) bool { return n >= l.take || len(l.early) == 0 })
		if len(waiting) == 0 || i.Sleep(ctx, pause) != nil {
			break
		}
		for _, l := range waiting {
			l.waited += pause
			i.lookAt(ctx, from, l)
		}
	}
	for _, l := range early {
		if len(l.early) == 0 {
			i.patience.leave(l.parties, 0)
			i.patience.kept(claim{l.at, l.claimed})
			continue
		}
		vain := l.waited
		if l.spent {
			vain = 0 // everybody may take the short pauses, so they cost the others nothing
		}
		i.patience.leave(l.parties, vain)
		l.result = i.notShown(ctx, l)
	}
}

// costs returns who makes the receiver wait for the tag.
func (l *hinted) costs() []party {
	parties := []party{{registryHost, l.at.repository.Host()}, {repositoryOwner, l.at.owner()}}
	slices.Sort(l.early)
	for _, namespace := range slices.Compact(l.early) {
		parties = append(parties, party{triggerNamespace, namespace})
	}
	return parties
}

// notShown is the result for a tag that does not show what is claimed after all looks. The
// registry is asked to send the notification again, but not for ever: the tag may be deleted,
// or overwritten, or hidden from the account. The next sweep looks once more.
func (i *Intake) notShown(ctx context.Context, l *hinted) Result {
	if l.result.Status != Done || l.result.Recorded > 0 {
		return l.result
	}
	err := fmt.Errorf("registry %q does not show %s as %s yet", l.at.repository.Host(), l.at, claimedDigest(l.claimed))
	// A claim without a digest may be a repetition of what is there.
	certain := !l.claimed.IsZero() || l.result.Reason == Gone
	if certain && !l.spent && i.patience.repeat(claim{l.at, l.claimed}) {
		return Result{Status: Again, Reason: NotShown, Kind: KindRegistry, Err: err}
	}
	repository := i.shows(l.at, "").Repository
	if i.reported.first(report{repository: repository, tag: l.at.tag, digest: l.claimed, reason: string(NotShown)}.key()) {
		i.Metrics.Skip(ctx, string(NotShown))
		i.Log.Info("notification passed over: the registry does not show what it claims; the next sweep looks again",
			zap.String("reason", string(NotShown)), zap.String("repository", repository.Name), zap.String("tag", l.at.tag), zap.Error(err))
	}
	return Handled(KindRegistry, NotShown)
}

func claimedDigest(d image.Digest) string {
	if d.IsZero() {
		return "anything new"
	}
	return d.String()
}
