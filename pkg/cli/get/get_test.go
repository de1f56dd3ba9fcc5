package get

import (
	"testing"

	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

func TestGet(t *testing.T) {
	for _, test := range []struct {
		name, golden string
		args         []string
	}{
		{"a table of one namespace", "table.txt", nil},
		{"a wide table of all", "wide.txt", []string{"-A", "-o", "wide"}},
		{"by phase, in any case", "phase.txt", []string{"--phase", "failed,ERROR"}},
		{"by trigger", "trigger.txt", []string{"--trigger", "nightly"}},
		{"one by name, as YAML", "one.yaml", []string{"other-1", "-o", "yaml"}},
		{"several as JSON", "list.json", []string{"--phase", "Pending,Skipped", "-A", "-o", "json"}},
		{"none as JSON", "none.json", []string{"--trigger", "absent", "-o", "json"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := commandtest.Run(New, "", commandtest.ClusterOf(commandtest.AllEntries()...), append([]string{"get"}, test.args...)...)
			if r.Status != 0 || r.ErrOut != "" {
				t.Fatalf("status %d: %s", r.Status, r.ErrOut)
			}
			commandtest.Golden(t, test.golden, r.Out)
		})
	}
}
