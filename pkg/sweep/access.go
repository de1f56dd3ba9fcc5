package sweep

import (
	"context"
	"time"

	"github.com/revet-dev/revet/pkg/fair"
	"github.com/revet-dev/revet/pkg/source"
)

const (
	// accessTrust is how long an answer about an account is believed.
	accessTrust = time.Minute
	// maxAnswers bounds how many answers are kept, and maxAnswersEach how many about the
	// accounts of one namespace.
	maxAnswers     = 16384
	maxAnswersEach = 8192
)

// access asks what accounts may get, each question once a minute. Unlike source.Rights it
// keeps a no as well: a sweep asks about thousands of streams, and recording nothing of one
// for another minute costs nothing.
type access struct {
	cluster Cluster
	now     func() time.Time
	answers *fair.Kept[question, answer]
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
	return &access{cluster: c, now: now, answers: fair.NewKept[question, answer](maxAnswers, maxAnswersEach)}
}

// mayGet asks about everything first, and then about the whole namespace: that is how most
// accounts get their rights, and one question replaces one for each stream. An account that
// reads its own namespace alone is not asked about everything.
func (a *access) mayGet(ctx context.Context, account source.Account, namespace, name string) (bool, error) {
	questions := []question{{account, namespace, ""}, {account, namespace, name}}
	if namespace != account.Namespace {
		questions = append([]question{{account, "", ""}}, questions...)
	}
	for _, q := range questions {
		allowed, err := a.ask(ctx, q)
		if err != nil || allowed {
			return allowed, err
		}
	}
	return false, nil
}

// mayGetAny reports whether an account may get every ImageStream of a namespace, or one of
// those that are named.
func (a *access) mayGetAny(ctx context.Context, account source.Account, namespace string, names []string) (bool, error) {
	for _, name := range append([]string{""}, names...) {
		allowed, err := a.ask(ctx, question{account, namespace, name})
		if err != nil || allowed {
			return allowed, err
		}
	}
	return false, nil
}

func (a *access) ask(ctx context.Context, q question) (bool, error) {
	now := a.now()
	have, ok := a.answers.Get(q.account.Namespace, q)
	if ok && now.Sub(have.at) < accessTrust {
		return have.allowed, nil
	}
	allowed, err := a.cluster.MayGet(ctx, q.account, q.namespace, q.name)
	if err != nil {
		return false, err
	}
	a.answers.Put(q.account.Namespace, q, answer{allowed, now})
	return allowed, nil
}
