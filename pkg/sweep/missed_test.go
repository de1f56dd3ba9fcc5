package sweep

import (
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/push"
)

func TestWhyAPushWasMissed(t *testing.T) {
	usual := circumstances{now: at(3600), trigger: at(0), process: at(60)}
	for _, test := range []struct {
		name string
		push push.Push
		in   func(*circumstances)
		want Missed
	}{
		{"pushed within clock slack before the trigger", streamPush(-30, push.NewHead), nil, MissedBeforeTrigger},
		{"pushed with the trigger", streamPush(0, push.NewHead), nil, MissedBeforeTrigger},
		{"pushed before the spec changed", streamPush(120, push.NewHead), func(c *circumstances) { c.respecified = true }, MissedSpecChanged},
		{"pushed before this process", streamPush(59, push.History), nil, MissedBeforeProcess},
		{"pushed just now", streamPush(3597, push.NewHead), nil, MissedInFlight},
		{"overwritten", streamPush(120, push.History), nil, MissedOverwritten},
		{"none of these", streamPush(120, push.NewHead), nil, MissedUnknown},
		{"a registry's, of which no time is known", push.Push{Repository: push.Repository{Kind: push.Registry}, PushedAt: at(3600), Reason: push.NewHead}, nil, MissedUnknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := usual
			if test.in != nil {
				test.in(&c)
			}
			if got := missed(test.push, c); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func streamPush(seconds int, reason push.Reason) push.Push {
	return push.Push{Repository: push.Repository{Kind: push.ImageStream}, PushedAt: noon.Add(time.Duration(seconds) * time.Second), Reason: reason}
}
