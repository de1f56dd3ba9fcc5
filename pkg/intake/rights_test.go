package intake

import (
	"context"
	"errors"
	"testing"
	"time"
)

// answering answers whether an account may get a stream as it is told to.
type answering struct {
	Cluster
	allowed bool
	err     error
	asked   int
}

func (a *answering) MayGet(context.Context, Account, string, string) (bool, error) {
	a.asked++
	return a.allowed, a.err
}

// A right that was taken away must not last, and one that was given must not wait.
func TestOnlyAYesIsBelievedAndNotForLong(t *testing.T) {
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	account := Account{Namespace: "team", Name: "default"}
	for _, test := range []struct {
		name          string
		first, second answering
		later         time.Duration
		stream        string
		want          bool
		asked         int
	}{
		{"a yes is believed for a while", answering{allowed: true}, answering{}, rightTrust - 1, "app", true, 1},
		{"a yes is not believed for longer", answering{allowed: true}, answering{}, rightTrust, "app", false, 2},
		{"a yes is not believed when the clock was set back", answering{allowed: true}, answering{}, -time.Second, "app", false, 2},
		{"a yes is of one stream only", answering{allowed: true}, answering{}, 0, "other", false, 2},
		{"a no is asked again", answering{}, answering{allowed: true}, 0, "app", true, 2},
		{"a failure is asked again", answering{allowed: true, err: errors.New("away")}, answering{}, 0, "app", false, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			now, cluster := noon, test.first
			trusting := newTrusting(&cluster, func() time.Time { return now })
			if _, err := trusting.MayGet(t.Context(), account, "team", "app"); !errors.Is(err, test.first.err) {
				t.Fatalf("the first answer failed with %v, want %v", err, test.first.err)
			}
			now = now.Add(test.later)
			cluster.allowed, cluster.err = test.second.allowed, test.second.err
			got, err := trusting.MayGet(t.Context(), account, "team", test.stream)
			if err != nil || got != test.want || cluster.asked != test.asked {
				t.Errorf("answered %t, %v after %d questions; want %t after %d", got, err, cluster.asked, test.want, test.asked)
			}
		})
	}
}

func TestTheRightsThatAreKeptAreBounded(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	trusting := newTrusting(&answering{allowed: true}, func() time.Time { return now })
	for n := range maxRights + 1 {
		if _, err := trusting.MayGet(t.Context(), Account{Name: time.Duration(n).String()}, "team", "app"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(trusting.granted); n > maxRights {
		t.Errorf("%d are kept, want at most %d", n, maxRights)
	}
}
