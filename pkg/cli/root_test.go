package cli

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

// An error says what was looked for, where, and what there is instead; a wrong
// use of the command line has a status of its own.
func TestWhatIsNotFoundOrNotUnderstood(t *testing.T) {
	for _, test := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"no such image", []string{"explain", "demo/app:nightly"}, 1, `error: there is no verification of repository "demo/app" and tag "nightly" in namespace "demo"; ` +
			"there are demo/app (latest, v1); demo/other (v9); demo/web (latest); registry.example.com/team/good (v2)\n"},
		{"no such name", []string{"explain", "nobody"}, 1, `error: there is no verification with the name "nobody", or of an ImageStream with that name in namespace "demo"; ` +
			"there are demo/app (latest, v1); demo/other (v9); demo/web (latest); registry.example.com/team/good (v2)\n"},
		{"nothing in the namespace", []string{"explain", "demo/app", "-n", "empty"}, 1,
			`error: there is no verification of repository "demo/app" in namespace "empty"; there are none at all; use -A to look in every namespace` + "\n"},
		{"no such entry", []string{"get", "x", "-n", "empty"}, 1, `error: there is no verification "x" in namespace "empty"; there are none at all; use -A to look in every namespace` + "\n"},
		{"an entry of another phase", []string{"get", "app-bad-1", "--phase", "Passed"}, 1, `error: verification "app-bad-1" in namespace "demo" has another trigger or phase` + "\n"},
		{"an empty namespace", []string{"get", "-n", "empty"}, 0, `There are no verifications in namespace "empty": no push matched an ImageTrigger.` + "\n" +
			"Use -A to look in every namespace, and 'kubectl revet doctor' to find out why there are none.\n"},
		{"none of this trigger", []string{"get", "--trigger", "x"}, 0, `None of the 4 verifications in namespace "demo" has this trigger and phase.` + "\n"},
		{"an unknown phase", []string{"get", "--phase", "Done"}, 2, `error: unknown phase "Done"; allowed: Pending, Requested, Running, Passed, Failed, Error, Skipped` + "\nSee 'kubectl revet get --help'.\n"},
		{"an unknown output", []string{"explain", "x", "-o", "xml"}, 2, `error: unknown output "xml"; allowed: text, json, yaml` + "\nSee 'kubectl revet explain --help'.\n"},
		{"a short digest", []string{"explain", "sha256:c4"}, 2, `error: digest "sha256:c4" must have 6 to 64 hexadecimal digits after sha256:` + "\nSee 'kubectl revet explain --help'.\n"},
		{"a bad tag", []string{"explain", "demo/app:a b"}, 2, `error: tag "a b" is not valid` + "\nSee 'kubectl revet explain --help'.\n"},
		{"no tag", []string{"explain", "demo/app:"}, 2, `error: image "demo/app:" is not repository:tag` + "\nSee 'kubectl revet explain --help'.\n"},
		{"an empty name", []string{"explain", ""}, 2, "error: NAME or IMAGE must not be empty\nSee 'kubectl revet explain --help'.\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := commandtest.RunRoot(newRoot, "", commandtest.ClusterOf(commandtest.AllEntries()...), test.args...)
			if r.Status != test.status {
				t.Errorf("status %d, want %d", r.Status, test.status)
			}
			if diff := cmp.Diff(test.want, r.ErrOut); diff != "" {
				t.Errorf("standard error (-want +got):\n%s", diff)
			}
			if r.Out != "" {
				t.Errorf("standard output: %s", r.Out)
			}
		})
	}
}

// What an API server answers gets its cure.
func TestErrorsOfTheClusterSayTheCure(t *testing.T) {
	failing := errors.New("the server is on fire")
	connect := func(*command.ClusterFlags) (command.Cluster, error) {
		c := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
			List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return failing },
		})
		return command.Cluster{Reader: c, Namespace: "demo"}, nil
	}
	r := commandtest.RunRoot(newRoot, "", connect, "get")
	want := `error: listing ImageVerifications in namespace "demo": the server is on fire` + "\n"
	if diff := cmp.Diff(want, r.ErrOut); diff != "" || r.Status != 1 {
		t.Errorf("status %d, standard error (-want +got):\n%s", r.Status, diff)
	}
}

func TestCompletion(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want []string
	}{
		{"names, newest first", []string{"get", ""}, []string{"other-1\tdemo/other:v9 Pending", "app-bad-1\tdemo/app:v1,latest Failed", "web-1\tdemo/web:latest Error", "team-good-1\tregistry.example.com/team/good:v2 Passed"}},
		{"names that begin so", []string{"explain", "web"}, []string{"web-1\tdemo/web:latest Error"}},
		{"no second name", []string{"get", "web-1", ""}, nil},
		{"names of another namespace", []string{"get", "-n", "team-b", ""}, []string{"old-1\tteam-b/old:main Skipped"}},
		{"triggers", []string{"get", "--trigger", ""}, []string{"nightly", "prod"}},
		{"triggers of what is to be verified", []string{"verify", "--trigger", ""}, []string{"nightly", "prod"}},
		{"no gates", []string{"gate", "test", "--gate", ""}, nil},
		{"outputs", []string{"explain", "-o", ""}, []string{"text", "json", "yaml"}},
		{"shells", []string{"completion", ""}, []string{"bash", "zsh", "fish", "powershell"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := commandtest.RunRoot(newRoot, "", commandtest.ClusterOf(commandtest.AllEntries()...), append([]string{"__complete"}, test.args...)...)
			var got []string
			for line := range strings.Lines(r.Out) {
				if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, ":") {
					got = append(got, line)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("completions (-want +got):\n%s", diff)
			}
		})
	}
	down := func(*command.ClusterFlags) (command.Cluster, error) { return command.Cluster{}, errors.New("down") }
	if r := commandtest.RunRoot(newRoot, "", down, "__complete", "get", ""); r.Status != 0 || strings.Contains(r.ErrOut, "down") {
		t.Errorf("status %d while the cluster is down: %s", r.Status, r.ErrOut)
	}
}
