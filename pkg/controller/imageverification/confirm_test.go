package imageverification_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

const (
	// confirmWindow is how long a run may take to appear: lifecycle's.
	confirmWindow = 10 * time.Second
	// aLittle is longer than the time between two looks.
	aLittle = 4 * time.Second
)

func nothing(string, string, string) *pipelinev1.PipelineRun { return nil }

func (w *world) update(change func(*v1alpha1.ImageTrigger)) {
	w.t.Helper()
	change(w.trigger)
	w.must(w.client.Status().Update(w.t.Context(), w.trigger))
}

func notAllowed(tr *v1alpha1.ImageTrigger) {
	tr.MarkNotAuthorized("RunsNotAllowed", "the listener's account may not", pushed)
}

// A run that does not appear says where it shows why, as soon as it is known that
// it is not just slow, and so does what the trigger is told.
func TestARunThatDoesNotAppearSaysWhereToLook(t *testing.T) {
	w := newWorld(t)
	w.listener.set(http.StatusAccepted, nothing)
	key := w.push("v1", pushed)
	w.work(key, confirmWindow-time.Second)
	if e := w.entry(key); e.Status.Phase != v1alpha1.PhaseRequested || e.Status.Reason != "Requested" {
		t.Errorf("while it may be slow it is %s/%s", e.Status.Phase, e.Status.Reason)
	}
	if reason, _, err := w.reconciler.Trouble(t.Context(), w.trigger.UID); reason != "" || err != nil {
		t.Errorf("the trigger is told of %s, %v", reason, err)
	}
	w.work(key, time.Second+aLittle)
	const hint = "kubectl logs -n demo deploy/el-scan-and-validate"
	e := w.entry(key)
	if e.Status.Phase != v1alpha1.PhaseRequested || e.Status.Reason != "Unconfirmed" || !strings.Contains(e.Status.Message, hint) {
		t.Errorf("then it is %s/%s: %s", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
	if reason, message, err := w.reconciler.Trouble(t.Context(), w.trigger.UID); reason != "Unconfirmed" || !strings.Contains(message, hint) || err != nil {
		t.Errorf("the trigger is told of %s, %s, %v", reason, message, err)
	}
	w.listener.set(http.StatusAccepted, templated)
	w.work(key, time.Minute)
	if e := w.entry(key); e.Status.Phase != v1alpha1.PhaseRunning || e.Status.Message != "" || e.Status.Runs[0].Reason != "" {
		t.Errorf("once it appears it is %s: %s, %s", e.Status.Phase, e.Status.Message, e.Status.Runs[0].Reason)
	}
	if reason, _, err := w.reconciler.Trouble(t.Context(), w.trigger.UID); reason != "" || err != nil {
		t.Errorf("the trigger is still told of %s, %v", reason, err)
	}
}

// What a trigger lacks since a request was sent is what the entry says, and the
// request is sent again at once when it is mended.
func TestARequestThatMetABrokenTriggerIsSentAgainWhenItIsMended(t *testing.T) {
	for _, test := range []struct {
		name   string
		broken func(*v1alpha1.ImageTrigger)
		reason string
		mended func(*world, *v1alpha1.ImageTrigger)
	}{
		{"rights", notAllowed, "RunsNotAllowed", func(_ *world, tr *v1alpha1.ImageTrigger) { tr.MarkAuthorized("", pushed) }},
		{"listener", func(tr *v1alpha1.ImageTrigger) {
			tr.MarkSinkUnresolved("SinkNotFound", "there is none", pushed)
			tr.MarkTemplateUnknown("NotCheckable", "there is none", pushed)
		}, "SinkNotFound", func(w *world, tr *v1alpha1.ImageTrigger) {
			tr.MarkSinkResolved(w.listener.server.URL, pushed)
			tr.MarkTemplateAccepted(pushed)
		}},
		{"template", func(tr *v1alpha1.ImageTrigger) {
			tr.MarkTemplateRefused("ParamUnresolved", "reads what is not there", pushed)
		},
			"ParamUnresolved", func(_ *world, tr *v1alpha1.ImageTrigger) { tr.MarkTemplateAccepted(pushed) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.listener.set(http.StatusAccepted, nothing)
			key := w.push("v1", pushed)
			w.work(key, time.Second)
			w.update(test.broken)
			w.work(key, 3*time.Second)
			if e := w.entry(key); e.Status.Phase != v1alpha1.PhaseRequested || e.Status.Reason != test.reason {
				t.Errorf("entry is %s/%s", e.Status.Phase, e.Status.Reason)
			}
			if c := meta.FindStatusCondition(w.entry(key).Status.Conditions, v1alpha1.ConditionStarted); c == nil || c.Reason != test.reason {
				t.Errorf("condition Started is %+v", c)
			}
			w.work(key, 5*time.Minute)
			if got := w.listener.asked(); len(got) != 1 {
				t.Fatalf("%d requests while the trigger is broken, want none after the first", len(got))
			}
			w.listener.set(http.StatusAccepted, templated)
			w.update(func(tr *v1alpha1.ImageTrigger) { test.mended(w, tr) })
			w.work(key, time.Second)
			w.wantStory(key, story{v1alpha1.PhaseRunning, "Running", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 2, "", ""}}})
		})
	}
}

// Property: a request whose trigger breaks before it was recorded is recorded, and
// sent again when the trigger is mended.
func TestATriggerThatBreaksBetweenRequestAndRecord(t *testing.T) {
	for reason, change := range map[string][2]func(*v1alpha1.ImageTrigger){
		"RunsNotAllowed": {notAllowed, func(tr *v1alpha1.ImageTrigger) { tr.MarkAuthorized("", pushed) }},
		// What the template is when the request is recorded is not what it met.
		"NameNotRun": {func(tr *v1alpha1.ImageTrigger) { tr.MarkTemplateRefused("NameNotRun", "cure", pushed) },
			func(tr *v1alpha1.ImageTrigger) { tr.MarkTemplateAccepted(pushed) }},
	} {
		t.Run(reason, func(t *testing.T) {
			w := newWorld(t)
			w.listener.set(http.StatusAccepted, nothing)
			key := w.push("v1", pushed)
			if after, err := w.step(key); err != nil || after > 50*time.Millisecond {
				t.Fatalf("the first pass ends with %v, %v; want that it waits for the run", after, err)
			}
			w.update(change[0])
			w.work(key, 5*time.Second)
			w.wantStory(key, story{v1alpha1.PhaseRequested, reason, map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 1, "", ""}}})
			w.listener.set(http.StatusAccepted, templated)
			w.update(change[1])
			w.work(key, time.Second)
			w.wantStory(key, story{v1alpha1.PhaseRunning, "Running", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 2, "", ""}}})
		})
	}
}

// Property: what met a template that gives its runs names of their own is not
// asked for again, though the template was mended since.
func TestARunOfAnotherNameIsTheOnlyOne(t *testing.T) {
	w := newWorld(t)
	w.listener.set(http.StatusAccepted, func(run, entryUID, digest string) *pipelinev1.PipelineRun {
		pr := templated(run, entryUID, digest)
		pr.Name = "scan-x7k2p"
		return pr
	})
	key := w.push("v1", pushed)
	w.work(key, time.Second)
	w.update(func(tr *v1alpha1.ImageTrigger) { tr.MarkTemplateRefused("GenerateName", "cure", pushed) })
	w.work(key, 20*time.Second)
	w.listener.set(http.StatusAccepted, templated)
	w.update(func(tr *v1alpha1.ImageTrigger) { tr.MarkTemplateAccepted(pushed) })
	w.work(key, time.Hour)
	w.wantStory(key, story{v1alpha1.PhaseError, "Misnamed", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 1, v1alpha1.OutcomeError, "Misnamed"}}})
	if got := w.runs(); len(got) != 1 || !strings.Contains(w.entry(key).Status.Message, got[0].Name) {
		t.Errorf("%d PipelineRuns, and the entry says: %s", len(got), w.entry(key).Status.Message)
	}
}

// Property: what was sent once to a sink that could not be looked into is not sent
// again, though the trigger has another sink by then.
func TestWhatWasSentOnceStaysSo(t *testing.T) {
	for name, answer := range map[string]int{"and was taken": http.StatusAccepted, "and may have been taken": http.StatusBadGateway} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, unconfirmable)
			w.listener.set(answer, nothing)
			key := w.push("v1", pushed)
			w.work(key, time.Second)
			w.update(func(tr *v1alpha1.ImageTrigger) { tr.MarkTemplateAccepted(pushed) })
			w.work(key, time.Hour)
			w.wantStory(key, story{v1alpha1.PhaseError, "Unconfirmed", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 1, v1alpha1.OutcomeError, "Unconfirmed"}}})
			if got := w.listener.asked(); len(got) != 1 {
				t.Errorf("%d requests, want 1", len(got))
			}
		})
	}
}

// Property: a sink that says Retry-After is asked by nobody before.
func TestASinkThatAsksForAPauseHasIt(t *testing.T) {
	w := newWorld(t)
	w.listener.set(http.StatusTooManyRequests, templated)
	w.listener.after = "60"
	first := w.push("v1", pushed)
	w.work(first, time.Second)
	w.pass(30 * time.Second)
	w.work(first, time.Second)
	second := w.pushDigest("v2", numbered("11"), pushed)
	w.work(second, 5*time.Second)
	if got := w.listener.asked(); len(got) != 1 {
		t.Errorf("%d requests within a minute, want 1", len(got))
	}
	if e := w.entry(second); e.Status.Phase != v1alpha1.PhasePending || e.Status.Reason != "SinkRefused" || !strings.Contains(e.Status.Message, "before 2026-") {
		t.Errorf("a push that came meanwhile is %s/%s: %s", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
	w.listener.set(http.StatusAccepted, templated)
	w.pass(61 * time.Second)
	w.work(first, time.Second)
	w.work(second, time.Second)
	if a, b := w.entry(first).Status.Phase, w.entry(second).Status.Phase; a != v1alpha1.PhaseRunning || b != v1alpha1.PhaseRunning {
		t.Errorf("after it the pushes are %s and %s", a, b)
	}
}

// What the listener says of itself is told beside why it could not be reached.
func TestASinkThatDoubtsItselfIsQuoted(t *testing.T) {
	w := newWorld(t)
	w.update(func(tr *v1alpha1.ImageTrigger) {
		tr.MarkSinkDoubted(w.listener.server.URL, "SinkNotReady", "no Pod is available", pushed)
	})
	w.listener.server.Close()
	key := w.push("v1", pushed)
	w.work(key, 100*time.Millisecond)
	if e := w.entry(key); e.Status.Reason != "SinkUnreachable" || !strings.Contains(e.Status.Message, "connection refused: no Pod is available") {
		t.Errorf("entry is %s/%s: %s", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
}

// Property: what the sink refuses for good is sent once; the run ends with the cure, and a
// replay sends it again.
func TestARequestThatTheSinkRefusesForGoodIsSentOnce(t *testing.T) {
	for _, answer := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusUnauthorized, http.StatusPermanentRedirect} {
		t.Run(http.StatusText(answer), func(t *testing.T) {
			w := newWorld(t)
			w.listener.set(answer, templated)
			key := w.push("v1", pushed)
			w.work(key, time.Hour)
			w.wantStory(key, story{v1alpha1.PhaseError, "SinkRejected", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 1, v1alpha1.OutcomeError, "SinkRejected"}}})
			if got := w.listener.asked(); len(got) != 1 {
				t.Errorf("%d requests, want 1", len(got))
			}
			e := w.entry(key)
			for _, want := range []string{"the sink answered", "kubectl revet replay " + e.Name, "kubectl logs -n demo deploy/el-scan-and-validate"} {
				if !strings.Contains(e.Status.Message, want) {
					t.Errorf("message %q does not contain %q", e.Status.Message, want)
				}
			}
			w.listener.set(http.StatusAccepted, templated)
			e.Spec.Requests = []string{"please"}
			w.must(w.client.Update(t.Context(), e))
			w.work(key, time.Second)
			if e := w.entry(key); e.Status.Phase != v1alpha1.PhaseRunning || e.Status.Runs[1].Cause.Type != v1alpha1.CauseManual {
				t.Errorf("after a replay the entry is %s", e.Status.Phase)
			}
		})
	}
}
