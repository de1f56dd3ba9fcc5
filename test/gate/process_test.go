package gate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// partVariable says which part of the tests a process runs.
const partVariable = "REVET_GATE_PART"

// process is a part of the tests. The zero value is the process that starts the others.
type process struct {
	// test is the only one that it runs; empty for all that run beside others.
	test string
	// without is true if its cluster serves no MutatingAdmissionPolicies.
	without bool
}

var part = parsePart(os.Getenv(partVariable))

func (p process) String() string {
	if p.without {
		return p.test + "/without"
	}
	return p.test + "/with"
}

func parsePart(s string) process {
	test, how, _ := strings.Cut(s, "/")
	return process{test, how == "without"}
}

// loners are the tests that call alone, which take something away from all gates of a cluster,
// the longest first.
var loners = []string{
	"TestEveryEndEndsAGate", "TestEveryOrderEndsAGate", "TestARestartedAPIServerAdmitsNothingElse", "TestNothingLocksWhenItIsGone",
}

// processes is how many of the other parts run at once. Each has an API server.
const processes = 3

// startOthers starts all other parts, whose output finish prints.
func startOthers() (finish func() error) {
	others := []process{{without: true}}
	for _, test := range loners {
		others = append(others, process{test, false}, process{test, true})
	}
	room, done := make(chan struct{}, processes), make(chan error, len(others))
	for _, p := range others {
		go func() {
			room <- struct{}{}
			out, err := p.run()
			<-room
			fmt.Printf("%s\n%s", p, out)
			done <- err
		}()
	}
	return func() error {
		var errs []error
		for range others {
			errs = append(errs, <-done)
		}
		return errors.Join(errs...)
	}
}

// run runs the part in a process of its own, and returns what it printed.
func (p process) run() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	arguments := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(a string) bool {
		// Files that this process writes.
		return strings.HasPrefix(a, "-test.testlogfile") || strings.Contains(a, "profile=")
	})
	command := exec.Command(self, arguments...) //nolint:noctx // it ends when its input does
	command.Env = append(os.Environ(), partVariable+"="+p.String())
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	input, err := command.StdinPipe()
	if err != nil {
		return "", err
	}
	defer input.Close()
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w", p, err)
	}
	return out.String(), nil
}
