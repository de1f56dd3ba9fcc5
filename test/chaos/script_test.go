package chaos

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestScriptIsAFunctionOfItsSeed(t *testing.T) {
	shape := DefaultOptions().Shape
	one, same, other := ScriptOf(1, shape), ScriptOf(1, shape), ScriptOf(2, shape)
	if diff := cmp.Diff(one, same); diff != "" {
		t.Errorf("one seed gives two scripts:\n%s", diff)
	}
	if cmp.Equal(one, other) {
		t.Error("two seeds give one script")
	}
	if !slices.IsSortedFunc(one, func(a, b Push) int { return int(a.At - b.At) }) {
		t.Error("the pushes are not in the order of their times")
	}
}

func TestScriptHasPushesOfAllKindsAndBursts(t *testing.T) {
	kinds, at := map[Kind]int{}, map[time.Duration]int{}
	script := ScriptOf(1, DefaultOptions().Shape)
	for _, p := range script {
		kinds[p.Kind]++
		at[p.At]++
	}
	for _, kind := range []Kind{New, Repeat, RollBack, Alias, Copy} {
		if kinds[kind] < len(script)/100 {
			t.Errorf("only %d of %d pushes are of kind %q: %v", kinds[kind], len(script), kind, kinds)
		}
	}
	if largest := slices.Max(slices.Collect(maps.Values(at))); largest < leastOfBurst {
		t.Errorf("the largest burst is of %d pushes", largest)
	}
	if last := script[len(script)-1].At; last < time.Minute || last > 4*time.Minute {
		t.Errorf("%d pushes take %s at 10 a second", len(script), last)
	}
}

func TestFaultsAreAFunctionOfTheirSeedAndHitEverything(t *testing.T) {
	a, b := faultsOf(1, nil, 1000), faultsOf(1, nil, 1000)
	hit, until := map[string]int{}, map[string]time.Duration{}
	for range 1000 {
		f := a.next()
		if diff := cmp.Diff(f, b.next()); diff != "" {
			t.Fatalf("one seed gives two scripts:\n%s", diff)
		}
		if f.At < until[f.Target] {
			t.Errorf("at %s, %s has a fault while it has one already", f.At, f.Target)
		}
		until[f.Target] = f.At + f.Length
		hit[f.Target+" "+string(f.Action)]++
	}
	for _, target := range targetWeights {
		for _, action := range actionWeights {
			if hit[target.name+" "+action.name] == 0 {
				t.Errorf("1000 faults and never %s of %s", action.name, target.name)
			}
		}
	}
}

func TestFaultsCanBeChosen(t *testing.T) {
	only, none, err := ParseFaults("adapter, sink kill")
	if err != nil || none {
		t.Fatal(none, err)
	}
	script := faultsOf(1, only, 1000)
	for range 100 {
		if f := script.next(); f.Action != Kill || f.Target != "adapter" && f.Target != "sink" {
			t.Errorf("a fault that was not asked for: %s", f)
		}
	}
	if _, _, err := ParseFaults("earthquake"); err == nil {
		t.Error("an unknown fault is accepted")
	}
}
