package sweep

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/selector"
	"github.com/revet-dev/revet/pkg/source"
)

// The reasons a sweep did not see everything.
const (
	// ReadFailed: the API server or a registry did not answer; it is tried again.
	ReadFailed = "ReadFailed"
	// RecordFailed: a push was found and could not be recorded; it is tried again.
	RecordFailed = "RecordFailed"
	// NoImageStreams: the trigger selects ImageStreams, which the cluster does not have.
	NoImageStreams = "NoImageStreams"
	// RegistryPutOff: a registry asks to be left alone for a while, or does not
	// answer; the rest of its tags was left for the next sweep.
	RegistryPutOff = "RegistryPutOff"
	// RegistryNotSwept: a registry refused, or what it refused cannot be done otherwise.
	RegistryNotSwept = "RegistryNotSwept"
	// SelectorInvalid: the trigger's spec.images does not compile.
	SelectorInvalid = "SelectorInvalid"
	// NotRecordable: a push can never be recorded.
	NotRecordable = "NotRecordable"
)

// Result is what one sweep of one trigger did.
type Result struct {
	// Generation is the trigger's that was swept.
	Generation int64
	StartedAt  time.Time
	FinishedAt time.Time
	// Repositories is how many the selectors admitted.
	Repositories int32
	// Recovered is how many pushes were recorded that no event had brought.
	Recovered int32
	// Pushes is how many pushes are shown that the trigger answers for, and Gap
	// how many of these the ledger did not cover in the end.
	Pushes int32
	Gap    int32
	// Artefacts is how many more are shown that cannot run, and so are exempt.
	Artefacts int32
	// Reason is empty if everything was seen; Message then is too.
	Reason  string
	Message string
	// Retry: what was not seen may be seen if the sweep is repeated soon.
	Retry bool
	// Retries is how many sweeps in a row asked for that before.
	Retries int
	// NotBefore is when a registry that put the sweep off may be asked again.
	NotBefore time.Time
	// Baselines are the registry entries whose first sweep is complete.
	Baselines []string
}

func (r *Result) add(part Result) {
	r.Repositories += part.Repositories
	r.Recovered += part.Recovered
	r.Pushes += part.Pushes
	r.Gap += part.Gap
	r.Artefacts += part.Artefacts
	r.Retry = r.Retry || part.Retry
	if part.NotBefore.After(r.NotBefore) {
		r.NotBefore = part.NotBefore
	}
	r.Baselines = append(r.Baselines, part.Baselines...)
	if r.Reason == "" {
		r.Reason, r.Message = part.Reason, part.Message
	}
}

// target is a trigger that is being swept.
type target struct {
	trigger  *v1alpha1.ImageTrigger
	selector *selector.Selector
	account  source.Account
	started  time.Time
	tally    *tally
	// resting are the registries that are left alone for the rest of this sweep.
	resting *resting
	// respecified: the sweep before was of another spec.
	respecified bool
	// doubtful are pushes that no Image object shows to run, once each.
	doubtful *doubtful
}

func newTarget(trigger *v1alpha1.ImageTrigger) (*target, error) {
	s, err := selector.Compile(trigger)
	if err != nil {
		return nil, fmt.Errorf("trigger %q: %w", trigger.Name, err)
	}
	return &target{trigger: trigger, selector: s, account: source.AccountOf(trigger)}, nil
}

// begin starts the count for one part. A target that is in both queues is swept
// by two loops, each with a count of its own.
func (t *target) begin(now time.Time) *target {
	part := *t
	part.started, part.tally, part.doubtful = now, &tally{}, &doubtful{}
	return &part
}

// tally adds up what one part of a sweep did. It is safe for concurrent use.
type tally struct {
	mu           sync.Mutex
	repositories map[string]struct{}
	places       map[string]shown
	recovered    int32
	notBefore    time.Time
	failures     int
	first        trouble
	baselines    []string
}

type trouble struct {
	reason string
	err    error
	retry  bool
}

func (t *tally) saw(repository string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.repositories == nil {
		t.repositories = map[string]struct{}{}
	}
	t.repositories[repository] = struct{}{}
}

// shown is what one stream, one push of it, or one tag of a registry shows.
type shown struct{ pushes, gap, artefacts int32 }

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

// fail counts what could not be seen or recorded. Trouble that lasts is reported
// before trouble that may pass, as only somebody can cure it.
func (t *tally) fail(reason string, err error, retry bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures++
	if t.first.reason == "" || (t.first.retry && !retry) {
		retry = retry || t.first.retry
		t.first = trouble{reason: reason, err: err, retry: retry}
		return
	}
	t.first.retry = t.first.retry || retry
}

// failed is fail with the reason that the error itself tells.
func (t *tally) failed(err error) {
	var putOff *source.RetryAfterError
	switch {
	case source.ReasonOf(err) != "":
		t.fail(RegistryNotSwept, err, false)
	case errors.As(err, &putOff):
		t.fail(RegistryPutOff, err, true)
		t.mu.Lock()
		defer t.mu.Unlock()
		if putOff.Until.After(t.notBefore) {
			t.notBefore = putOff.Until
		}
	default:
		t.fail(ReadFailed, err, true)
	}
}

func (t *tally) complete() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failures == 0
}

func (t *tally) result() Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := Result{Repositories: int32(min(len(t.repositories), 1<<30)), Recovered: t.recovered, NotBefore: t.notBefore, Baselines: t.baselines}
	for _, s := range t.places {
		r.Pushes += s.pushes
		r.Gap += s.gap
		r.Artefacts += s.artefacts
	}
	if t.first.reason != "" {
		r.Reason, r.Retry, r.Message = t.first.reason, t.first.retry, t.first.err.Error()
		if t.failures > 1 {
			r.Message = fmt.Sprintf("%s (and %d more)", r.Message, t.failures-1)
		}
	}
	return r
}
