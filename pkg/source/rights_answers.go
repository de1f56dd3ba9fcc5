package source

import (
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
)

// maxRights and maxRightsOf bound how many answers are kept, in all and about the accounts of
// one namespace, each of about 300 bytes.
const (
	maxRights   = 32768
	maxRightsOf = 1024
)

// ownDoubt is how long a no is believed about an account's own namespace: whoever grants a right
// there has it at once, or nearly.
const ownDoubt = time.Second

// answers are what the API server said about accounts, by their namespace. A namespace with many
// accounts clears only answers about them.
type answers struct {
	of    map[string]map[right]answer
	total int
}

type answer struct {
	allowed bool
	asked   time.Time
}

// believed returns what is known about a question. A yes is believed for trust, and so is a no
// about another namespace than the account's.
func (a *answers) believed(q right, now time.Time, trust time.Duration) (allowed, known bool) {
	have, ok := a.of[q.account.Namespace][q]
	if !have.allowed && q.access.Namespace == q.account.Namespace {
		trust = min(trust, ownDoubt)
	}
	// A clock that was set back must not make an answer last.
	return have.allowed, ok && !now.Before(have.asked) && now.Sub(have.asked) < trust
}

func (a *answers) keep(q right, with answer) {
	of := a.of[q.account.Namespace]
	switch {
	case of == nil:
		of = map[right]answer{}
		a.of[q.account.Namespace] = of
	case len(of) >= maxRightsOf:
		a.total -= len(of)
		clear(of)
	}
	if a.total >= maxRights {
		a.clearLargest()
		a.of[q.account.Namespace] = of
	}
	a.total -= len(of)
	of[q] = with
	a.total += len(of)
}

// clearLargest forgets the namespace of which most is kept: it costs one question for each.
func (a *answers) clearLargest() {
	largest := ""
	for namespace, of := range a.of {
		if len(of) > len(a.of[largest]) {
			largest = namespace
		}
	}
	a.total -= len(a.of[largest])
	clear(a.of[largest])
	delete(a.of, largest)
}

// questions returns what to ask in order to know whether an account has an access, the widest
// first: that is how most accounts get their rights, and its answer serves all other names. An
// account is not asked about all namespaces where it is about its own.
func questions(account Account, access authorizationv1.ResourceAttributes) []authorizationv1.ResourceAttributes {
	if access.Name == "" || access.Namespace == "" {
		return []authorizationv1.ResourceAttributes{access}
	}
	everywhere, anyName := access, access
	anyName.Name = ""
	everywhere.Name, everywhere.Namespace = "", ""
	if access.Namespace == account.Namespace {
		return []authorizationv1.ResourceAttributes{anyName, access}
	}
	return []authorizationv1.ResourceAttributes{everywhere, anyName, access}
}
