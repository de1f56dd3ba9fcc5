package node

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAComponentIsRestartedMoreAndMoreSlowlyUntilItIsGivenUp(t *testing.T) {
	now := time.Unix(0, 0)
	var history restarts
	var got []time.Duration
	for {
		delay, ok := history.next(now)
		if !ok {
			break
		}
		got = append(got, delay)
		now = now.Add(delay)
	}
	want := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("delays (-want +got):\n%s", diff)
	}
}

func TestEndsOfLongAgoDoNotCount(t *testing.T) {
	now := time.Unix(0, 0)
	var history restarts
	for range 100 {
		delay, ok := history.next(now)
		if !ok || delay != restartDelay {
			t.Fatalf("delay %s, ok %t, want %s", delay, ok, restartDelay)
		}
		now = now.Add(restartWindow)
	}
}
