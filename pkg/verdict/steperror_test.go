package verdict_test

import (
	"strings"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/verdict"
)

// said is a Pod whose step fetch failed with a result "error".
func said(text string) verdict.Pod {
	return verdict.Pod{Name: "p", RuntimeClass: "kata", Failure: "fetch: " + text, Error: text}
}

func TestWhatAStepSaysDecidesOnItsRepetition(t *testing.T) {
	digest, err := image.ParseDigest("sha256:" + hex)
	if err != nil {
		t.Fatal(err)
	}
	noImage := said("NotAnImage: manifest " + digest.String() + ": an artefact")
	broken := verdict.PipelineRun{Name: "x", Done: true, Reason: "Failed", Message: "Tasks Completed: 2"}
	for _, test := range []struct {
		name   string
		run    verdict.PipelineRun
		pods   []verdict.Pod
		reason verdict.Reason
		phase  v1alpha1.Phase
	}{
		{"no image", broken, []verdict.Pod{noImage}, verdict.NotAnImage, v1alpha1.PhaseSkipped},
		{"no image, found below an index", broken, []verdict.Pod{said("NotAnImage: manifest sha256:" + strings.Repeat("cd", 32) + " of index " + digest.String() + ": it names none")},
			verdict.NotAnImage, v1alpha1.PhaseSkipped},
		{"no image, and another digest", broken, []verdict.Pod{said("NotAnImage: manifest sha256:" + strings.Repeat("cd", 32))}, verdict.DigestMismatch, v1alpha1.PhaseError},
		{"no image, and no digest is told", broken, []verdict.Pod{said("NotAnImage: it is none")}, verdict.DigestMismatch, v1alpha1.PhaseError},
		{"no image, and another Pod saw corrupted bytes", broken, []verdict.Pod{noImage, said("ContentCorrupted: layer")}, verdict.ContentCorrupted, v1alpha1.PhaseError},
		{"no image, and another Pod did not reach the registry", broken, []verdict.Pod{said("RegistryUnavailable: no"), noImage}, verdict.NotAnImage, v1alpha1.PhaseSkipped},
		{"corrupted bytes", broken, []verdict.Pod{said("ContentCorrupted: layer sha256:1: it has another digest")}, verdict.ContentCorrupted, v1alpha1.PhaseError},
		{"too large", broken, []verdict.Pod{said("TooLarge: config: it has 9 bytes")}, verdict.TooLarge, v1alpha1.PhaseError},
		{"an address that is refused", broken, []verdict.Pod{said("AddressRefused: 10.0.0.1")}, verdict.AddressRefused, v1alpha1.PhaseError},
		{"no database is named", broken, []verdict.Pod{said("DatabaseNotConfigured: name one")}, verdict.DatabaseNotConfigured, v1alpha1.PhaseError},
		{"a second Pod tells that it would fail again", broken, []verdict.Pod{said("TimedOut: pulling"), said("TooLarge: layer")}, verdict.TooLarge, v1alpha1.PhaseError},
		{"a registry that is away", broken, []verdict.Pod{said("RegistryUnavailable: connection refused")}, verdict.RunFailed, v1alpha1.PhasePending},
		{"a registry that refuses", broken, []verdict.Pod{said("AccessDenied: 401")}, verdict.RunFailed, v1alpha1.PhasePending},
		{"a word that is not known", broken, []verdict.Pod{said("DiskFull: no")}, verdict.RunFailed, v1alpha1.PhasePending},
		{"the word somewhere else in the text", broken, []verdict.Pod{said("rules.yaml: NotAnImage: " + digest.String())}, verdict.RunFailed, v1alpha1.PhasePending},
		{"the word as part of another", broken, []verdict.Pod{said("NotAnImageIndex: " + digest.String())}, verdict.RunFailed, v1alpha1.PhasePending},
		{"a step that could say nothing, and is named so", broken, []verdict.Pod{{Name: "p", Failure: "NotAnImage: " + digest.String()}}, verdict.RunFailed, v1alpha1.PhasePending},
		{"somebody stopped it", verdict.PipelineRun{Name: "x", Done: true, Reason: "Cancelled"}, []verdict.Pod{noImage}, verdict.RunCancelled, v1alpha1.PhaseError},
		{"the run passed all the same", done(results("pass", digest.String())), []verdict.Pod{noImage}, verdict.Passed, v1alpha1.PhasePassed},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := verdict.Judge(digest, "kata", test.run, test.pods)
			e := finishedAs(o)
			if o.Reason != test.reason || e.Status.Phase != test.phase {
				t.Errorf("%s/%s: %s; want %s/%s", e.Status.Phase, o.Reason, o.Message, test.phase, test.reason)
			}
			if got, want := verdict.Scheduled(&e.Status), test.phase == v1alpha1.PhasePending; got != want {
				t.Errorf("it is repeated: %v, want %v", got, want)
			}
		})
	}
}

// finishedAs is an entry whose first run ended so, as the reconciler writes it.
func finishedAs(o verdict.Outcome) *v1alpha1.ImageVerification {
	e := entry(tags(tag("v1", time.Minute, 0)))
	verdict.Begin(&e.Status, v1alpha1.RunStatus{Name: "run-a", Cause: v1alpha1.Cause{Type: v1alpha1.CausePush}, TriggerGeneration: ready().Generation}, now)
	verdict.Confirm(&e.Status, verdict.PipelineRun{Name: "x"}, now)
	verdict.Finish(&e.Status, verdict.PipelineRun{Name: "x", Finished: now}, o, ready().Freshness, now)
	verdict.Schedule(&e.Status, ready(), now)
	return e
}

// Property: what was found to be no image is found so once: neither a push of the
// same digest to another tag nor time alone runs it again, and a person can.
func TestWhatIsNoImageHasOneRun(t *testing.T) {
	none := verdict.Outcome{Outcome: v1alpha1.OutcomeError, Reason: verdict.NotAnImage, Message: "an artefact"}
	again := finishedAs(none)
	again.Status.Tags = append(again.Status.Tags, tag("v2", time.Second, 0))
	asked := finishedAs(none)
	asked.Spec.Requests = []string{"please"}
	corrupted := finishedAs(verdict.Outcome{Outcome: v1alpha1.OutcomeError, Reason: verdict.ContentCorrupted})
	corrupted.Status.Tags = append(corrupted.Status.Tags, tag("v2", time.Second, 0))
	for _, test := range []struct {
		name  string
		entry *v1alpha1.ImageVerification
		at    time.Time
		want  verdict.Action
	}{
		{"nothing happens", finishedAs(none), now, verdict.Rest},
		{"time passes", finishedAs(none), now.Add(1000 * time.Hour), verdict.Rest},
		{"another tag", again, now, verdict.Cover},
		{"another tag, when nothing is fresh any more", again, now.Add(1000 * time.Hour), verdict.Start},
		{"a person asks", asked, now, verdict.Start},
		{"another tag of what was an error", corrupted, now, verdict.Start},
	} {
		t.Run(test.name, func(t *testing.T) {
			if d := verdict.Next(test.entry, ready(), nobody, test.at); d.Action != test.want {
				t.Errorf("decision %+v, want action %d", d, test.want)
			}
		})
	}
}
