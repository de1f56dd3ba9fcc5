package demo

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// The demo ends well only if the gate itself refuses the bad image, and nothing else.
func TestTheDemoFailsUnlessTheGateRefuses(t *testing.T) {
	errExit := errors.New("exit status 1")
	for _, test := range []struct {
		name      string
		bad, good string // what kubectl says of each behind the gate; empty if the Pod is made
		otherwise bool
		fails     bool
	}{
		{name: "the gate refuses the bad one", bad: "ImageGate demo-gated refuses bad"},
		{name: "the bad one starts", otherwise: true},
		{name: "a quota refuses the bad one", bad: "exceeded quota", otherwise: true},
		{name: "the good one is refused", bad: "ImageGate demo-gated refuses bad", good: "ImageGate demo-gated refuses good", fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			kubectl := func(_ context.Context, _ string, args ...string) (string, error) {
				said := ""
				switch strings.Join(args[:min(4, len(args))], " ") {
				case "run bad -n " + GatedNamespace:
					said = test.bad
				case "run good -n " + GatedNamespace:
					said = test.good
				}
				if said != "" {
					return said, errExit
				}
				return "", nil
			}
			err := Gate{Kubectl: kubectl, Out: io.Discard, Trust: "demo", Good: "good", Bad: "bad"}.Run(t.Context())
			if errors.Is(err, errOtherwise) != test.otherwise || (err != nil) != (test.otherwise || test.fails) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}
