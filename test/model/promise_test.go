package model_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
)

var (
	firstSeed = flag.Uint64("seed", 1, "the first history to play")
	sequences = flag.Uint64("sequences", 10_000, "how many histories to play; a tenth of it with -short")
)

// The property: whatever happens, what somebody was shown is covered by one
// entry, what nobody pushed is recorded nowhere, and what is repeated adds
// nothing.
func TestModel(t *testing.T) {
	n := *sequences
	if testing.Short() {
		n /= 10
	}
	for seed := *firstSeed; seed < *firstSeed+n; seed++ {
		ops, within := random(seed), sabotage{bounds: seedsFor(seed)}
		if _, failure := run(within, ops); failure != "" {
			t.Fatalf("seed %d: %s", seed, story(within, ops))
		}
	}
}

// story is a failing history, as short as it can be made.
func story(s sabotage, ops []op) string {
	short := shrink(ops, func(ops []op) bool {
		_, failure := run(s, ops)
		return failure != ""
	})
	w, failure := run(s, short)
	return fmt.Sprintf("%s\nafter these %d steps:\n%s", failure, len(short), strings.Join(w.trace, "\n"))
}

// onlyHeads, anyTime and nothing are ways to be wrong about what is known.
type onlyHeads struct{ ledger.Coverage }

func (k onlyHeads) Covers(o push.Observation) bool { return !o.Head || k.Coverage.Covers(o) }

type anyTime struct{ ledger.Coverage }

func (k anyTime) Covers(o push.Observation) bool {
	long := o
	long.Created = noon.AddDate(-1, 0, 0)
	return k.Coverage.Covers(long)
}

type nothing struct{ ledger.Coverage }

func (nothing) Covers(push.Observation) bool { return false }

// The model can fail: it finds each way to break the product, and tells it in a
// few steps.
func TestModelFindsWhatIsBroken(t *testing.T) {
	for _, test := range []struct {
		name     string
		sabotage sabotage
		want     string
	}{
		{"history is not looked at", sabotage{known: func(k ledger.Coverage) ledger.Coverage { return onlyHeads{k} }}, ""},
		{"a later push of a digest is taken for an earlier one", sabotage{known: func(k ledger.Coverage) ledger.Coverage { return anyTime{k} }}, ""},
		{"nothing is ever known", sabotage{known: func(k ledger.Coverage) ledger.Coverage { return nothing{k} }}, "makes requests"},
		{"events are believed", sabotage{believe: true}, ""},
		{"one of two writes at once is lost", sabotage{careless: true}, "lost: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			for seed := uint64(1); seed < 2000; seed++ {
				ops := random(seed)
				if _, failure := run(test.sabotage, ops); failure == "" {
					continue
				}
				told := story(test.sabotage, ops)
				t.Logf("seed %d: %s", seed, told)
				if lines := strings.Count(told, "\n"); !strings.Contains(told, test.want) || lines > 16 {
					t.Errorf("the story has %d lines, or does not say %q", lines, test.want)
				}
				return
			}
			t.Error("no history shows it")
		})
	}
}

// lines is a ledger that can be compared with another.
func lines(w *world) []string {
	var all []string
	for at, when := range recorded(w.storage) {
		all = append(all, fmt.Sprintf("%s %v", at.trigger, pushed{at.stream, at.tag, at.digest, when}))
	}
	return slices.Sorted(slices.Values(all))
}

// inOrder is the history in which every event arrives, once, and at once.
func inOrder(ops []op) []op {
	var all []op
	for _, o := range ops {
		switch {
		case o.kind <= editLabel:
			all = append(all, o, op{kind: deliverAll}, op{kind: watchPace})
		case o.kind == pass:
			all = append(all, o)
		}
	}
	return all
}

// FuzzModel lets the fuzzer write histories.
func FuzzModel(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(encode(random(seed)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ops := decode(data, kinds)
		for _, b := range bounded {
			if _, failure := run(sabotage{bounds: b}, ops); failure != "" {
				t.Fatal(story(sabotage{bounds: b}, ops))
			}
		}
	})
}

// FuzzAnyOrderRepetitionOrLoss: as long as nothing vanishes, whatever becomes of
// the events of a history, one sweep ends with the ledger of the history in
// which all arrive in order.
func FuzzAnyOrderRepetitionOrLoss(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(encode(random(seed)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ops := decode(data, setBack)
		want, failure := run(sabotage{}, inOrder(ops))
		if failure != "" {
			t.Fatal(story(sabotage{}, inOrder(ops)))
		}
		within := sabotage{bounds: named} // of what entries name, as little as possible
		got, failure := run(within, ops)
		if failure != "" {
			t.Fatal(story(within, ops))
		}
		if diff := cmp.Diff(lines(want), lines(got)); diff != "" {
			t.Errorf("ledger (-in order +as it came):\n%s\n%s", diff, strings.Join(got.trace, "\n"))
		}
	})
}

// Every kind of step is played, and does something in most histories.
func TestEveryKindOfStepIsPlayed(t *testing.T) {
	seen := map[kind]int{}
	for seed := range uint64(500) {
		for _, o := range random(seed) {
			seen[o.kind]++
		}
	}
	if missing := int(kinds) - len(seen); missing > 0 {
		t.Errorf("%d of %d kinds of steps are never played: %v", missing, kinds, slices.Sorted(maps.Keys(seen)))
	}
}
