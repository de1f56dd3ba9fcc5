package replay

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// replayWorld has a trigger in each state: prod is ready, nightly is not, and that
// of team-b was made anew.
func replayWorld() []client.Object {
	nightly := commandtest.TriggerOf("demo", "nightly", "")
	nightly.MarkSinkUnresolved("SinkNotFound", `there is no EventListener "scan" in namespace "demo"; create it`, commandtest.Now)
	objects := []client.Object{commandtest.TriggerOf("demo", "prod", ""), nightly, commandtest.TriggerOf("team-b", "prod", "another")}
	for _, e := range commandtest.AllEntries() {
		objects = append(objects, e.DeepCopy())
	}
	running := commandtest.Entry("busy-1", "demo/busy", commandtest.DigestB, commandtest.Record("v1", time.Hour, time.Second, v1alpha1.SourceEvent))
	running.Status.Phase, running.Status.RunCount = v1alpha1.PhaseRunning, 3
	running.Status.Tags = []v1alpha1.TagStatus{{PushRecord: running.Spec.FirstPush, Run: 3}}
	running.Status.Runs = []v1alpha1.RunStatus{{Number: 3, Name: "busy-3", ConfirmedAt: commandtest.Micro(time.Minute)}}
	newer := commandtest.Entry("app-good-1", "demo/app", commandtest.DigestA, commandtest.Record("latest", time.Minute, time.Second, v1alpha1.SourceEvent))
	newer.Status.Phase = v1alpha1.PhasePassed
	newer.Status.Tags = []v1alpha1.TagStatus{{PushRecord: newer.Spec.FirstPush, Run: 1}}
	return append(objects, &running, &newer)
}

func requestsOf(t *testing.T, c client.Client) map[string][]string {
	t.Helper()
	var l v1alpha1.ImageVerificationList
	if err := c.List(t.Context(), &l); err != nil {
		t.Fatal(err)
	}
	requests := map[string][]string{}
	for _, e := range l.Items {
		if len(e.Spec.Requests) > 0 {
			requests[e.Name] = e.Spec.Requests
		}
	}
	return requests
}

const replayID = "jane-20261121T120000Z-x7k2q9"

// Each line says what is asked for and what will happen; only what is accepted
// is asked for.
func TestReplay(t *testing.T) {
	for _, test := range []struct {
		name, golden string
		args         []string
		status       int
		errOut       string
		asked        []string
	}{
		{"the newest push of a tag", "tag.txt", []string{"demo/app:latest"}, 0,
			"1 older pushes of tag \"latest\" are not run again; --all includes them.\nFollow with: kubectl revet explain app-good-1 -n demo\n", []string{"app-good-1"}},
		{"every push of a tag", "all.txt", []string{"demo/app:latest", "--all"}, 0,
			"Follow with: kubectl revet explain app-good-1 -n demo\n", []string{"app-bad-1", "app-good-1"}},
		{"an entry under way, by name", "busy.txt", []string{"busy-1"}, 0, "Follow with: kubectl revet explain busy-1 -n demo\n", []string{"busy-1"}},
		{"an entry that has not been run", "pending.txt", []string{"other-1"}, 0, "Follow with: kubectl revet explain other-1 -n demo\n", []string{"other-1"}},
		{"a trigger that is not ready", "notready.txt", []string{"team-good-1"}, 0, "Follow with: kubectl revet explain team-good-1 -n demo\n", []string{"team-good-1"}},
		{"a trigger that is gone", "gone.txt", []string{"old-1", "-n", "team-b"}, 1, "error: no request was made\n", nil},
		{"all that failed", "failed.txt", []string{"--failed", "-A"}, 0, "Follow with: kubectl revet explain app-bad-1 -n demo\n", []string{"app-bad-1", "web-1"}},
		{"all errors", "error.txt", []string{"--error", "--trigger", "prod"}, 0, "Follow with: kubectl revet explain web-1 -n demo\n", []string{"web-1"}},
		{"none that failed", "", []string{"--failed", "--trigger", "nightly"}, 0, "None of the 1 verifications in namespace \"demo\" is in this phase.\n", nil},
		{"a repository alone", "", []string{"demo/app"}, 2, "error: 2 verifications match; name a tag or a digest, or select all of them with --all\nSee 'kubectl revet replay --help'.\n", nil},
		{"an image that is not there", "", []string{"demo/app:v9", "--trigger", "nightly"}, 1,
			"error: there is no verification of repository \"demo/app\" and tag \"v9\" in namespace \"demo\"; there are registry.example.com/team/good (v2)\n", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, dry := range []bool{true, false} {
				c, connect := commandtest.Writable(t, interceptor.Funcs{}, replayWorld()...)
				args := append([]string{"replay"}, test.args...)
				want := map[string][]string{}
				if dry {
					args = append(args, "--dry-run")
				} else {
					for _, name := range test.asked {
						want[name] = []string{replayID}
					}
				}
				r := commandtest.Run(New, "", connect, args...)
				errOut := test.errOut
				if dry {
					errOut, _, _ = strings.Cut(errOut, "Follow with")
					r.Out = strings.ReplaceAll(r.Out, " (dry run)", "")
				}
				if r.Status != test.status {
					t.Errorf("status %d, want %d", r.Status, test.status)
				}
				if diff := cmp.Diff(errOut, r.ErrOut); diff != "" {
					t.Errorf("standard error (-want +got):\n%s", diff)
				}
				if test.golden != "" {
					commandtest.Golden(t, test.golden, r.Out)
				} else if r.Out != "" {
					t.Errorf("standard output: %s", r.Out)
				}
				if diff := cmp.Diff(want, requestsOf(t, c)); diff != "" {
					t.Errorf("requests, dry run %v (-want +got):\n%s", dry, diff)
				}
			}
		})
	}
}

// What others write meanwhile stays, and the request is not lost either.
func TestReplayLosesNobodysWrite(t *testing.T) {
	raced := false
	hooks := interceptor.Funcs{Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
		if !raced {
			raced = true
			var e v1alpha1.ImageVerification
			if err := c.Get(ctx, client.ObjectKeyFromObject(o), &e); err != nil {
				return err
			}
			e.Spec.Requests = append(e.Spec.Requests, "another")
			if err := c.Update(ctx, &e); err != nil {
				return err
			}
		}
		return c.Update(ctx, o, opts...)
	}}
	c, connect := commandtest.Writable(t, hooks, replayWorld()...)
	if r := commandtest.Run(New, "", connect, "replay", "web-1"); r.Status != 0 {
		t.Fatalf("status %d: %s", r.Status, r.ErrOut)
	}
	if diff := cmp.Diff(map[string][]string{"web-1": {"another", replayID}}, requestsOf(t, c)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// Who may not ask is told what to ask for.
func TestReplayNamesTheRight(t *testing.T) {
	hooks := interceptor.Funcs{Update: func(context.Context, client.WithWatch, client.Object, ...client.UpdateOption) error {
		return apierrors.NewForbidden(schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "imageverifications"}, "web-1", fmt.Errorf("no RBAC policy matched"))
	}}
	_, connect := commandtest.Writable(t, hooks, replayWorld()...)
	r := commandtest.Run(New, "", connect, "replay", "web-1")
	if want := "kubectl create rolebinding replay -n demo --clusterrole=revet-replay --user=NAME\n"; r.Status != 1 || !strings.HasSuffix(r.ErrOut, want) {
		t.Errorf("status %d, standard error %q; want status 1 and %q at its end", r.Status, r.ErrOut, want)
	}
}

// unjudgedWorld has entries that were judged without a verdict, the oldest last, one that has
// a verdict, one that was not judged, and one whose run is asked for.
func unjudgedWorld() []client.Object {
	objects := []client.Object{commandtest.TriggerOf("demo", "prod", "")}
	for i, phase := range []v1alpha1.Phase{v1alpha1.PhasePassed, v1alpha1.PhaseError, v1alpha1.PhaseFailed, v1alpha1.PhasePassed, v1alpha1.PhaseError, v1alpha1.PhasePassed} {
		first := commandtest.Record("v1", time.Duration(i+1)*time.Hour, 0, v1alpha1.SourceEvent)
		e := commandtest.Entry(fmt.Sprintf("old-%d", i), "demo/app", commandtest.DigestA, first)
		e.Status.Phase, e.Status.RunCount = phase, 2
		e.Status.Tags = []v1alpha1.TagStatus{{PushRecord: first, Run: 1}}
		e.Status.Runs = []v1alpha1.RunStatus{{Number: 1, Outcome: v1alpha1.OutcomePass}, {Number: 2, Outcome: v1alpha1.OutcomeError}}
		switch i {
		case 3:
			e.Status.Verdict = &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass, Run: "r", Number: 1}
		case 4:
			e.Status.Runs = e.Status.Runs[1:]
		case 5:
			e.Spec.Requests = []string{"renewal/before"}
		}
		objects = append(objects, &e)
	}
	return objects
}

// Those that were judged without a verdict are asked for once, newest first and not all at
// once, and so that their runs go last.
func TestReplayWithoutVerdict(t *testing.T) {
	c, connect := commandtest.Writable(t, interceptor.Funcs{}, unjudgedWorld()...)
	id := "renewal/20261121T120000Z-x7k2q9"
	before := map[string][]string{"old-5": {"renewal/before"}}
	r := commandtest.Run(New, "", connect, "replay", "--without-verdict", "--limit", "2")
	if want := "1 verifications wait for the run that was asked for before.\n" +
		"1 older verifications are left; repeat the command when these have run.\n" +
		"Follow with: kubectl revet explain old-0 -n demo\n"; r.Status != 0 || r.ErrOut != want {
		t.Errorf("status %d, standard error %q, want %q", r.Status, r.ErrOut, want)
	}
	if n := strings.Count(r.Out, "runs when nothing else of ImageTrigger prod waits"); n != 2 {
		t.Errorf("%d lines say when it runs:\n%s", n, r.Out)
	}
	before["old-0"], before["old-1"] = []string{id}, []string{id}
	if diff := cmp.Diff(before, requestsOf(t, c)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	before["old-2"] = []string{id}
	for range 2 {
		if r := commandtest.Run(New, "", connect, "replay", "--without-verdict", "--trigger", "prod"); r.Status != 0 {
			t.Errorf("status %d: %s", r.Status, r.ErrOut)
		}
		if diff := cmp.Diff(before, requestsOf(t, c)); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	}
	if r := commandtest.Run(New, "", connect, "replay", "--without-verdict", "--trigger", "nightly"); r.Status != 0 ||
		r.ErrOut != "Of the 0 verifications in namespace \"demo\" none was judged without a verdict.\n" {
		t.Errorf("status %d: %s", r.Status, r.ErrOut)
	}
	for _, args := range [][]string{{"--failed"}, {"--error"}, {"--all"}, {"app-1"}, {"--limit", "0"}} {
		if r := commandtest.Run(New, "", connect, append([]string{"replay", "--without-verdict"}, args...)...); r.Status != 2 {
			t.Errorf("with %v the status is %d", args, r.Status)
		}
	}
}

// No person's request is taken for a renewal, whatever the person is called.
func TestNoPersonsRequestIsARenewal(t *testing.T) {
	cause := func(id string) v1alpha1.Cause { return v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: id} }
	for _, user := range []string{"renewal", "renewal/", "renewal/x", "/renewal/"} {
		if id := command.RequestID(command.ReadableUser(user), commandtest.Now, "x7k2q9"); lifecycle.Renewal(cause(id)) {
			t.Errorf("the request %q of user %q is a renewal", id, user)
		}
	}
	if id := renewalID(commandtest.Now, "x7k2q9"); !lifecycle.Renewal(cause(id)) || len(id) > 63 {
		t.Errorf("%q is no renewal, or too long", id)
	}
}
