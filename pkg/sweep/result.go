package sweep

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/selector"
)

// The reasons a sweep did not see everything.
const (
	// ReadFailed: the API server or a registry did not answer; it is tried again.
	ReadFailed = "ReadFailed"
	// RecordFailed: a push was found and could not be recorded; it is tried again.
	RecordFailed = "RecordFailed"
	// NoImageStreams: the trigger selects ImageStreams, which the cluster does not have.
	NoImageStreams = "NoImageStreams"
	// RegistryNotSwept: a registry refused, or what it refused cannot be done otherwise.
	RegistryNotSwept = "RegistryNotSwept"
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
	// Reason is empty if everything was seen; Message then is too.
	Reason  string
	Message string
	// Retry: what was not seen may be seen if the sweep is repeated soon.
	Retry bool
	// Baselines are the registry entries whose first sweep is complete.
	Baselines []string
}

func (r *Result) add(part Result) {
	r.Repositories += part.Repositories
	r.Recovered += part.Recovered
	r.Retry = r.Retry || part.Retry
	r.Baselines = append(r.Baselines, part.Baselines...)
	if r.Reason == "" {
		r.Reason, r.Message = part.Reason, part.Message
	}
}

// target is a trigger that is being swept.
type target struct {
	trigger  *v1alpha1.ImageTrigger
	selector *selector.Selector
	account  Account
	started  time.Time
	tally    *tally
}

func newTarget(trigger *v1alpha1.ImageTrigger) (*target, error) {
	s, err := selector.Compile(trigger)
	if err != nil {
		return nil, fmt.Errorf("trigger %q: %w", trigger.Name, err)
	}
	account := Account{Namespace: trigger.Namespace, Name: trigger.Spec.ServiceAccountName}
	if account.Name == "" {
		account.Name = "default"
	}
	return &target{trigger: trigger, selector: s, account: account}, nil
}

// begin starts the count for one part. A target that is in both queues is swept
// by two loops, each with a count of its own.
func (t *target) begin(now time.Time) *target {
	part := *t
	part.started, part.tally = now, &tally{}
	return &part
}

// tally adds up what one part of a sweep did. It is safe for concurrent use.
type tally struct {
	mu           sync.Mutex
	repositories map[string]struct{}
	recovered    int32
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
	var refusal *Refusal
	if errors.As(err, &refusal) {
		t.fail(RegistryNotSwept, err, false)
		return
	}
	t.fail(ReadFailed, err, true)
}

func (t *tally) complete() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failures == 0
}

func (t *tally) result() Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := Result{Repositories: int32(min(len(t.repositories), 1<<30)), Recovered: t.recovered, Baselines: t.baselines}
	if t.first.reason != "" {
		r.Reason, r.Retry, r.Message = t.first.reason, t.first.retry, t.first.err.Error()
		if t.failures > 1 {
			r.Message = fmt.Sprintf("%s (and %d more)", r.Message, t.failures-1)
		}
	}
	return r
}
