package cli

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// clusterOf answers with these entries, from the namespace demo unless -n says
// otherwise. Its RuntimeClass kata is gVisor.
func clusterOf(entries ...v1alpha1.ImageVerification) func(*clusterFlags) (cluster, error) {
	return func(f *clusterFlags) (cluster, error) {
		scheme := runtime.NewScheme()
		for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, nodev1.AddToScheme} {
			if err := add(scheme); err != nil {
				return cluster{}, err
			}
		}
		b := fake.NewClientBuilder().WithScheme(scheme).WithObjects(&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "kata"}, Handler: "runsc"})
		for i := range entries {
			b = b.WithObjects(entries[i].DeepCopy())
		}
		namespace := "demo"
		if *f.config.Namespace != "" {
			namespace = *f.config.Namespace
		}
		return cluster{Reader: b.Build(), namespace: namespace}, nil
	}
}

func TestGet(t *testing.T) {
	for _, test := range []struct {
		name, golden string
		args         []string
	}{
		{"a table of one namespace", "get-table.txt", nil},
		{"a wide table of all", "get-wide.txt", []string{"-A", "-o", "wide"}},
		{"by phase, in any case", "get-phase.txt", []string{"--phase", "failed,ERROR"}},
		{"by trigger", "get-trigger.txt", []string{"--trigger", "nightly"}},
		{"one by name, as YAML", "get-one.yaml", []string{"other-1", "-o", "yaml"}},
		{"several as JSON", "get-list.json", []string{"--phase", "Pending,Skipped", "-A", "-o", "json"}},
		{"none as JSON", "get-none.json", []string{"--trigger", "absent", "-o", "json"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := runCLI("", clusterOf(allEntries()...), append([]string{"get"}, test.args...)...)
			if r.status != 0 || r.errOut != "" {
				t.Fatalf("status %d: %s", r.status, r.errOut)
			}
			golden(t, test.golden, r.out)
		})
	}
}

func TestExplain(t *testing.T) {
	for _, test := range []struct{ name, golden, image string }{
		{"a failed image", "explain-failed.txt", "demo/app:latest"},
		{"a passed image of a registry", "explain-passed.txt", "registry.example.com/team/good:v2"},
		{"an image that ran outside its sandbox", "explain-error.txt", "web-1"},
		{"an entry without status", "explain-pending.txt", "other:v9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := runCLI("", clusterOf(allEntries()...), "explain", test.image)
			if r.status != 0 || r.errOut != "" {
				t.Fatalf("status %d: %s", r.status, r.errOut)
			}
			golden(t, test.golden, r.out)
		})
	}
	r := runCLI("", clusterOf(allEntries()...), "explain", "-A", digestA, "-o", "json")
	if r.status != 0 {
		t.Fatal(r.errOut)
	}
	golden(t, "explain-three.json", r.out)
}

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
		{"demo/app@" + digestB, false, "app-bad-1"},
		{"demo/app:anything@" + digestB, false, "app-bad-1"},
		{registryHost + "/demo/app:latest", false, "app-bad-1"},
		{registryHost + "/demo/app@" + digestB, false, "app-bad-1"},
		{"localhost:5001/demo/app:latest", false, "app-bad-1"},
		{"localhost/demo/app@" + digestB, false, "app-bad-1"},
		{"registry.example.com/team/good:v2", false, "team-good-1"},
		{"mirror.example.com/team/good:v2", false, "team-good-1"},
		{digestB, false, "other-1 app-bad-1"},
		{"sha256:c42372", false, "other-1 app-bad-1"},
		{"sha256:cb61bde6", true, "web-1 team-good-1 old-1"},
		{"old", true, "old-1"},
		{"old", false, ""},
		{"demo/app:v9", false, ""},
		{"demo/app@" + digestA, false, ""},
		{"other/app:latest", false, ""},
		{"team/good:v2", false, ""},
		{"sha256:000000", true, ""},
	} {
		t.Run(test.image, func(t *testing.T) {
			q, err := parseQuery(test.image)
			if err != nil {
				t.Fatal(err)
			}
			entries := allEntries()
			if !test.all {
				entries = entries[:4] // those of the namespace demo
			}
			found, _ := q.find(entries)
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
		{"no such name", []string{"explain", "nobody"}, 1, `error: there is no verification named "nobody", or of an ImageStream of that name in namespace "demo"; ` +
			"there are demo/app (latest, v1); demo/other (v9); demo/web (latest); registry.example.com/team/good (v2)\n"},
		{"nothing in the namespace", []string{"explain", "demo/app", "-n", "empty"}, 1,
			`error: there is no verification of repository "demo/app" in namespace "empty"; there are none at all; with -A you look in every namespace` + "\n"},
		{"no such entry", []string{"get", "x", "-n", "empty"}, 1, `error: there is no verification "x" in namespace "empty"; there are none at all; with -A you look in every namespace` + "\n"},
		{"an entry of another phase", []string{"get", "app-bad-1", "--phase", "Passed"}, 1, `error: the verification "app-bad-1" in namespace "demo" is not of this trigger and phase` + "\n"},
		{"an empty namespace", []string{"get", "-n", "empty"}, 0, `There are no verifications in namespace "empty": nothing was pushed that an ImageTrigger admits.` + "\n" +
			"With -A you look in every namespace; 'kubectl get imagetriggers' tells whether the triggers are ready.\n"},
		{"none of this trigger", []string{"get", "--trigger", "x"}, 0, `None of the 4 verifications in namespace "demo" is of this trigger and phase.` + "\n"},
		{"an unknown phase", []string{"get", "--phase", "Done"}, 2, `error: unknown phase "Done"; there are Pending, Requested, Running, Passed, Failed, Error, Skipped` + "\nSee 'kubectl revet get --help'.\n"},
		{"an unknown output", []string{"explain", "x", "-o", "xml"}, 2, `error: unknown output "xml"; there are text, json, yaml` + "\nSee 'kubectl revet explain --help'.\n"},
		{"a short digest", []string{"explain", "sha256:c4"}, 2, `error: digest "sha256:c4" must have 6 to 64 hexadecimal digits after sha256:` + "\nSee 'kubectl revet explain --help'.\n"},
		{"a bad tag", []string{"explain", "demo/app:a b"}, 2, `error: tag "a b" is not valid` + "\nSee 'kubectl revet explain --help'.\n"},
		{"no tag", []string{"explain", "demo/app:"}, 2, `error: image "demo/app:" is not repository:tag` + "\nSee 'kubectl revet explain --help'.\n"},
		{"an empty name", []string{"explain", ""}, 2, "error: NAME or IMAGE must not be empty\nSee 'kubectl revet explain --help'.\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := runCLI("", clusterOf(allEntries()...), test.args...)
			if r.status != test.status {
				t.Errorf("status %d, want %d", r.status, test.status)
			}
			if diff := cmp.Diff(test.want, r.errOut); diff != "" {
				t.Errorf("standard error (-want +got):\n%s", diff)
			}
			if r.out != "" {
				t.Errorf("standard output: %s", r.out)
			}
		})
	}
}

// What a host name's difference, or several matches, means is said beside the story.
func TestExplainSaysHowItMatched(t *testing.T) {
	r := runCLI("", clusterOf(allEntries()...), "explain", "localhost:5001/demo/app")
	if diff := cmp.Diff("No entry has the host of \"localhost:5001/demo/app\"; these have its path.\n", r.errOut); diff != "" || r.status != 0 {
		t.Errorf("status %d, standard error (-want +got):\n%s", r.status, diff)
	}
	r = runCLI("", clusterOf(allEntries()...), "explain", digestB)
	if diff := cmp.Diff("2 verifications match, the newest push first.\n", r.errOut); diff != "" || r.status != 0 {
		t.Errorf("status %d, standard error (-want +got):\n%s", r.status, diff)
	}
}

// What an API server answers gets its cure.
func TestErrorsOfTheClusterSayTheCure(t *testing.T) {
	failing := errors.New("the server is on fire")
	connect := func(*clusterFlags) (cluster, error) {
		c := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
			List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return failing },
		})
		return cluster{Reader: c, namespace: "demo"}, nil
	}
	r := runCLI("", connect, "get")
	want := `error: listing ImageVerifications in namespace "demo": the server is on fire` + "\n"
	if diff := cmp.Diff(want, r.errOut); diff != "" || r.status != 1 {
		t.Errorf("status %d, standard error (-want +got):\n%s", r.status, diff)
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
		{"outputs", []string{"explain", "-o", ""}, []string{"text", "json", "yaml"}},
		{"shells", []string{"completion", ""}, []string{"bash", "zsh", "fish", "powershell"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := runCLI("", clusterOf(allEntries()...), append([]string{"__complete"}, test.args...)...)
			var got []string
			for line := range strings.Lines(r.out) {
				if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, ":") {
					got = append(got, line)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("completions (-want +got):\n%s", diff)
			}
		})
	}
	down := func(*clusterFlags) (cluster, error) { return cluster{}, errors.New("down") }
	if r := runCLI("", down, "__complete", "get", ""); r.status != 0 || strings.Contains(r.errOut, "down") {
		t.Errorf("status %d while the cluster is down: %s", r.status, r.errOut)
	}
}
