package sweep

import (
	"context"
	"sync"
	"time"

	"github.com/revet-dev/revet/pkg/source"
)

const (
	// accessTrust is how long an answer about an account is believed.
	accessTrust = time.Minute
	// maxAnswers bounds how many answers are remembered.
	maxAnswers = 16384
)

// access asks what accounts may get, each question once a minute.
type access struct {
	cluster Cluster
	now     func() time.Time

	mu      sync.Mutex
	answers map[question]answer
}

type question struct {
	account         source.Account
	namespace, name string
}

type answer struct {
	allowed bool
	at      time.Time
}

func newAccess(c Cluster, now func() time.Time) *access {
	return &access{cluster: c, now: now, answers: map[question]answer{}}
}

// mayGet asks for the whole namespace first: that is how accounts are mostly
// given rights, and one question instead of one for each stream.
func (a *access) mayGet(ctx context.Context, account source.Account, namespace, name string) (bool, error) {
	for _, n := range []string{"", name} {
		allowed, err := a.ask(ctx, question{account, namespace, n})
		if err != nil || allowed {
			return allowed, err
		}
	}
	return false, nil
}

func (a *access) ask(ctx context.Context, q question) (bool, error) {
	now := a.now()
	a.mu.Lock()
	have, ok := a.answers[q]
	a.mu.Unlock()
	if ok && now.Sub(have.at) < accessTrust {
		return have.allowed, nil
	}
	allowed, err := a.cluster.MayGet(ctx, q.account, q.namespace, q.name)
	if err != nil {
		return false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.answers) >= maxAnswers {
		clear(a.answers)
	}
	a.answers[q] = answer{allowed, now}
	return allowed, nil
}
