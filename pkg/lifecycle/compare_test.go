package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Property: a PipelineRun with the entry's marks gives nothing before it was compared with what the
// listener makes, and nothing if it is something else. One that was compared is not compared again,
// though it may be made anew under its name.
func TestNextComparesARunBeforeItCounts(t *testing.T) {
	uncompared := func(change ...func(*lifecycle.PipelineRun)) lifecycle.RunObservation {
		o := ours(change...)
		o.Compared = ""
		return o
	}
	differing := ours()
	differing.Differs = "spec.pipelineSpec"
	done := func(pr *lifecycle.PipelineRun) { pr.Done, pr.Succeeded = true, true }
	again := func(pr *lifecycle.PipelineRun) { pr.UID = "other" }
	stale := ours(again)
	stale.Compared = "run-uid" // of the one before
	notConfirmable := trigger(func(t *lifecycle.Trigger) { t.Confirmable = false })
	for _, test := range []struct {
		name    string
		entry   *v1alpha1.ImageVerification
		trigger lifecycle.Trigger
		seen    lifecycle.RunObservation
		want    lifecycle.Decision
	}{
		{"a run that is found is compared", entry(with(fired(time.Second, 1, ""))), ready(), uncompared(), lifecycle.Decision{Action: lifecycle.Compare, Run: 1}},
		{"also one that is done already", entry(with(fired(time.Second, 1, ""))), ready(), uncompared(done), lifecycle.Decision{Action: lifecycle.Compare, Run: 1}},
		{"one that is something else is not ours", entry(with(fired(time.Second, 1, ""))), ready(), differing, lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.RunNameTaken, Run: 1}},
		{"what has other marks needs no comparison", entry(with(fired(time.Second, 1, ""))), ready(), uncompared(func(pr *lifecycle.PipelineRun) { pr.RunLabel = "" }),
			lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.RunNameTaken, Run: 1}},
		{"where nothing can be known it is taken", entry(with(fired(time.Second, 1, ""))), notConfirmable, uncompared(), lifecycle.Decision{Action: lifecycle.Confirm, Reason: lifecycle.Running, Run: 1}},
		{"one whose UID is recorded is not compared again", entry(with(confirmed(time.Minute, true))), ready(), uncompared(done), lifecycle.Decision{Action: lifecycle.Judge, Run: 1}},
		{"one that is made again is", entry(with(confirmed(time.Minute, true))), ready(), uncompared(again), lifecycle.Decision{Action: lifecycle.Compare, Run: 1}},
		{"also if it is done, and the one before was compared", entry(with(confirmed(time.Minute, true))), ready(), stale, lifecycle.Decision{Action: lifecycle.Compare, Run: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantNext(t, test.entry, known(test.trigger, test.seen), test.want)
		})
	}
	if d := lifecycle.Next(entry(with(fired(time.Second, 1, ""))), known(ready(), differing), now); !strings.Contains(d.Message, "spec.pipelineSpec") {
		t.Errorf("the message is %q", d.Message)
	}
}

// A request that is not recorded yet is recorded with its run only once that was compared, and
// without a run that is something else.
func TestNextComparesBeforeARequestIsRecordedWithItsRun(t *testing.T) {
	f := known(ready(), ours())
	f.Sent = &lifecycle.Sent{Run: name, Cause: push, At: now, Trigger: ready()}
	f.Run.Compared = ""
	e := entry()
	if d := lifecycle.Next(e, f, now); d.Action != lifecycle.Compare {
		t.Errorf("before it was compared: %+v", d)
	}
	f.Run.Compared, f.Run.Differs = f.Run.Run.UID, "spec.pipelineSpec"
	if d := lifecycle.Next(e, f, now); d.Action != lifecycle.RecordSent {
		t.Fatalf("afterwards: %+v", d)
	}
	lifecycle.RecordSentRequest(&e.Status, e, f, now)
	if run := e.Status.CurrentRun(); run == nil || run.UID != "" || run.ConfirmedAt != nil {
		t.Errorf("a run that is something else is recorded: %+v", run)
	}
	f.Run.Differs, e = "", entry()
	lifecycle.RecordSentRequest(&e.Status, e, f, now)
	if run := e.Status.CurrentRun(); run == nil || run.UID != f.Run.Run.UID {
		t.Errorf("the run is not recorded: %+v", run)
	}
}
