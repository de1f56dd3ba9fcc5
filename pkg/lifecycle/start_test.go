package lifecycle_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/sandbox"
)

// facts are those of an entry that lacks nothing, changed.
func facts(change ...func(*lifecycle.Facts)) lifecycle.Facts {
	f := known(ready(), nobody)
	for _, c := range change {
		c(&f)
	}
	return f
}

func slot(s lifecycle.Slot) func(*lifecycle.Facts) { return func(f *lifecycle.Facts) { f.Slot = s } }

func img(i lifecycle.Image) func(*lifecycle.Facts) { return func(f *lifecycle.Facts) { f.Image = i } }

func filterSays(state lifecycle.FilterState, message string) func(*lifecycle.Facts) {
	return func(f *lifecycle.Facts) {
		f.Trigger.HasFilter, f.Image.Filter = true, lifecycle.FilterResult{State: state, Message: message}
	}
}

func notRecomputed(f *lifecycle.Facts) { f.Image.Recomputed = false }

func artefact(f *lifecycle.Facts) {
	f.Image.Content = image.Content{Kind: image.ContentImage, OtherConfig: true}
}

func claimedBlob(f *lifecycle.Facts) {
	f.Image.Content = image.Content{Kind: image.ContentIndex, Complete: true, Children: []image.Content{{Kind: image.ContentBlob, ClaimedBlob: true}}}
}

func seen(o lifecycle.RunObservation) func(*lifecycle.Facts) {
	return func(f *lifecycle.Facts) { f.Run = o; f.Run.LabelChecked = true }
}

func sentRun(ago time.Duration, failure lifecycle.Failure) func(*lifecycle.Facts) {
	return func(f *lifecycle.Facts) {
		f.Sent = &lifecycle.Sent{Run: name, Cause: push, At: now.Add(-ago), Trigger: ready(), Failure: failure}
	}
}

func notReady(f *lifecycle.Facts) {
	f.Trigger.Ready, f.Trigger.Reason, f.Trigger.Message = false, "SinkNotFound", "no such sink"
}

func gone(f *lifecycle.Facts) { f.Trigger = lifecycle.Trigger{Gone: true} }

func unconfirmable(f *lifecycle.Facts) { f.Trigger.Confirmable = false }

func observedAgo(ago time.Duration) func(*v1alpha1.ImageVerification) {
	return func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.ObservedAt = metav1.NewMicroTime(now.Add(-ago)) }
}

func recordedWithFacts(e *v1alpha1.ImageVerification) { e.Spec.Image = &v1alpha1.ImageFacts{} }

func factsInStatus(e *v1alpha1.ImageVerification) { e.Status.Image = &v1alpha1.ImageFacts{} }

// manually is an entry that a person created, with a request.
func manually(e *v1alpha1.ImageVerification) {
	e.Spec.FirstPush.Source, e.Spec.Requests = v1alpha1.SourceManual, []string{"a"}
}

func forged(f *lifecycle.Facts) { f.Forged = "another name" }

func olderThan(age time.Duration) func(*v1alpha1.ImageVerification) {
	return func(e *v1alpha1.ImageVerification) {
		e.CreationTimestamp = metav1.NewTime(now.Add(-age - time.Millisecond))
	}
}

// Property: whatever an entry that needs a run lacks, the next step finds that out, or
// waits for it, and nothing is fired before.
func TestNextOnTheWayToARun(t *testing.T) {
	manual := v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: "a"}
	asked := func() *v1alpha1.ImageVerification {
		return entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)), validFor(time.Hour), requests("a"))
	}
	refused := lifecycle.Failure{Reason: lifecycle.SinkRefused, Message: "429"}
	for _, test := range []struct {
		name  string
		entry *v1alpha1.ImageVerification
		facts lifecycle.Facts
		want  lifecycle.Decision
	}{
		// The queue.
		{"a slot is asked for first", entry(), facts(slot(lifecycle.Slot{}), img(lifecycle.Image{})), lifecycle.Decision{Action: lifecycle.AskSlot, Cause: push}},
		{"a state of a slot that is not known is asked for again", entry(), facts(slot(lifecycle.Slot{State: 99})), lifecycle.Decision{Action: lifecycle.AskSlot, Cause: push}},
		{"a short queue is not worth a note", entry(observedAgo(time.Second)), facts(slot(lifecycle.Slot{State: lifecycle.SlotQueued})),
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Queued, After: 30 * time.Second, Cause: push}},
		{"a long one is, and names the trigger's bound", entry(observedAgo(5 * time.Second)),
			facts(slot(lifecycle.Slot{State: lifecycle.SlotQueued}), func(f *lifecycle.Facts) { f.Trigger.MaxConcurrent = 7 }),
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Queued, After: 30 * time.Second, Cause: push, Hold: true,
				Message: "all 7 runs that the trigger's maxConcurrent allows are under way"}},
		{"or the controller's", entry(observedAgo(5 * time.Second)), facts(slot(lifecycle.Slot{State: lifecycle.SlotQueued, Bound: 200})),
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Queued, After: 30 * time.Second, Cause: push, Hold: true,
				Message: "all 200 runs that the controller's --max-concurrent allows are under way"}},
		{"or what one namespace may have of it", entry(observedAgo(5 * time.Second)), facts(slot(lifecycle.Slot{State: lifecycle.SlotQueued, Share: 160})),
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Queued, After: 30 * time.Second, Cause: push, Hold: true,
				Message: "all 160 runs that one namespace may have are under way: the controller's --max-concurrent, less its --reserve for other namespaces"}},
		{"the newest push counts", entry(observedAgo(time.Hour), tags(func() v1alpha1.TagStatus {
			tag := tag("v1", time.Minute, 0)
			tag.ObservedAt = metav1.NewMicroTime(now)
			return tag
		}())), facts(slot(lifecycle.Slot{State: lifecycle.SlotQueued})),
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Queued, After: 30 * time.Second, Cause: push}},

		// The image.
		{"then the image is read", entry(), facts(img(lifecycle.Image{})), lifecycle.Decision{Action: lifecycle.Enrich, Cause: push}},
		{"a state of an image that is not known is read again", entry(), facts(img(lifecycle.Image{State: 99})), lifecycle.Decision{Action: lifecycle.Enrich, Cause: push}},
		{"not if whoever recorded it was shown an image that runs", entry(recordedWithFacts), facts(img(lifecycle.Image{})),
			lifecycle.Decision{Action: lifecycle.FireFirst, Cause: push}},
		{"but then too if there is a filter", entry(recordedWithFacts), facts(img(lifecycle.Image{}), func(f *lifecycle.Facts) { f.Trigger.HasFilter = true }),
			lifecycle.Decision{Action: lifecycle.Enrich, Cause: push}},
		{"a retry needs no facts that the run before it left", entry(with(failedRun(firstRepeat)), scheduled, factsInStatus), facts(img(lifecycle.Image{})),
			lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: retry}},
		{"but those that it did not", entry(with(failedRun(firstRepeat)), scheduled), facts(img(lifecycle.Image{})),
			lifecycle.Decision{Action: lifecycle.Enrich, Cause: retry}},
		{"a filter that does not compile keeps everything", entry(), facts(img(lifecycle.Image{}), filterSays(lifecycle.FilterDoesNotCompile, "syntax")),
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.FilterInvalid, Message: "syntax", Cause: push, Hold: true}},
		{"what is no image is skipped", entry(), facts(artefact), lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.NotAnImage, Cause: push,
			Message: image.Content{Kind: image.ContentImage, OtherConfig: true}.Why()}},
		{"not if only its registry says so", entry(), facts(claimedBlob), lifecycle.Decision{Action: lifecycle.FireFirst, Cause: push}},
		{"not if that was not recomputed", entry(), facts(artefact, notRecomputed), lifecycle.Decision{Action: lifecycle.FireFirst, Cause: push}},
		{"what the filter refuses is skipped", entry(), facts(filterSays(lifecycle.FilterRefuses, "too large")),
			lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.FilteredOut, Message: "too large", Cause: push}},
		{"not if the facts were not recomputed", entry(), facts(filterSays(lifecycle.FilterRefuses, ""), notRecomputed), lifecycle.Decision{Action: lifecycle.FireFirst, Cause: push}},
		{"a filter that fails for the image ends it, with the cure", entry(), facts(filterSays(lifecycle.FilterFails, "no such key")),
			lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.FilterFailed, Cause: push, Message: "no such key; correct the trigger's filter, then replay the entry"}},
		{"an image that nobody has runs, and fails there", entry(), facts(img(lifecycle.Image{State: lifecycle.ImageMissing})), lifecycle.Decision{Action: lifecycle.FireFirst, Cause: push}},
		{"what somebody asks for is not filtered", asked(), facts(filterSays(lifecycle.FilterRefuses, "")), lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: manual}},
		{"nor is it skipped as no image", asked(), facts(artefact), lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: manual}},
		{"nor is a push that was decided before, and whose run's name was taken", entry(taken(), func(e *v1alpha1.ImageVerification) { e.Status.Runs[0].Cause = push }),
			facts(filterSays(lifecycle.FilterRefuses, "")), lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: push}},

		// What a person created.
		{"what nobody pushed has one cause: that somebody asked", entry(manually), facts(), lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: manual}},
		{"one that is not what it claims is not run, whatever is known of it", entry(manually), facts(forged, seen(ours())),
			lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.EntryForged, Cause: manual, Message: "another name"}},
		{"a registry that the operator does not list is waited for", entry(manually),
			facts(img(lifecycle.Image{State: lifecycle.ImageUnreadable, NotAllowed: true, UnreadableSince: now.Add(-time.Hour), Error: "not listed"})),
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.RegistryNotAllowed, Message: "not listed", Cause: manual, Hold: true, After: 30 * time.Second}},
		{"not by a push, which was seen there", entry(),
			facts(img(lifecycle.Image{State: lifecycle.ImageUnreadable, NotAllowed: true, UnreadableSince: now.Add(-time.Hour), Error: "not listed"})),
			lifecycle.Decision{Action: lifecycle.FireFirst, Cause: push}},
		{"nor if it is listed and does not answer for long", entry(manually),
			facts(img(lifecycle.Image{State: lifecycle.ImageUnreadable, UnreadableSince: now.Add(-time.Hour), Error: "refused"})),
			lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: manual}},
		{"a push of it that comes later is one", entry(manually, tags(tag("v1", time.Minute, 0))), facts(), lifecycle.Decision{Action: lifecycle.FireFirst, Cause: push}},

		// The sandbox.
		{"then it is decided where the run executes", entry(), facts(func(f *lifecycle.Facts) { f.Routing = lifecycle.Routing{} }), lifecycle.Decision{Action: lifecycle.Route, Cause: push}},
		{"what cannot be decided is waited for", entry(), facts(func(f *lifecycle.Facts) {
			f.Routing = lifecycle.Routing{State: lifecycle.RoutingFailed, Error: "no key"}
		}), lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.SandboxUndecided, Message: "no key", After: 5 * time.Second, Cause: push, Hold: true}},

		// The request.
		{"the first run is fired before it is recorded", entry(), facts(), lifecycle.Decision{Action: lifecycle.FireFirst, Cause: push}},
		{"an older entry is looked for first", entry(olderThan(2 * time.Second)), facts(), lifecycle.Decision{Action: lifecycle.Look, Cause: push}},
		{"and fired if its run is not there", entry(olderThan(2 * time.Second)), facts(seen(absent)), lifecycle.Decision{Action: lifecycle.FireFirst, Cause: push}},
		{"what cannot be confirmed is recorded first", entry(), facts(unconfirmable), lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: push}},
		{"so is a further run", asked(), facts(), lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: manual}},
		{"so is the first run if somebody asked for it", entry(tags(tag("v1", time.Minute, v1alpha1.RunSkipped)), requests("a")), facts(),
			lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: manual}},
		{"a run that an earlier process fired needs no slot and no facts", entry(), facts(seen(ours()), slot(lifecycle.Slot{}), img(lifecycle.Image{})),
			lifecycle.Decision{Action: lifecycle.RecordRun, Cause: push}},
		{"but it is recorded where it was to execute", entry(), facts(seen(ours()), func(f *lifecycle.Facts) { f.Routing = lifecycle.Routing{} }),
			lifecycle.Decision{Action: lifecycle.Route, Cause: push}},

		// A request that was sent and is not recorded.
		{"a first run that was fired is given a moment to appear", entry(), facts(sentRun(20*time.Millisecond, lifecycle.Failure{})),
			lifecycle.Decision{Action: lifecycle.AwaitRun, After: 30 * time.Millisecond, Cause: push}},
		{"then it is recorded without its run", entry(), facts(sentRun(50*time.Millisecond, lifecycle.Failure{})), lifecycle.Decision{Action: lifecycle.RecordSent, Cause: push}},
		{"or with it, as soon as it appears", entry(), facts(sentRun(0, lifecycle.Failure{}), seen(ours())), lifecycle.Decision{Action: lifecycle.RecordSent, Cause: push}},
		{"what the sink did not take is recorded at once", entry(), facts(sentRun(0, refused)), lifecycle.Decision{Action: lifecycle.RecordSent, Cause: push}},
		{"a trigger that breaks meanwhile changes nothing", entry(), facts(sentRun(time.Second, lifecycle.Failure{}), notReady), lifecycle.Decision{Action: lifecycle.RecordSent, Cause: push}},
		{"nor does one that is deleted", entry(), facts(sentRun(time.Second, lifecycle.Failure{}), gone), lifecycle.Decision{Action: lifecycle.RecordSent, Cause: push}},
		{"nor a push that comes meanwhile", entry(tags(tag("v0", time.Hour, 0), tag("v1", time.Minute, 0))), facts(sentRun(time.Second, lifecycle.Failure{})),
			lifecycle.Decision{Action: lifecycle.RecordSent, Cause: push}},
		{"a request that was sent again is recorded at once", entry(with(fired(time.Minute, 1, ""))), facts(sentRun(0, lifecycle.Failure{})),
			lifecycle.Decision{Action: lifecycle.RecordSent, Cause: push, Run: 1}},
		{"not if another leader recorded a later one", entry(with(fired(time.Millisecond, 1, ""))), facts(sentRun(time.Second, lifecycle.Failure{})),
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Requested, After: 19 * time.Millisecond, Run: 1}},
		{"nor if the run was confirmed since", entry(with(confirmed(time.Second, true))), facts(sentRun(0, lifecycle.Failure{}), seen(ours())),
			lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Running, Run: 1}},

		// A cause of its own for an entry that was deleted.
		{"what was deleted and recorded again has that cause", entry(), facts(func(f *lifecycle.Facts) { f.RecreatedFrom = "old-uid" }),
			lifecycle.Decision{Action: lifecycle.FireFirst, Cause: v1alpha1.Cause{Type: v1alpha1.CauseRecreated, Key: "old-uid"}}},
		{"it is filtered as a push is", entry(), facts(func(f *lifecycle.Facts) { f.RecreatedFrom = "old-uid" }, filterSays(lifecycle.FilterRefuses, "")),
			lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.FilteredOut, Cause: v1alpha1.Cause{Type: v1alpha1.CauseRecreated, Key: "old-uid"}}},
		{"a further push of it is a push", entry(with(ended(v1alpha1.OutcomeFail, lifecycle.Failed)), tags(tag("v1", time.Minute, 0))), facts(func(f *lifecycle.Facts) { f.RecreatedFrom = "old-uid" }),
			lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: push}},
		{"what was there before the trigger stays skipped", entry(func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.Source = v1alpha1.SourceExisting }),
			facts(func(f *lifecycle.Facts) { f.RecreatedFrom = "old-uid" }),
			lifecycle.Decision{Action: lifecycle.Skip, Reason: lifecycle.Existing, Message: "pushed before the trigger was created; set existing: Verify to verify such images"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := test.entry.DeepCopy()
			if diff := cmp.Diff(test.want, lifecycle.Next(test.entry, test.facts, now)); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, test.entry); diff != "" {
				t.Errorf("deciding changed the entry:\n%s", diff)
			}
		})
	}
}

// Property: Pods that do not start end the run: that is recorded before it is stopped.
func TestNextForPodsThatDoNotStart(t *testing.T) {
	asked := func(reason lifecycle.Reason) *v1alpha1.ImageVerification {
		run := confirmed(time.Hour, true)
		run.StartedAt = &metav1.Time{Time: now.Add(-time.Minute)}
		run.Sandbox.Requested, run.Reason = "kata", string(reason)
		return entry(with(run))
	}
	pods := func(state lifecycle.PodsState) lifecycle.Facts {
		return facts(seen(ours()), func(f *lifecycle.Facts) {
			f.Trigger.StartTimeout, f.Run.Pods, f.Run.StartFailure = time.Minute, state, "no shim"
		})
	}
	for _, test := range []struct {
		name  string
		entry *v1alpha1.ImageVerification
		facts lifecycle.Facts
		want  lifecycle.Decision
	}{
		{"they are inspected", asked(""), pods(lifecycle.PodsNotInspected), lifecycle.Decision{Action: lifecycle.Inspect, Run: 1}},
		{"once they have started, the run is waited for", asked(""), pods(lifecycle.PodsStarted), lifecycle.Decision{Action: lifecycle.Wait, Reason: lifecycle.Running, Run: 1}},
		{"if they have not, that is recorded", asked(""), pods(lifecycle.PodsNotStarted),
			lifecycle.Decision{Action: lifecycle.FailStart, Reason: lifecycle.SandboxUnavailable, Message: "no shim", Run: 1}},
		{"then the run is stopped", asked(lifecycle.SandboxUnavailable), pods(lifecycle.PodsNotInspected),
			lifecycle.Decision{Action: lifecycle.Stop, Reason: lifecycle.SandboxUnavailable, After: 10 * time.Second, Run: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, lifecycle.Next(test.entry, test.facts, now)); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

// Property: an entry that waits keeps its place in the queue, and keeps nobody else from a
// slot while it waits for something else.
func TestWhatFreesASlot(t *testing.T) {
	for _, test := range []struct {
		name  string
		facts lifecycle.Facts
		want  bool
	}{
		{"the queue does not", facts(slot(lifecycle.Slot{State: lifecycle.SlotQueued})), false},
		{"a trigger that is not ready does", facts(notReady), true},
		{"an image that cannot be read does", facts(img(lifecycle.Image{State: lifecycle.ImageUnreadable, UnreadableSince: now})), true},
		{"a sandbox that cannot be decided does", facts(func(f *lifecycle.Facts) { f.Routing.State = lifecycle.RoutingFailed }), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if d := lifecycle.Next(entry(observedAgo(time.Hour)), test.facts, now); d.FreesSlot() != test.want {
				t.Errorf("%v frees the slot: %t, want %t", d, d.FreesSlot(), test.want)
			}
		})
	}
}

// Property: what a request was decided with is what is recorded of it, whatever came since.
func TestRecordSentRequest(t *testing.T) {
	e := entry(tags(tag("v1", time.Minute, 0)))
	f := facts(sentRun(time.Second, lifecycle.Failure{}), seen(ours()), notReady, func(f *lifecycle.Facts) {
		f.Sent.Image = &v1alpha1.ImageFacts{MediaType: "m"}
		f.Sent.Routing.Route = sandbox.Route{RuntimeClassName: "kata"}
		f.Image.Facts, f.Trigger.Generation = nil, 9
	})
	lifecycle.RecordSentRequest(&e.Status, e, f, now)
	run := e.Status.Runs[0]
	fired := metav1.NewMicroTime(now.Add(-time.Second))
	confirmed := metav1.NewMicroTime(now)
	want := v1alpha1.RunStatus{Number: 1, Name: name, Cause: push, TriggerGeneration: 1, RequestedAt: fired, FiredAt: &fired, Attempts: 1,
		ConfirmedAt: &confirmed, UID: "run-uid", Sandbox: v1alpha1.SandboxStatus{Requested: "kata"}}
	if diff := cmp.Diff(want, run); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	if e.Status.Phase != v1alpha1.PhaseRunning || e.Status.Image == nil || e.Status.Image.MediaType != "m" {
		t.Errorf("entry is %s with image %+v", e.Status.Phase, e.Status.Image)
	}
}

// Property: every action has a name, and no two share one.
func TestActionsHaveNames(t *testing.T) {
	names := map[string]bool{}
	for _, a := range lifecycle.Actions() {
		if names[a.String()] {
			t.Errorf("two actions are called %s", a)
		}
		names[a.String()] = true
	}
	if got := lifecycle.Action(99).String(); got != "Action(99)" || len(names) < 20 {
		t.Errorf("an unknown action is called %q; %d names", got, len(names))
	}
}

// Property: a repetition reads an image's facts only if they lack something: an index that an
// earlier version read lists no children, and what that says nobody recomputed stays as it is.
func TestARepetitionReadsWhatTheFactsLack(t *testing.T) {
	one := []v1alpha1.ChildImage{{Digest: "sha256:" + hex}}
	for _, tt := range []struct {
		name  string
		facts *v1alpha1.ImageFacts
		want  lifecycle.Action
	}{
		{"no facts", nil, lifecycle.Enrich},
		{"an image", &v1alpha1.ImageFacts{MediaType: image.OCIManifest, Source: "Registry"}, lifecycle.RecordAndFire},
		{"an index of before", &v1alpha1.ImageFacts{MediaType: image.OCIIndex, Source: "Registry"}, lifecycle.Enrich},
		{"a list of before", &v1alpha1.ImageFacts{MediaType: image.DockerList, Source: "Registry"}, lifecycle.Enrich},
		{"an index with its children", &v1alpha1.ImageFacts{MediaType: image.OCIIndex, Source: "Registry", Children: one}, lifecycle.RecordAndFire},
		{"an index of children too many", &v1alpha1.ImageFacts{MediaType: image.OCIIndex, Source: "Registry", ChildrenOmitted: 1}, lifecycle.RecordAndFire},
		{"an index of an Image object", &v1alpha1.ImageFacts{MediaType: image.OCIIndex, Source: "Image"}, lifecycle.RecordAndFire},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := entry(with(failedRun(time.Minute)), scheduled)
			e.Status.Image = tt.facts
			if d := lifecycle.Next(e, facts(img(lifecycle.Image{})), now); d.Action != tt.want || d.Cause != retry {
				t.Errorf("decision %+v, want %s for a repetition", d, tt.want)
			}
		})
	}
}
