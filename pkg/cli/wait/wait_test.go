package wait

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

const web = "registry.example.com/shop/web"

// entry is one of the shop's images, as a trigger's.
func entry(name, trigger string, change ...func(*v1alpha1.ImageVerification)) *v1alpha1.ImageVerification {
	push := commandtest.Record("v1", time.Minute, time.Second, v1alpha1.SourceWebhook)
	e := commandtest.Entry(name, "demo/x", commandtest.DigestA, push)
	e.Spec.Trigger.Name = trigger
	e.Spec.Repository = v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: web, Pull: web}
	for _, c := range change {
		c(&e)
	}
	return &e
}

// ended is an entry whose run ended in a phase.
func ended(phase v1alpha1.Phase, reason, message string) func(*v1alpha1.ImageVerification) {
	return func(e *v1alpha1.ImageVerification) {
		e.Status = v1alpha1.ImageVerificationStatus{Phase: phase, Reason: reason, Message: message,
			Tags: []v1alpha1.TagStatus{{PushRecord: e.Spec.FirstPush, Run: 1}}}
		outcome := map[v1alpha1.Phase]v1alpha1.Outcome{v1alpha1.PhasePassed: v1alpha1.OutcomePass, v1alpha1.PhaseFailed: v1alpha1.OutcomeFail}[phase]
		if outcome != "" {
			e.Status.Verdict = &v1alpha1.Verdict{Outcome: outcome, Run: e.Name + "-run", Number: 1, At: *commandtest.Second(30 * time.Second)}
		}
	}
}

func passedRun(e *v1alpha1.ImageVerification) { ended(v1alpha1.PhasePassed, "Passed", "")(e) }
func failedRun(e *v1alpha1.ImageVerification) {
	ended(v1alpha1.PhaseFailed, "Failed", "2 rules did not hold")(e)
}
func running(e *v1alpha1.ImageVerification) {
	e.Status = v1alpha1.ImageVerificationStatus{Phase: v1alpha1.PhaseRunning, Reason: "Running"}
}
func skipped(e *v1alpha1.ImageVerification) {
	ended(v1alpha1.PhaseSkipped, "Filtered", "the filter left it out")(e)
}

// What the ledger says of one image decides the exit status.
func TestWaitJudgesWhatTheLedgerSays(t *testing.T) {
	pushedAgain := func(e *v1alpha1.ImageVerification) {
		again := commandtest.Record("v2", time.Second, 0, v1alpha1.SourceWebhook)
		e.Status.Tags = append(e.Status.Tags, v1alpha1.TagStatus{PushRecord: again})
	}
	for _, test := range []struct {
		name    string
		entries []client.Object
		args    []string
		status  int
		want    string
	}{
		{"a pass", []client.Object{entry("a", "prod", passedRun)}, nil, 0, web + "@" + commandtest.DigestA + " passed\n"},
		{"a failure", []client.Object{entry("a", "prod", failedRun)}, nil, 1,
			"error: 1 of 1 images failed:\n  " + web + "@" + commandtest.DigestA + ": Failed: 2 rules did not hold; see: kubectl revet explain a -n demo"},
		{"an error", []client.Object{entry("a", "prod", ended(v1alpha1.PhaseError, "Vanished", "it was deleted"))}, nil, 2,
			"error: 1 of 1 images will have no verdict:"},
		{"nothing was recorded", nil, nil, 2, "not recorded yet; does an ImageTrigger select it? kubectl revet doctor -n demo"},
		{"a run is under way", []client.Object{entry("a", "prod", running)}, nil, 2, "have no verdict after 1m0s:\n  " + web + "@" + commandtest.DigestA + ": Running"},
		{"an entry without a status", []client.Object{entry("a", "prod")}, nil, 2, "Pending"},
		{"a pass, and a push that is not decided", []client.Object{entry("a", "prod", passedRun, pushedAgain)}, nil, 2, "have no verdict after"},
		{"a failure, and a push that is not decided", []client.Object{entry("a", "prod", failedRun, pushedAgain)}, nil, 2, "have no verdict after"},
		{"a pass, and a request that is not decided", []client.Object{entry("a", "prod", passedRun, func(e *v1alpha1.ImageVerification) { e.Spec.Requests = []string{"jane-1"} })},
			nil, 2, "have no verdict after"},
		{"one trigger passed it and another failed it", []client.Object{entry("a", "prod", passedRun), entry("b", "other", failedRun)}, nil, 1, "see: kubectl revet explain b"},
		{"one trigger failed it while another runs", []client.Object{entry("a", "prod", running), entry("b", "other", failedRun)}, nil, 1, "see: kubectl revet explain b"},
		{"only the named trigger counts", []client.Object{entry("a", "prod", passedRun), entry("b", "other", failedRun)}, []string{"--trigger", "prod"}, 0, " passed"},
		{"one passed and one runs", []client.Object{entry("a", "prod", passedRun), entry("b", "other", running)}, nil, 2, "Running"},
		{"one passed and one errs", []client.Object{entry("a", "prod", passedRun), entry("b", "other", ended(v1alpha1.PhaseError, "Vanished", ""))}, nil, 2, "will have no verdict"},
		{"one passed and one was left out", []client.Object{entry("a", "prod", passedRun), entry("b", "other", skipped)}, nil, 0, " passed"},
		{"every trigger left it out", []client.Object{entry("b", "other", skipped)}, nil, 2, "will have no verdict:\n  " + web + "@" + commandtest.DigestA + ": Skipped: Filtered"},
		{"its trigger is gone", []client.Object{entry("b", "other", ended(v1alpha1.PhaseSkipped, "TriggerDeleted", "gone"), pushedAgain)}, nil, 2, "will have no verdict"},
		{"a pass without a verdict", []client.Object{entry("a", "prod", passedRun, func(e *v1alpha1.ImageVerification) { e.Status.Verdict = nil })}, nil, 2,
			"no record of what the verdict rests on; have it verified again: kubectl revet replay a -n demo"},
		{"a pass that is old", []client.Object{entry("a", "prod", passedRun, func(e *v1alpha1.ImageVerification) { e.Status.Verdict.At = *commandtest.Second(time.Hour) })},
			[]string{"--max-age", "1h"}, 2, "it passed 1h0m0s ago, which is longer than 1h0m0s; have it verified again"},
		{"a pass of the future", []client.Object{entry("a", "prod", passedRun, func(e *v1alpha1.ImageVerification) { e.Status.Verdict.At = *commandtest.Second(-time.Hour) })},
			[]string{"--max-age", "1h"}, 2, "it passed at 2026-11-21T13:00:00Z, which has not come; check the clocks"},
		{"a pass that is young enough", []client.Object{entry("a", "prod", passedRun)}, []string{"--max-age", "1h"}, 0, " passed"},
		{"the digest of another repository", []client.Object{entry("a", "prod", passedRun, func(e *v1alpha1.ImageVerification) {
			e.Spec.Repository.Name, e.Spec.Repository.Pull = "registry.example.com/shop/api", "registry.example.com/shop/api"
		})}, nil, 2, "not recorded yet"},
		{"the same path under the registry's other name", []client.Object{entry("a", "prod", passedRun, func(e *v1alpha1.ImageVerification) {
			e.Spec.Repository.Name, e.Spec.Repository.Pull = "registry.internal:5000/shop/web", "registry.internal:5000/shop/web"
		})}, nil, 0, " passed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, connect := commandtest.Writable(t, interceptor.Funcs{}, test.entries...)
				args := append([]string{"wait", web + "@" + commandtest.DigestA, "--timeout", "1m"}, test.args...)
				r := commandtest.Run(New, "", connect, args...)
				if r.Status != test.status || !strings.Contains(r.ErrOut+r.Out, test.want) {
					t.Errorf("status %d, errors %q, output %q; want status %d and %q", r.Status, r.ErrOut, r.Out, test.status, test.want)
				}
				if r.Status != 0 && r.Out != "" {
					t.Errorf("standard output is %q though not every image passed", r.Out)
				}
			})
		})
	}
}

// The command waits for every image, tells what changes once each, and prints the digests in
// the order that was asked for.
func TestWaitForSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nginx := entry("b", "prod", running, func(e *v1alpha1.ImageVerification) {
			e.Spec.Digest = commandtest.DigestB
			e.Spec.Repository.Name, e.Spec.Repository.Pull = "docker.io/library/nginx", "docker.io/library/nginx"
		})
		c, connect := commandtest.Writable(t, interceptor.Funcs{}, nginx)
		go func() {
			time.Sleep(readEvery * 3 / 2)
			if err := c.Create(t.Context(), entry("a", "prod", running)); err != nil {
				t.Error(err)
			}
			time.Sleep(readEvery)
			passedRun(nginx)
			if err := c.Update(t.Context(), nginx); err != nil {
				t.Error(err)
			}
			time.Sleep(readEvery)
			var a v1alpha1.ImageVerification
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: "demo", Name: "a"}, &a); err != nil {
				t.Error(err)
			}
			passedRun(&a)
			if err := c.Update(t.Context(), &a); err != nil {
				t.Error(err)
			}
		}()
		r := commandtest.Run(New, "", connect, "wait", "nginx@"+commandtest.DigestB, web+"@"+commandtest.DigestA, "-o", "digests")
		want := "nginx@" + commandtest.DigestB + ": Running\n" + web + "@" + commandtest.DigestA + ": not recorded yet\n" +
			web + "@" + commandtest.DigestA + ": Running\nnginx@" + commandtest.DigestB + ": Passed\n" + web + "@" + commandtest.DigestA + ": Passed\n"
		if r.Status != 0 || r.Out != commandtest.DigestB+"\n"+commandtest.DigestA+"\n" || r.ErrOut != want {
			t.Errorf("status %d, output %q, errors:\n%s\nwant:\n%s", r.Status, r.Out, r.ErrOut, want)
		}
	})
}

// A failure ends the waiting for the others, and nothing is printed that a script might use.
func TestWaitEndsAtTheFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := entry("b", "prod", running, func(e *v1alpha1.ImageVerification) { e.Spec.Digest = commandtest.DigestB })
		_, connect := commandtest.Writable(t, interceptor.Funcs{}, entry("a", "prod", failedRun), other)
		began := time.Now()
		r := commandtest.Run(New, "", connect, "wait", web+"@"+commandtest.DigestB, web+"@"+commandtest.DigestA, "-o", "digests")
		if r.Status != 1 || r.Out != "" || !strings.Contains(r.ErrOut, "1 of 2 images failed") || time.Since(began) > readEvery {
			t.Errorf("status %d after %s, output %q, errors %q", r.Status, time.Since(began), r.Out, r.ErrOut)
		}
	})
}

// What passed first is looked at again before the command succeeds: its verdict may have turned
// while others ran, or its entry may be gone.
func TestWaitLooksAgainAtWhatPassedFirst(t *testing.T) {
	first := entry("a", "prod", passedRun)
	for _, test := range []struct {
		name   string
		change func(context.Context, client.Client) error
		status int
		want   string
	}{
		{"it failed", func(ctx context.Context, c client.Client) error {
			var turned v1alpha1.ImageVerification
			if err := c.Get(ctx, client.ObjectKeyFromObject(first), &turned); err != nil {
				return err
			}
			failedRun(&turned)
			return c.Update(ctx, &turned)
		}, 1, "1 of 2 images failed"},
		{"it was deleted", func(ctx context.Context, c client.Client) error {
			return c.Delete(ctx, first.DeepCopy())
		}, 2, "not recorded yet"},
		{"it stands", func(context.Context, client.Client) error { return nil }, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				second := entry("b", "prod", running, func(e *v1alpha1.ImageVerification) { e.Spec.Digest = commandtest.DigestB })
				c, connect := commandtest.Writable(t, interceptor.Funcs{}, first.DeepCopy(), second)
				go func() {
					time.Sleep(readEvery * 3 / 2)
					passedRun(second)
					if err := errors.Join(test.change(t.Context(), c), c.Update(t.Context(), second)); err != nil {
						t.Error(err)
					}
				}()
				r := commandtest.Run(New, "", connect, "wait", web+"@"+commandtest.DigestA, web+"@"+commandtest.DigestB, "-o", "digests", "--timeout", "1m")
				if r.Status != test.status || !strings.Contains(r.ErrOut, test.want) || (r.Out == "") != (test.status != 0) {
					t.Errorf("status %d, output %q, errors %q; want status %d and %q", r.Status, r.Out, r.ErrOut, test.status, test.want)
				}
			})
		})
	}
}

// What passed first is not known to pass if the time runs out before it was looked at again.
func TestWaitWithoutTimeToLookAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := entry("b", "prod", running, func(e *v1alpha1.ImageVerification) { e.Spec.Digest = commandtest.DigestB })
		asked := 0
		c, connect := commandtest.Writable(t, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if asked++; asked > 3 { // both, and the second again
				<-ctx.Done()
				return ctx.Err()
			}
			return c.List(ctx, l, opts...)
		}}, entry("a", "prod", passedRun), second)
		go func() {
			time.Sleep(readEvery / 2)
			passedRun(second)
			if err := c.Update(t.Context(), second); err != nil {
				t.Error(err)
			}
		}()
		r := commandtest.Run(New, "", connect, "wait", web+"@"+commandtest.DigestA, web+"@"+commandtest.DigestB, "--timeout", "1m")
		if r.Status != 2 || r.Out != "" || !strings.Contains(r.ErrOut, "2 of 2 images have no verdict after 1m0s") ||
			!strings.Contains(r.ErrOut, "was not looked at again in time") {
			t.Errorf("status %d, output %q, errors %q", r.Status, r.Out, r.ErrOut)
		}
	})
}

// What cannot be read for a moment is waited for; what never can be ends at once; and an API
// server that does not select by digest is asked for everything.
func TestWaitThroughTrouble(t *testing.T) {
	resource := schema.GroupResource{Group: "revet.dev", Resource: "imageverifications"}
	first := func(answer error) interceptor.Funcs {
		asked := 0
		return interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if asked++; asked == 1 {
				return answer
			}
			return c.List(ctx, l, opts...)
		}}
	}
	for _, test := range []struct {
		name   string
		answer error
		status int
		want   string
	}{
		{"a connection that fails once", errors.New("connection refused"), 0, "not known, as the ledger could not be read"},
		{"no right to list", apierrors.NewForbidden(resource, "", errors.New("no")), 2, "kubectl create rolebinding revet-wait"},
		{"no selection by digest", apierrors.NewBadRequest("field label not supported: spec.digest"), 0, " passed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, connect := commandtest.Writable(t, first(test.answer), entry("a", "prod", passedRun))
				r := commandtest.Run(New, "", connect, "wait", web+"@"+commandtest.DigestA)
				if r.Status != test.status || !strings.Contains(r.ErrOut+r.Out, test.want) {
					t.Errorf("status %d, errors %q, output %q; want %d and %q", r.Status, r.ErrOut, r.Out, test.status, test.want)
				}
			})
		})
	}
}

// The structured output names the verdicts.
func TestWaitPrintsTheVerdicts(t *testing.T) {
	_, connect := commandtest.Writable(t, interceptor.Funcs{}, entry("a", "prod", passedRun))
	r := commandtest.Run(New, "", connect, "wait", web+"@"+commandtest.DigestA, "-o", "json")
	want := `[
  {
    "image": "` + web + "@" + commandtest.DigestA + `",
    "digest": "` + commandtest.DigestA + `",
    "verdicts": [
      {
        "namespace": "demo",
        "trigger": "prod",
        "entry": "a",
        "run": "a-run",
        "at": "2026-11-21T11:59:30Z"
      }
    ]
  }
]
`
	if r.Status != 0 || r.Out != want {
		t.Errorf("status %d, output:\n%s\nwant:\n%s", r.Status, r.Out, want)
	}
}

// Bad command lines are usage errors that name the cure.
func TestWaitRefusesBadCommandLines(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "name at least one IMAGE@DIGEST"},
		{[]string{web + ":v1"}, "is not IMAGE@DIGEST; a tag may stand for another digest"},
		{[]string{commandtest.DigestA}, "is not IMAGE@DIGEST"},
		{[]string{web + "@sha256:12"}, "sha256"},
		{[]string{web + "@" + commandtest.DigestA, "--for", "failed"}, "passed is the only choice"},
		{[]string{web + "@" + commandtest.DigestA, "--timeout", "0s"}, "must be positive"},
		{[]string{web + "@" + commandtest.DigestA, "--max-age", "-1h"}, "must not be negative"},
		// Whoever edits some namespace makes verdicts there.
		{[]string{web + "@" + commandtest.DigestA, "-A"}, "'A' in -A"},
		{[]string{web + "@" + commandtest.DigestA, "--all-namespaces"}, "unknown flag: --all-namespaces"},
		{[]string{web + "@" + commandtest.DigestA, "-o", "wide"}, "allowed: digests, json, yaml"},
	} {
		r := commandtest.Run(New, "", nil, append([]string{"wait"}, test.args...)...)
		if r.Status != 2 || !strings.Contains(r.ErrOut, test.want) {
			t.Errorf("%q: status %d, %q; want 2 and %q", test.args, r.Status, r.ErrOut, test.want)
		}
	}
}
