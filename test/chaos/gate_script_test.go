package chaos

import (
	"reflect"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// A script follows from its seed, has as many verdicts as it was asked for, and has of everything
// that the play is about.
func TestGateScriptHasOfEverything(t *testing.T) {
	shape := Shape{Pushes: 300, Rate: 10}
	s := gateScriptOf(7, shape)
	if !reflect.DeepEqual(s, gateScriptOf(7, shape)) {
		t.Error("a seed has two scripts")
	}
	if reflect.DeepEqual(s, gateScriptOf(8, shape)) {
		t.Error("two seeds have one script")
	}
	seen := map[string]int{}
	verdicts, errs := 0, 0
	for _, e := range s.entries {
		last, at := v1alpha1.Outcome(""), time.Duration(0)
		for _, turn := range e.turns {
			if turn.at < at {
				t.Errorf("%s goes back in time", e.name)
			}
			at = turn.at
			if turn.outcome == v1alpha1.OutcomeError {
				errs++
				seen["error after "+string(last)]++
				continue
			}
			verdicts++
			seen[string(last)+" to "+string(turn.outcome)]++
			seen["flaw "+string(turn.flaw)]++
			if turn.age > 0 {
				seen["aged"]++
			}
			last = turn.outcome
		}
		seen[string(e.habit)]++
	}
	if verdicts != shape.Pushes || s.verdicts != verdicts || s.errors != errs {
		t.Errorf("%d verdicts and %d errors, and it says %d and %d", verdicts, errs, s.verdicts, s.errors)
	}
	for _, what := range []string{
		"pass to fail", "fail to pass", "fail to fail", "error after pass", "error after fail", "aged",
		"flaw platform", "flaw sandbox", "flaw check", string(turning), string(failing), string(lenient), string(flawed), string(aged),
	} {
		if seen[what] == 0 {
			t.Errorf("there is no %q", what)
		}
	}
}

// Pushes of one tag have an order, or nobody could say plainly which is the newest.
func TestGateScriptOrdersPushes(t *testing.T) {
	s := gateScriptOf(1, Shape{Pushes: 200, Rate: 10})
	numbers, sharedTags := map[int]bool{}, map[string]int{}
	for _, e := range s.entries {
		sharedTags[e.repository+":"+e.tag]++
		for n, turn := range e.turns {
			if n == 0 && turn.push == 0 {
				t.Errorf("%s has no first push", e.name)
			}
			if turn.push != 0 && numbers[turn.push] {
				t.Errorf("push %d is made twice", turn.push)
			}
			numbers[turn.push] = true
		}
	}
	for _, n := range sharedTags {
		if n > 1 {
			return
		}
	}
	t.Error("no tag has more than one digest")
}
