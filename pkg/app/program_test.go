package app

import "testing"

// A program says which build it is without a cluster, and does nothing else.
func TestProgramsAnswerVersion(t *testing.T) {
	for name, run := range map[string]func([]string) int{"receiver": RunReceiver, "controller": RunController} {
		if status := run([]string{"--version", "an argument that would be refused"}); status != 0 {
			t.Errorf("%s --version ends with status %d", name, status)
		}
	}
}
