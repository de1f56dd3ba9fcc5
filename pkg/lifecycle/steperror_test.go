package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// said is a Pod whose step fetch failed with a result "error".
func said(text string) lifecycle.Pod {
	return lifecycle.Pod{Name: "p", RuntimeClass: "kata", Failure: "fetch: " + text, Error: text}
}

func TestWhatAStepSaysDecidesOnItsRepetition(t *testing.T) {
	digest, err := image.ParseDigest("sha256:" + hex)
	if err != nil {
		t.Fatal(err)
	}
	noImage := said("NotAnImage: manifest " + digest.String() + ": an artefact")
	broken := lifecycle.PipelineRun{Name: "x", Done: true, Reason: "Failed", Message: "Tasks Completed: 2"}
	for _, test := range []struct {
		name   string
		run    lifecycle.PipelineRun
		pods   []lifecycle.Pod
		reason lifecycle.Reason
		phase  v1alpha1.Phase
	}{
		{"no image", broken, []lifecycle.Pod{noImage}, lifecycle.NotAnImage, v1alpha1.PhaseSkipped},
		{"no image, found below an index", broken, []lifecycle.Pod{said("NotAnImage: manifest sha256:" + strings.Repeat("cd", 32) + " of index " + digest.String() + ": it names none")},
			lifecycle.NotAnImage, v1alpha1.PhaseSkipped},
		{"no image, and another digest", broken, []lifecycle.Pod{said("NotAnImage: manifest sha256:" + strings.Repeat("cd", 32))}, lifecycle.DigestMismatch, v1alpha1.PhaseError},
		{"no image, and no digest is told", broken, []lifecycle.Pod{said("NotAnImage: it is none")}, lifecycle.DigestMismatch, v1alpha1.PhaseError},
		{"no image, and another Pod saw corrupted bytes", broken, []lifecycle.Pod{noImage, said("ContentCorrupted: layer")}, lifecycle.ContentCorrupted, v1alpha1.PhaseError},
		{"no image, and another Pod did not reach the registry", broken, []lifecycle.Pod{said("RegistryUnavailable: no"), noImage}, lifecycle.NotAnImage, v1alpha1.PhaseSkipped},
		{"corrupted bytes", broken, []lifecycle.Pod{said("ContentCorrupted: layer sha256:1: it has another digest")}, lifecycle.ContentCorrupted, v1alpha1.PhaseError},
		{"too large", broken, []lifecycle.Pod{said("TooLarge: config: it has 9 bytes")}, lifecycle.TooLarge, v1alpha1.PhaseError},
		{"an address that is refused", broken, []lifecycle.Pod{said("AddressRefused: 10.0.0.1")}, lifecycle.AddressRefused, v1alpha1.PhaseError},
		{"no database is named", broken, []lifecycle.Pod{said("DatabaseNotConfigured: name one")}, lifecycle.DatabaseNotConfigured, v1alpha1.PhaseError},
		{"a second Pod tells that it would fail again", broken, []lifecycle.Pod{said("TimedOut: pulling"), said("TooLarge: layer")}, lifecycle.TooLarge, v1alpha1.PhaseError},
		{"a registry that is away", broken, []lifecycle.Pod{said("RegistryUnavailable: connection refused")}, lifecycle.RunFailed, v1alpha1.PhasePending},
		{"a registry that refuses", broken, []lifecycle.Pod{said("AccessDenied: 401")}, lifecycle.RunFailed, v1alpha1.PhasePending},
		{"a word that is not known", broken, []lifecycle.Pod{said("DiskFull: no")}, lifecycle.RunFailed, v1alpha1.PhasePending},
		{"the word somewhere else in the text", broken, []lifecycle.Pod{said("rules.yaml: NotAnImage: " + digest.String())}, lifecycle.RunFailed, v1alpha1.PhasePending},
		{"the word as part of another", broken, []lifecycle.Pod{said("NotAnImageIndex: " + digest.String())}, lifecycle.RunFailed, v1alpha1.PhasePending},
		{"a step that could say nothing, and is named so", broken, []lifecycle.Pod{{Name: "p", Failure: "NotAnImage: " + digest.String()}}, lifecycle.RunFailed, v1alpha1.PhasePending},
		{"somebody stopped it", lifecycle.PipelineRun{Name: "x", Done: true, Reason: "Cancelled"}, []lifecycle.Pod{noImage}, lifecycle.RunCancelled, v1alpha1.PhaseError},
		{"the run passed all the same", done(results("pass", digest.String())), []lifecycle.Pod{noImage}, lifecycle.Passed, v1alpha1.PhasePassed},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := lifecycle.OutcomeOf(digest, "kata", test.run, test.pods)
			e := finishedAs(o)
			if o.Reason != test.reason || e.Status.Phase != test.phase {
				t.Errorf("%s/%s: %s; want %s/%s", e.Status.Phase, o.Reason, o.Message, test.phase, test.reason)
			}
			if got, want := lifecycle.Scheduled(&e.Status), test.phase == v1alpha1.PhasePending; got != want {
				t.Errorf("it is repeated: %v, want %v", got, want)
			}
		})
	}
}

// finishedAs is an entry whose first run ended so, as the reconciler writes it.
func finishedAs(o lifecycle.Outcome) *v1alpha1.ImageVerification {
	e := entry(tags(tag("v1", time.Minute, 0)))
	lifecycle.RecordBegin(&e.Status, v1alpha1.RunStatus{Name: "run-a", Cause: v1alpha1.Cause{Type: v1alpha1.CausePush}, TriggerGeneration: ready().Generation}, now)
	lifecycle.RecordRunSeen(&e.Status, lifecycle.PipelineRun{Name: "x"}, now)
	lifecycle.RecordOutcome(&e.Status, lifecycle.PipelineRun{Name: "x", Finished: now}, o, now)
	lifecycle.RecordRetry(&e.Status, ready(), now)
	return e
}

// Property: what was found to be no image is found so once: neither a push of the
// same digest to another tag nor time alone runs it again, and a person can.
func TestWhatIsNoImageHasOneRun(t *testing.T) {
	none := lifecycle.Outcome{Outcome: v1alpha1.OutcomeError, Reason: lifecycle.NotAnImage, Message: "an artefact"}
	again := finishedAs(none)
	again.Status.Tags = append(again.Status.Tags, tag("v2", time.Second, 0))
	asked := finishedAs(none)
	asked.Spec.Requests = []string{"please"}
	corrupted := finishedAs(lifecycle.Outcome{Outcome: v1alpha1.OutcomeError, Reason: lifecycle.ContentCorrupted})
	corrupted.Status.Tags = append(corrupted.Status.Tags, tag("v2", time.Second, 0))
	for _, test := range []struct {
		name  string
		entry *v1alpha1.ImageVerification
		at    time.Time
		want  lifecycle.Action
	}{
		{"nothing happens", finishedAs(none), now, lifecycle.Idle},
		{"time passes", finishedAs(none), now.Add(1000 * time.Hour), lifecycle.Idle},
		{"another tag", again, now, lifecycle.Covered},
		{"another tag, when nothing is fresh any more", again, now.Add(1000 * time.Hour), lifecycle.RecordAndFire},
		{"a person asks", asked, now, lifecycle.RecordAndFire},
		{"another tag of what was an error", corrupted, now, lifecycle.RecordAndFire},
	} {
		t.Run(test.name, func(t *testing.T) {
			if d := lifecycle.Next(test.entry, known(ready(), nobody), test.at); d.Action != test.want {
				t.Errorf("decision %+v, want action %d", d, test.want)
			}
		})
	}
}
