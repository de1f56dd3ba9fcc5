package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
)

const (
	// maxMessage bounds the message of each.
	maxMessage = 1024
	// maxNamed is how many namespaces a message names.
	maxNamed = 3
)

// tally adds up what one part of a sweep did. It is safe for concurrent use.
type tally struct {
	account source.Account

	mu           sync.Mutex
	repositories map[string]struct{}
	places       map[string]shown
	// listed and counted are the same of a registry, whose lists show each place once: as
	// many names as a registry makes up need not be kept.
	listed  int
	counted shown
	// hidden are the ImageStreams that the account may not get.
	hidden    map[string]struct{}
	recovered int32
	notBefore time.Time
	// troubles are in the order in which the sweep met them, once for each kind.
	troubles  []trouble
	baselines []string
}

// trouble is what a sweep could not do, for one reason.
type trouble struct {
	// reason is the condition's, and kind the one that tells registries' refusals apart.
	reason, kind string
	err          error
	retry        bool
	count        int
	// found: the sweep saw a push and could not record it. That is a gap, and known.
	found bool
}

func (t *tally) saw(repository string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.repositories == nil {
		t.repositories = map[string]struct{}{}
	}
	t.repositories[repository] = struct{}{}
}

// sawListed is saw for a repository that no one else counts.
func (t *tally) sawListed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.listed++
}

// count is show for a place that is shown once.
func (t *tally) count(s shown) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted.add(s)
}

// sawNone reports whether the selectors admitted nothing yet.
func (t *tally) sawNone() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.repositories) == 0
}

// hide notes an ImageStream, as namespace/name, that the account may not get.
func (t *tally) hide(stream string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hidden == nil {
		t.hidden = map[string]struct{}{}
	}
	t.hidden[stream] = struct{}{}
}

// hides returns how many ImageStreams are known to be hidden.
func (t *tally) hides() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.hidden)
}

// shown is what one stream, one push of it, or one tag of a registry shows. Unread is
// the part of the gap that may be exempt, and could not be read.
type shown struct{ pushes, gap, unread, artefacts int32 }

func (s *shown) add(more shown) {
	s.pushes += more.pushes
	s.gap += more.gap
	s.unread += more.unread
	s.artefacts += more.artefacts
}

// notRead is what pushes count for that could not be read.
func notRead(pushes int) shown {
	n := count(pushes)
	return shown{pushes: n, gap: n, unread: n}
}

// show sets what a place shows. A list that begins again shows it twice, and the
// later look counts.
func (t *tally) show(place string, s shown) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.places == nil {
		t.places = map[string]shown{}
	}
	t.places[place] = s
}

func (t *tally) recorded() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recovered++
}

// fail counts what could not be recorded or seen.
func (t *tally) fail(reason string, err error, retry bool) {
	found := reason == RecordFailed || reason == NotRecordable
	t.note(trouble{reason: reason, kind: reason, err: err, retry: retry, found: found})
}

// failed counts what could not be seen, for the reason that the error itself tells.
func (t *tally) failed(err error) {
	reason := source.ReasonOf(err)
	var later *source.RetryAfterError
	switch {
	case reason == source.DigestUnsupported:
		t.fail(DigestUnsupported, err, false)
	case reason != "":
		t.note(trouble{reason: RegistryNotSwept, kind: string(reason), err: err})
	case errors.As(err, &later):
		t.fail(RegistryPutOff, err, true)
		t.mu.Lock()
		defer t.mu.Unlock()
		if later.Until.After(t.notBefore) {
			t.notBefore = later.Until
		}
	case errors.Is(err, context.DeadlineExceeded):
		t.note(trouble{reason: ReadFailed, kind: TimedOut, err: err, retry: true})
	default:
		t.fail(ReadFailed, err, true)
	}
}

// putOff notes that something was not done, and when it may be.
func (t *tally) putOff(why string, until time.Time) {
	t.fail(SweepPutOff, fmt.Errorf("%s, so those of other namespaces go first; it is swept again from %s on",
		why, until.UTC().Format(time.RFC3339)), true)
	t.mu.Lock()
	defer t.mu.Unlock()
	if until.After(t.notBefore) {
		t.notBefore = until
	}
}

// skipped counts an item of a stream that could not be read.
func (t *tally) skipped(s push.Skip) {
	if s.Reason == push.InvalidDigest || s.Reason == push.DigestUnsupported {
		t.fail(DigestUnsupported, fmt.Errorf("tag %q of ImageStream %q shows a digest that is not sha256, which Revet does not support",
			s.Tag, s.Repository.Name), false)
		return
	}
	t.fail(ItemNotReadable, fmt.Errorf("tag %q of ImageStream %q shows an item without a time", s.Tag, s.Repository.Name), false)
}

func (t *tally) note(met trouble) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.troubles {
		if have := &t.troubles[i]; have.kind == met.kind {
			have.count++
			have.retry = have.retry || met.retry
			return
		}
	}
	met.count = 1
	t.troubles = append(t.troubles, met)
}

// complete reports whether the part could do everything.
func (t *tally) complete() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.troubles) == 0
}

func (t *tally) result() Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.counted
	for _, s := range t.places {
		all.add(s)
	}
	r := Result{
		Repositories: count(len(t.repositories) + t.listed), Recovered: t.recovered, NotBefore: t.notBefore, Baselines: t.baselines,
		Pushes: all.pushes, Gap: all.gap, Unread: all.unread, Artefacts: all.artefacts,
	}
	troubles := t.troubles
	if len(t.hidden) > 0 {
		troubles = append(slices.Clone(troubles), trouble{reason: StreamsNotVisible, kind: StreamsNotVisible, count: len(t.hidden), err: t.hiddenError()})
	}
	r.Reason, r.Message = t.sumUp(troubles)
	for _, met := range troubles {
		r.Retry = r.Retry || met.retry
		if !met.found {
			r.Unknown = append(r.Unknown, v1alpha1.Unknown{
				Reason: met.kind, Count: count(met.count),
				Message: image.Cut(met.err.Error(), maxMessage), Cure: t.cure(met),
			})
		}
	}
	return r
}

// sumUp says in one message what went wrong. Trouble that lasts comes before trouble that
// may pass, as only somebody can cure it: the message says how.
func (t *tally) sumUp(troubles []trouble) (reason, message string) {
	if len(troubles) == 0 {
		return "", ""
	}
	first := max(slices.IndexFunc(troubles, func(met trouble) bool { return !met.retry }), 0)
	more := -1
	for _, met := range troubles {
		more += met.count
	}
	message = troubles[first].err.Error()
	if more > 0 {
		message = fmt.Sprintf("%s (and %d more)", message, more)
	}
	if cure := t.cure(troubles[first]); cure != "" && !troubles[first].retry {
		message += "; " + cure
	}
	return troubles[first].reason, message
}

// hiddenError says which ImageStreams the account may not get. It names namespaces, which
// the trigger's owner selected, and no streams, which the owner may not know of.
func (t *tally) hiddenError() error {
	namespaces := t.hiddenNamespaces()
	named := make([]string, 0, maxNamed)
	for _, n := range namespaces[:min(len(namespaces), maxNamed)] {
		named = append(named, fmt.Sprintf("%q", n))
	}
	list := "namespace " + named[0]
	if len(named) > 1 {
		list = "namespaces " + strings.Join(named, ", ")
	}
	if more := len(namespaces) - len(named); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Errorf("service account %q may not get ImageStreams in %s, so Revet records no push to them", t.account.Name, list)
}

func (t *tally) hiddenNamespaces() []string {
	seen := map[string]bool{}
	var all []string
	for stream := range t.hidden {
		if namespace, _, _ := strings.Cut(stream, "/"); !seen[namespace] {
			seen[namespace] = true
			all = append(all, namespace)
		}
	}
	slices.Sort(all)
	return all
}

// count is a number as the status holds it.
func count(n int) int32 { return int32(min(n, 1<<30)) } //nolint:gosec // bounded in the same expression
