package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// acknowledged is a push that the registry has accepted.
type acknowledged struct {
	Repository, Tag, Digest string
}

// observed is what the API server and the registry show once the faults have stopped.
type observed struct {
	// Pushed are the pushes that the registry acknowledged.
	Pushed []acknowledged
	// Items are the heads and the history of all tags of all streams.
	Items []acknowledged
	// Heads are the heads alone, and RegistryHeads what the registry says they are, by repository:tag.
	Heads, RegistryHeads map[string]string
	// Odd are the heads of the odd registry. It shows no history, so that no more of it is due.
	Odd     []acknowledged
	Entries []entry
	Runs    []pipelineRun
	// PlainRuns are the runs of the plain way.
	PlainRuns []pipelineRun
}

// entry is one of the ledger.
type entry struct {
	Name, Repository, Digest, State string
	Final                           bool
	// Repeats are runs for which the entry says that an earlier one vanished, or failed for want of infrastructure.
	Repeats int
	// Swept are pushes that a sweep recorded.
	Swept int
}

// pipelineRun is one that exists.
type pipelineRun struct {
	Name, Repository, Digest string
	Finished                 bool
}

// Account is the account of one way.
type Account struct {
	Way string
	// Pushes is how many the registry acknowledged, Shown how many heads and history items the API server shows.
	Pushes, Shown int
	// Digests are what a run is due for: of each repository for Revet, of all for the plain way, which sees Images only.
	Digests, Covered, Runs int
	// Lost are digests that are covered by nothing, Doubled those with more runs than causes.
	Lost, Doubled []string
	// Unsettled are entries and runs without an end.
	Unsettled []string
	// Unshown are acknowledged pushes that the API server does not show, and tags that registry and API server disagree
	// about: faults of the harness, which make its account worthless.
	Unshown []string
	// Repeats are further runs that the ledger gives a cause for, Recovered the pushes that sweeps recorded.
	Repeats, Recovered int
	// States counts the entries in each.
	States map[string]int
}

// accountOf is the account of Revet's way: a push is covered if there is an entry of its repository and digest in a final
// phase, and a finished run for that digest.
func accountOf(o observed) Account {
	a := Account{Way: "revet", Pushes: len(o.Pushed), Shown: len(o.Items), Runs: len(o.Runs), States: map[string]int{}, Unshown: unshown(o)}
	entries, runs := map[string]entry{}, map[string][]pipelineRun{}
	for _, e := range o.Entries {
		key := e.Repository + "@" + e.Digest
		if other, twice := entries[key]; twice {
			a.Doubled = append(a.Doubled, fmt.Sprintf("%s has two entries, %s and %s", key, other.Name, e.Name))
		}
		entries[key] = e
		a.States[e.State]++
		a.Repeats += e.Repeats
		a.Recovered += e.Swept
		if !e.Final {
			a.Unsettled = append(a.Unsettled, fmt.Sprintf("entry %s of %s is %s", e.Name, key, e.State))
		}
	}
	for _, r := range o.Runs {
		key := r.Repository + "@" + r.Digest
		runs[key] = append(runs[key], r)
		if !r.Finished {
			a.Unsettled = append(a.Unsettled, fmt.Sprintf("run %s of %s has not ended", r.Name, key))
		}
	}
	for key := range due(slices.Concat(o.Items, o.Odd), func(i acknowledged) string { return i.Repository + "@" + i.Digest }) {
		a.Digests++
		e, recorded := entries[key]
		finished := slices.ContainsFunc(runs[key], func(r pipelineRun) bool { return r.Finished })
		if recorded && e.Final && finished {
			a.Covered++
		} else {
			a.Lost = append(a.Lost, fmt.Sprintf("%s: entry %q is %q, a finished run: %t", key, e.Name, e.State, finished))
		}
	}
	for key, all := range runs {
		if e := entries[key]; len(all) > 1+e.Repeats {
			a.Doubled = append(a.Doubled, fmt.Sprintf("%s has %d runs: %s; entry %q knows of %d further causes", key, len(all), names(all), e.Name, e.Repeats))
		}
	}
	a.sort()
	return a
}

// plainAccountOf is the account of the plain way, to which a digest is covered by a run, and has one cause: its push.
func plainAccountOf(o observed) Account {
	a := Account{Way: "plain", Pushes: len(o.Pushed), Shown: len(o.Items), Runs: len(o.PlainRuns), Unshown: unshown(o)}
	runs := map[string][]pipelineRun{}
	for _, r := range o.PlainRuns {
		runs[r.Digest] = append(runs[r.Digest], r)
	}
	for digest := range due(o.Items, func(i acknowledged) string { return i.Digest }) {
		a.Digests++
		if len(runs[digest]) > 0 {
			a.Covered++
		} else {
			a.Lost = append(a.Lost, digest+" has no run")
		}
	}
	for digest, all := range runs {
		if len(all) > 1 {
			a.Doubled = append(a.Doubled, fmt.Sprintf("%s has %d runs: %s", digest, len(all), names(all)))
		}
	}
	a.sort()
	return a
}

func due(items []acknowledged, key func(acknowledged) string) map[string]bool {
	all := map[string]bool{}
	for _, i := range items {
		all[key(i)] = true
	}
	return all
}

func names(runs []pipelineRun) string {
	var all []string
	for _, r := range runs {
		all = append(all, r.Name)
	}
	return strings.Join(slices.Sorted(slices.Values(all)), ", ")
}

func unshown(o observed) []string {
	shown := map[acknowledged]bool{}
	for _, i := range o.Items {
		shown[i] = true
	}
	var all []string
	for _, p := range o.Pushed {
		if !shown[p] {
			all = append(all, fmt.Sprintf("%s:%s %s was acknowledged, and its stream does not show it", p.Repository, p.Tag, p.Digest))
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(o.RegistryHeads)) {
		if o.Heads[tag] != o.RegistryHeads[tag] {
			all = append(all, fmt.Sprintf("%s is %s in the registry and %s in its stream", tag, o.RegistryHeads[tag], o.Heads[tag]))
		}
	}
	return all
}

func (a *Account) sort() {
	for _, list := range [][]string{a.Lost, a.Doubled, a.Unsettled} {
		slices.Sort(list)
	}
}

// Settled says that nothing is under way or missing.
func (a Account) Settled() bool { return len(a.Unsettled)+len(a.Lost) == 0 }

// Faults are what the promise forbids, and what makes the account worthless.
func (a Account) Faults() []string { return slices.Concat(a.Lost, a.Doubled, a.Unsettled, a.Unshown) }
