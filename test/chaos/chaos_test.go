//go:build linux

package chaos_test

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/revet-dev/revet/test/chaos"
)

func TestMain(m *testing.M) {
	if code, isRole := chaos.Role(); isRole {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// The promise, in short: with one fault each second, no push is lost and none runs twice.
func TestNoPushIsLostOrDoubledUnderFaults(t *testing.T) {
	o := chaos.DefaultOptions()
	o.Root, o.Dir = "../..", t.TempDir()
	o.Shape = chaos.Shape{Pushes: 120, Streams: 8, Tags: 4, Rate: 6}
	o.Seeds = []uint64{1}
	// Quiet covers a sweep, and the 10 s after which a request is sent again.
	o.SweepInterval, o.Quiet = 5*time.Second, 12*time.Second
	var out bytes.Buffer
	o.Out = &out
	results, err := chaos.Run(t.Context(), o)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Failed() {
			if timeline, err := os.ReadFile(r.Dir + "/timeline.txt"); err == nil {
				t.Logf("the timeline:\n%s", timeline)
			}
			t.Errorf("seed %d: settled %t; %q", r.Seed, r.Settled, r.Revet.Faults())
		}
		if r.Faults == 0 || r.Revet.Pushes != o.Shape.Pushes {
			t.Errorf("%d faults and %d pushes: nothing was put to the test", r.Faults, r.Revet.Pushes)
		}
	}
}

// A gate, in short: with a kill every few seconds, nothing is admitted that never passed, nothing for
// long that failed, and map and ledger are equal in the end.
func TestAGateAdmitsNothingWrongUnderKills(t *testing.T) {
	o := chaos.DefaultOptions()
	o.Root, o.Dir = "../..", t.TempDir()
	o.Play, o.Shape.Pushes, o.Shape.Rate, o.Quiet = chaos.Gate, 60, 2, 5*time.Second
	var out bytes.Buffer
	o.Out = &out
	results, err := chaos.Run(t.Context(), o)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		for _, fault := range r.Gate.Faults() {
			t.Errorf("seed %d: %s", r.Seed, fault)
		}
		if r.Failed() {
			if timeline, err := os.ReadFile(r.Dir + "/timeline.txt"); err == nil {
				t.Logf("the timeline:\n%s", timeline)
			}
		}
		if r.Faults == 0 || r.Gate.Verdicts != o.Shape.Pushes || r.Gate.Tries.Failed == r.Gate.Tries.Admitted {
			t.Errorf("%d faults, %d verdicts and %d admissions of what passed: nothing was put to the test",
				r.Faults, r.Gate.Verdicts, r.Gate.Tries.Admitted-r.Gate.Tries.Failed)
		}
	}
}
