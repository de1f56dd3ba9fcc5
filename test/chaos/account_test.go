package chaos

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// settled is what is observed when one push of each of two digests went well on both ways.
func settled() observed {
	pushed := []acknowledged{{"team-0/app-0", "v0", "sha256:a"}, {"team-1/app-0", "v1", "sha256:b"}}
	return observed{
		Pushed: pushed, Items: pushed,
		Heads:         map[string]string{"team-0/app-0:v0": "sha256:a", "team-1/app-0:v1": "sha256:b"},
		RegistryHeads: map[string]string{"team-0/app-0:v0": "sha256:a", "team-1/app-0:v1": "sha256:b"},
		Entries: []entry{
			{Name: "ea", Repository: "team-0/app-0", Digest: "sha256:a", State: "Passed/Passed", Final: true},
			{Name: "eb", Repository: "team-1/app-0", Digest: "sha256:b", State: "Passed/Passed", Final: true, Swept: 1},
		},
		Runs:      []pipelineRun{{"ra", "team-0/app-0", "sha256:a", true}, {"rb", "team-1/app-0", "sha256:b", true}},
		PlainRuns: []pipelineRun{{Name: "pa", Digest: "sha256:a"}, {Name: "pb", Digest: "sha256:b"}},
	}
}

// The account is what everything else here rests on: whatever is lost, doubled or unfinished has to show in it.
func TestAccountTellsWhatIsLostDoubledAndUnfinished(t *testing.T) {
	well := Account{Way: "revet", Pushes: 2, Shown: 2, Digests: 2, Covered: 2, Runs: 2, Recovered: 1, States: map[string]int{"Passed/Passed": 2}}
	for _, test := range []struct {
		name   string
		change func(*observed)
		want   func(*Account)
	}{
		{"all is well", func(*observed) {}, func(*Account) {}},
		{"an entry is missing", func(o *observed) { o.Entries = o.Entries[1:] }, func(a *Account) {
			a.Covered, a.States = 1, map[string]int{"Passed/Passed": 1}
			a.Lost = []string{`team-0/app-0@sha256:a: entry "" is "", a finished run: true`}
		}},
		{"a run is missing", func(o *observed) { o.Runs = o.Runs[1:] }, func(a *Account) {
			a.Covered, a.Runs = 1, 1
			a.Lost = []string{`team-0/app-0@sha256:a: entry "ea" is "Passed/Passed", a finished run: false`}
		}},
		{"a run is for another repository", func(o *observed) { o.Runs[0].Repository = "team-2/app-0" }, func(a *Account) {
			a.Covered = 1
			a.Lost = []string{`team-0/app-0@sha256:a: entry "ea" is "Passed/Passed", a finished run: false`}
		}},
		{"an entry waits", func(o *observed) { o.Entries[0].State, o.Entries[0].Final = "Pending/Queued", false }, func(a *Account) {
			a.Covered, a.States = 1, map[string]int{"Passed/Passed": 1, "Pending/Queued": 1}
			a.Lost = []string{`team-0/app-0@sha256:a: entry "ea" is "Pending/Queued", a finished run: true`}
			a.Unsettled = []string{"entry ea of team-0/app-0@sha256:a is Pending/Queued"}
		}},
		{"a run has not ended", func(o *observed) { o.Runs[1].Finished = false }, func(a *Account) {
			a.Covered = 1
			a.Lost = []string{`team-1/app-0@sha256:b: entry "eb" is "Passed/Passed", a finished run: false`}
			a.Unsettled = []string{"run rb of team-1/app-0@sha256:b has not ended"}
		}},
		{"a run is doubled", func(o *observed) {
			o.Runs = append(o.Runs, pipelineRun{"rx", "team-0/app-0", "sha256:a", true})
		}, func(a *Account) {
			a.Runs = 3
			a.Doubled = []string{`team-0/app-0@sha256:a has 2 runs: ra, rx; entry "ea" knows of 0 further causes`}
		}},
		{"a second run has a cause of its own", func(o *observed) {
			o.Runs = append(o.Runs, pipelineRun{"rx", "team-0/app-0", "sha256:a", true})
			o.Entries[0].Repeats = 1
		}, func(a *Account) { a.Runs, a.Repeats = 3, 1 }},
		{"an entry is doubled", func(o *observed) {
			o.Entries = append(o.Entries, entry{Name: "ex", Repository: "team-0/app-0", Digest: "sha256:a", State: "Passed/Passed", Final: true})
		}, func(a *Account) {
			a.States = map[string]int{"Passed/Passed": 3}
			a.Doubled = []string{"team-0/app-0@sha256:a has two entries, ea and ex"}
		}},
		{"an item of a tag's history is not covered", func(o *observed) {
			o.Items = append(o.Items, acknowledged{"team-0/app-0", "v0", "sha256:c"})
		}, func(a *Account) {
			a.Shown, a.Digests = 3, 3
			a.Lost = []string{`team-0/app-0@sha256:c: entry "" is "", a finished run: false`}
		}},
		{"a push was acknowledged and is not shown", func(o *observed) {
			o.Pushed = append(o.Pushed, acknowledged{"team-0/app-0", "v0", "sha256:d"})
		}, func(a *Account) {
			a.Pushes = 3
			a.Unshown = []string{"team-0/app-0:v0 sha256:d was acknowledged, and its stream does not show it"}
		}},
		{"registry and stream disagree", func(o *observed) { o.RegistryHeads["team-0/app-0:v0"] = "sha256:e" }, func(a *Account) {
			a.Unshown = []string{"team-0/app-0:v0 is sha256:e in the registry and sha256:a in its stream"}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, want := settled(), well
			test.change(&o)
			test.want(&want)
			got := accountOf(o)
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("account (-want +got):\n%s", diff)
			}
			if failed := (Result{Revet: got, Settled: got.Settled()}).Failed(); failed == (test.name == "all is well" || want.Repeats > 0) {
				t.Errorf("failed is %t", failed)
			}
		})
	}
}

func TestAccountOfThePlainWayIsByDigest(t *testing.T) {
	o := settled()
	o.Items = append(o.Items, acknowledged{"team-2/app-0", "v0", "sha256:a"}) // a further repository needs no further run
	o.PlainRuns = []pipelineRun{{Name: "p1", Digest: "sha256:a"}, {Name: "p2", Digest: "sha256:a"}}
	want := Account{
		Way: "plain", Pushes: 2, Shown: 3, Digests: 2, Covered: 1, Runs: 2,
		Lost: []string{"sha256:b has no run"}, Doubled: []string{"sha256:a has 2 runs: p1, p2"},
	}
	if diff := cmp.Diff(want, plainAccountOf(o), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
}
