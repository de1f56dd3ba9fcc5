package get

import (
	"fmt"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

// Tags for which there is no room are counted, and so are those that the entry does not name.
func TestGetCountsTags(t *testing.T) {
	e := commandtest.PassedEntry()
	for n := range 30 {
		tag := e.Status.Tags[0]
		tag.Tag = fmt.Sprintf("%s-%02d", strings.Repeat("x", 60), n)
		e.Status.Tags = append(e.Status.Tags, tag)
	}
	e.Status.MoreTags = &v1alpha1.MoreTags{Count: 7, Forgotten: 5}
	r := commandtest.Run(New, "", commandtest.ClusterOf(e), "get")
	if r.Status != 0 || !strings.Contains(r.Out, " and 39 more ") || len(r.Out) > 800 {
		t.Errorf("status %d:\n%s", r.Status, r.Out)
	}
}

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
