package command_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

// Every way to name an image finds it, the newest push first.
func TestWaysToNameAnImage(t *testing.T) {
	for _, test := range []struct {
		image string
		all   bool
		want  string
	}{
		{"app-bad-1", false, "app-bad-1"},
		{"app", false, "app-bad-1"},
		{"demo/app", false, "app-bad-1"},
		{"app:v1", false, "app-bad-1"},
		{"demo/app:latest", false, "app-bad-1"},
		{"demo/app@" + commandtest.DigestB, false, "app-bad-1"},
		{"demo/app:anything@" + commandtest.DigestB, false, "app-bad-1"},
		{commandtest.RegistryHost + "/demo/app:latest", false, "app-bad-1"},
		{commandtest.RegistryHost + "/demo/app@" + commandtest.DigestB, false, "app-bad-1"},
		{"localhost:5001/demo/app:latest", false, "app-bad-1"},
		{"localhost/demo/app@" + commandtest.DigestB, false, "app-bad-1"},
		{"registry.example.com/team/good:v2", false, "team-good-1"},
		{"mirror.example.com/team/good:v2", false, "team-good-1"},
		{commandtest.DigestB, false, "other-1 app-bad-1"},
		{"sha256:c42372", false, "other-1 app-bad-1"},
		{"sha256:cb61bde6", true, "web-1 team-good-1 old-1"},
		{"old", true, "old-1"},
		{"old", false, ""},
		{"demo/app:v9", false, ""},
		{"demo/app@" + commandtest.DigestA, false, ""},
		{"other/app:latest", false, ""},
		{"team/good:v2", false, ""},
		{"sha256:000000", true, ""},
	} {
		t.Run(test.image, func(t *testing.T) {
			q, err := command.ParseQuery(test.image)
			if err != nil {
				t.Fatal(err)
			}
			entries := commandtest.AllEntries()
			if !test.all {
				entries = entries[:4] // those of the namespace demo
			}
			found, _ := q.Find(entries)
			var names []string
			for _, e := range found {
				names = append(names, e.Name)
			}
			if diff := cmp.Diff(test.want, strings.Join(names, " ")); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
		})
	}
}
