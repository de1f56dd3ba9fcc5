package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// confirmWindow is how long a run may take to appear.
const confirmWindow = 10 * time.Second

// Property: only the PipelineRun with the name and the marks proves a run. Until it appears its
// request is sent again, unless that could start a second run.
func TestNextUntilARunIsConfirmed(t *testing.T) {
	gone := lifecycle.Trigger{Gone: true}
	unready := lifecycle.Trigger{Reason: "SinkNotFound", Message: "no such sink", Generation: 1, Freshness: time.Hour, Retries: 2}
	for _, test := range []struct {
		name    string
		entry   *v1alpha1.ImageVerification
		trigger lifecycle.Trigger
		seen    lifecycle.RunObservation
		want    lifecycle.Decision
	}{
		{"a run that was just requested is given time", entry(with(fired(5*time.Millisecond, 1, ""))), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Requested, After: 15 * time.Millisecond, Run: 1}},
		{"then the API server is asked", entry(with(fired(20*time.Millisecond, 1, ""))), ready(), nobody, lifecycle.Decision{Action: lifecycle.Look, Run: 1}},
		{"the looks grow apart", entry(with(fired(time.Second, 1, ""))), ready(), absent,
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Requested, After: time.Second, Run: 1}},
		{"but not beyond two seconds", entry(with(fired(5*time.Second, 1, ""))), ready(), absent,
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Requested, After: 2 * time.Second, Run: 1}},
		{"a run that does not appear is requested again", entry(with(fired(confirmWindow, 1, ""))), ready(), absent,
			lifecycle.Decision{Action: lifecycle.FireAgain, Reason: lifecycle.Requested, Run: 1}},
		{"a request that may not be repeated ends", entry(with(fired(confirmWindow, 1, ""))),
			trigger(func(t *lifecycle.Trigger) { t.Confirmable = false }), absent, lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.Unconfirmed, Run: 1}},
		{"a request that certainly did not arrive may be repeated", entry(with(fired(confirmWindow, 1, lifecycle.SinkUnreachable))),
			trigger(func(t *lifecycle.Trigger) { t.Confirmable = false }), absent, lifecycle.Decision{Action: lifecycle.FireOnce, Reason: lifecycle.SinkUnreachable, Run: 1}},
		{"one of which that is not known may not", entry(with(fired(confirmWindow, 1, lifecycle.SinkSilent))),
			trigger(func(t *lifecycle.Trigger) { t.Confirmable = false }), absent, lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.Unconfirmed, Run: 1}},
		{"one with a reason that is not known may not", entry(with(fired(confirmWindow, 1, "Whatever"))),
			trigger(func(t *lifecycle.Trigger) { t.Confirmable = false }), absent, lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.Unconfirmed, Run: 1}},
		{"a refused request is repeated sooner", entry(with(fired(320*time.Millisecond, 1, lifecycle.SinkRefused))), ready(), absent,
			lifecycle.Decision{Action: lifecycle.FireAgain, Reason: lifecycle.SinkRefused, Run: 1}},
		{"a run that was recorded and not fired is fired", entry(with(v1alpha1.RunStatus{})), ready(), absent,
			lifecycle.Decision{Action: lifecycle.FireAgain, Reason: lifecycle.Requested, Run: 1}},
		{"no request is repeated for a trigger that is not ready", entry(with(fired(time.Minute, 1, ""))), trigger(func(t *lifecycle.Trigger) { t.Ready = false; t.Reason = "SinkNotFound" }), absent,
			lifecycle.Decision{Action: lifecycle.Wait, Reason: "SinkNotFound", After: time.Minute, Run: 1, Hold: true}},
		{"no request is repeated for a trigger that is gone", entry(with(fired(time.Minute, 1, ""))), gone, absent,
			lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.TriggerDeleted, Run: 1}},
		{"what cannot be confirmed does not end while the trigger is not ready", entry(with(fired(time.Minute, 1, ""))),
			trigger(func(t *lifecycle.Trigger) { t.Ready, t.Confirmable, t.Reason = false, false, "GenerateName" }), absent,
			lifecycle.Decision{Action: lifecycle.Wait, Reason: "GenerateName", After: time.Minute, Run: 1, Hold: true}},
		{"what was sent once is not sent again, though the sink can be looked into by now", entry(with(fired(confirmWindow, 1, lifecycle.RequestedOnce))), ready(), absent,
			lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.Unconfirmed, Run: 1}},
		{"nor if the trigger is not ready by now", entry(with(fired(confirmWindow, 1, lifecycle.RequestedOnce))), unready, absent,
			lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.Unconfirmed, Run: 1}},
		{"what the trigger lacks is told before the run's time is up", entry(with(fired(3*time.Second, 1, ""))), unready, absent,
			lifecycle.Decision{Action: lifecycle.Wait, Reason: "SinkNotFound", After: 2 * time.Second, Run: 1, Hold: true}},
		{"but not while a run may just be slow", entry(with(fired(time.Second, 1, ""))), unready, absent,
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Requested, After: time.Second, Run: 1}},
		{"once the trigger is mended nothing more is waited for", entry(with(fired(3*time.Second, 1, "")), held("SinkNotFound")), ready(), absent,
			lifecycle.Decision{Action: lifecycle.FireAgain, Reason: lifecycle.Requested, Run: 1}},
		{"nor before a request that did not arrive is sent again", entry(with(fired(3*time.Second, 9, lifecycle.SinkUnreachable)), held("SinkNotFound")), ready(), nobody,
			lifecycle.Decision{Action: lifecycle.Look, Run: 1}},
		{"a sink that asked for a pause has it", entry(with(fired(time.Second, 1, lifecycle.SinkRefused))), pausing(time.Minute), absent,
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.SinkRefused, After: time.Minute, Run: 1, Hold: true}},
		{"a short pause is not worth a note", entry(with(fired(time.Second, 1, lifecycle.SinkRefused))), pausing(time.Second), absent,
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.SinkRefused, After: time.Second, Run: 1}},
		{"new pushes keep the pause too", entry(), pausing(time.Minute), nobody,
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.SinkRefused, After: time.Minute, Cause: push, Hold: true}},
		{"a run of ours is adopted", entry(with(fired(time.Second, 1, ""))), ready(), ours(), lifecycle.Decision{Action: lifecycle.Confirm, Reason: lifecycle.Running, Run: 1}},
		{"a run without our label is not", entry(with(fired(time.Second, 1, ""))), ready(), ours(func(pr *lifecycle.PipelineRun) { pr.RunLabel = "" }),
			lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.RunNameTaken, Run: 1}},
		{"a run of another entry is not", entry(with(fired(time.Second, 1, ""))), ready(), ours(func(pr *lifecycle.PipelineRun) { pr.EntryUID = "other" }),
			lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.RunNameTaken, Run: 1}},
		{"a run of another digest is not", entry(with(fired(time.Second, 1, ""))), ready(), ours(func(pr *lifecycle.PipelineRun) { pr.Digest = "" }),
			lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.RunNameTaken, Run: 1}},
		{"a run of another name is not", entry(with(fired(time.Second, 1, ""))), ready(), ours(func(pr *lifecycle.PipelineRun) { pr.Name = "other" }),
			lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.RunNameTaken, Run: 1}},
		{"a sight that is not known leads to a look", entry(with(fired(time.Second, 1, ""))), ready(), lifecycle.RunObservation{Name: name, Lookup: 99},
			lifecycle.Decision{Action: lifecycle.Look, Reason: lifecycle.Unknown, Run: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantNext(t, test.entry, known(test.trigger, test.seen), test.want)
		})
	}
}

// Property: a request is sent a second time only after the API server was asked for the
// run by name and by label, and never to a sink that answered for good.
func TestNextBeforeASecondRequest(t *testing.T) {
	rejected := func(ago time.Duration, attempts int32) *v1alpha1.ImageVerification {
		return entry(with(fired(ago, attempts, lifecycle.SinkRejected)))
	}
	unchecked := func(f *lifecycle.Facts) { f.Run.LabelChecked = false }
	for _, test := range []struct {
		name  string
		entry *v1alpha1.ImageVerification
		facts lifecycle.Facts
		want  lifecycle.Decision
	}{
		{"the label is looked for", entry(with(fired(confirmWindow, 1, ""))), facts(seen(absent), unchecked),
			lifecycle.Decision{Action: lifecycle.LookByLabel, Reason: lifecycle.Requested, Run: 1}},
		{"not before the first request", entry(with(v1alpha1.RunStatus{})), facts(seen(absent), unchecked),
			lifecycle.Decision{Action: lifecycle.FireAgain, Reason: lifecycle.Requested, Run: 1}},
		{"a run of another name ends it", entry(with(fired(confirmWindow, 1, ""))), facts(seen(lifecycle.RunObservation{Name: name, Lookup: lifecycle.Absent, LabelChecked: true, OtherName: "scan-x7"})),
			lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.Misnamed, Run: 1}},
		{"an answer for good is looked behind at once", rejected(20*time.Millisecond, 1), facts(),
			lifecycle.Decision{Action: lifecycle.Look, Run: 1}},
		{"and ends the run", rejected(20*time.Millisecond, 1), facts(seen(absent)), lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.SinkRejected, Run: 1}},
		{"so does a request that cannot be made", entry(with(fired(20*time.Millisecond, 1, lifecycle.SinkInvalid))), facts(seen(absent)),
			lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.SinkInvalid, Run: 1}},
		{"unless an earlier request may still start it", rejected(time.Second, 2), facts(seen(absent)),
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.SinkRejected, After: time.Second, Run: 1}},
		{"for so long", rejected(confirmWindow, 2), facts(seen(absent)), lifecycle.Decision{Action: lifecycle.End, Reason: lifecycle.SinkRejected, Run: 1}},
		{"a run that exists all the same is confirmed", rejected(time.Second, 2), facts(seen(ours())), lifecycle.Decision{Action: lifecycle.Confirm, Reason: lifecycle.Running, Run: 1}},
		{"while the trigger is not ready, its trouble is the likely cause", rejected(time.Minute, 1), facts(seen(absent), notReady),
			lifecycle.Decision{Action: lifecycle.Wait, Reason: "SinkNotFound", After: time.Minute, Run: 1, Hold: true}},
		{"and once that is over the request is sent again", entry(with(fired(time.Minute, 1, lifecycle.SinkRejected)), held("SinkNotFound")), facts(seen(absent)),
			lifecycle.Decision{Action: lifecycle.FireAgain, Reason: lifecycle.SinkRejected, Run: 1}},
		{"of a trigger that is gone it is skipped", rejected(time.Minute, 1), facts(seen(absent), gone), lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.TriggerDeleted, Run: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantNext(t, test.entry, test.facts, test.want)
		})
	}
}

// Property: requests to a sink that does not answer grow apart up to half a
// minute, and those of many runs do not fall together.
func TestRequestsGrowApart(t *testing.T) {
	last := time.Duration(0)
	for attempts := int32(1); attempts < 20; attempts++ {
		var after time.Duration
		for after = 0; ; after += 10 * time.Millisecond {
			d := lifecycle.Next(entry(with(fired(after, attempts, lifecycle.SinkRefused))), known(ready(), absent), now)
			if d.Action == lifecycle.FireAgain {
				break
			}
			if after > time.Minute {
				t.Fatalf("no request after a minute, at attempt %d", attempts)
			}
		}
		if after < last/2 || after > 38*time.Second {
			t.Errorf("attempt %d is followed after %v, the one before after %v", attempts, after, last)
		}
		last = after
	}
	if last < 30*time.Second {
		t.Errorf("the last requests are %v apart, want at least 30 s", last)
	}
}

func TestMessagesOfAForeignRunAreBounded(t *testing.T) {
	e := entry(with(fired(time.Second, 1, "")))
	d := lifecycle.Next(e, known(ready(), ours(func(pr *lifecycle.PipelineRun) { pr.EntryUID = strings.Repeat("x", 200<<10) })), now)
	lifecycle.RecordEnd(&e.Status, d.Reason, d.Message, now)
	if got := len(e.Status.Message); got > 1024 {
		t.Errorf("the message has %d bytes", got)
	}
}
