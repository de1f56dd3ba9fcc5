package coverage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/runresult"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
	"github.com/revet-dev/revet/pkg/sweep"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func digest(n int) image.Digest {
	d, err := image.ParseDigest("sha256:" + strings.Repeat(fmt.Sprintf("%02x", n), 32))
	if err != nil {
		panic(err)
	}
	return d
}

// trigger was made at noon and selects all streams of its namespace.
func trigger() *v1alpha1.ImageTrigger {
	return &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "all", UID: "trigger", Generation: 1, CreationTimestamp: metav1.NewTime(noon)},
		Spec:       v1alpha1.ImageTriggerSpec{Images: []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}}},
	}
}

var app = push.Repository{Kind: push.ImageStream, Name: "team-a/app", UID: "uid-app"}

// item is what a tag shows: a digest, and when it was pushed.
type item struct{ digest, seconds int }

// fixture is a cluster, a ledger and runs.
type fixture struct {
	tags    map[string][]item
	entries []v1alpha1.ImageVerification
	// late are entries that are there only when they are read alone.
	late    []v1alpha1.ImageVerification
	runs    []lifecycle.PipelineRun
	runsErr error
	listErr error
	hidden  bool
	// deleted: no entry can be read again, as somebody has deleted it.
	deleted bool
	// gone: there is no stream; rightsErr and entryErr are why nobody can tell.
	gone                bool
	rightsErr, entryErr error
	// runsErrLater is why runs cannot be listed a second time.
	runsErrLater error
	artefact     image.Digest
	// forged runs, and its Image object does not show that.
	forged image.Digest
	// contentErr is why the registry does not let digests be read.
	contentErr error
}

func (s *fixture) EachStream(_ context.Context, _ string, each func(*openshift.StreamState)) error {
	state := &openshift.StreamState{Namespace: "team-a", Name: "app", Stream: push.Stream{Repository: app}}
	for tag, items := range s.tags {
		t := push.Tag{ClaimedName: tag}
		for _, i := range items {
			t.Items = append(t.Items, push.Item{ClaimedDigest: digest(i.digest).String(), Created: at(i.seconds)})
		}
		state.Stream.Tags = append(state.Stream.Tags, t)
	}
	if !s.gone {
		each(state)
	}
	return s.listErr
}

func (s *fixture) Namespaces(context.Context) (map[string]map[string]string, error) { return nil, nil }

func (s *fixture) MayGet(context.Context, source.Account, string, string) (bool, error) {
	return !s.hidden, s.rightsErr
}

// Image is a stranger's word: it hides what runs.
func (s *fixture) Image(_ context.Context, d image.Digest) (openshift.ImageState, error) {
	return openshift.ImageState{Runs: d != s.artefact && d != s.forged}, nil
}

// fixtureRegistry is the registry of the streams.
type fixtureRegistry struct {
	sweep.Registry
	fixture *fixture
}

func (fixtureRegistry) Tags(context.Context, image.Repository, source.Account, func(string)) error {
	return &source.Refusal{Reason: source.Denied, Err: errors.New("401")}
}

func (r fixtureRegistry) Content(_ context.Context, ref image.Reference, _ source.Account) (image.Content, error) {
	return image.Content{Kind: image.ContentImage, OtherConfig: ref.Digest() == r.fixture.artefact}, r.fixture.contentErr
}

func (s *fixture) Entries(context.Context, string) ([]v1alpha1.ImageVerification, error) {
	return s.entries, nil
}

func (s *fixture) Entry(_ context.Context, _, name string) (*v1alpha1.ImageVerification, error) {
	if s.entryErr != nil {
		return nil, s.entryErr
	}
	if s.deleted {
		return nil, nil
	}
	for _, all := range [][]v1alpha1.ImageVerification{s.late, s.entries} {
		for i := range all {
			if all[i].Name == name {
				return &all[i], nil
			}
		}
	}
	return nil, nil
}

func (s *fixture) Runs(context.Context, string) ([]lifecycle.PipelineRun, error) {
	err := s.runsErr
	if s.runsErrLater != nil {
		s.runsErr = s.runsErrLater
	}
	return s.runs, err
}

func (s *fixture) verify(t *testing.T, triggers ...*v1alpha1.ImageTrigger) []Report {
	t.Helper()
	reports, err := Verify(t.Context(), Sources{Cluster: s, Images: s, Registry: fixtureRegistry{fixture: s}, Ledger: s, Runs: s, Now: func() time.Time { return at(3600) }}, triggers)
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

// entry is recorded for pushes of a digest to tags.
func entry(d int, source v1alpha1.PushSource, tags map[string]int) v1alpha1.ImageVerification {
	e := v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: ledger.EntryName("trigger", app, digest(d)), UID: types.UID(fmt.Sprint("entry-", d)), ResourceVersion: "1"},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: "all", UID: "trigger"},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryImageStream, Name: app.Name, UID: app.UID, Pull: "registry/team-a/app"},
			Digest:     digest(d).String(),
		},
	}
	for tag, seconds := range tags {
		record := v1alpha1.PushRecord{Tag: tag, PushedAt: metav1.NewTime(at(seconds)), Source: source}
		e.Spec.FirstPush = record
		e.Status.Tags = append(e.Status.Tags, v1alpha1.TagStatus{PushRecord: record})
	}
	return e
}

// ran gives an entry a run that covers all its pushes, and the PipelineRun of it.
func ran(e v1alpha1.ImageVerification, outcome v1alpha1.Outcome, finished int) (v1alpha1.ImageVerification, lifecycle.PipelineRun) {
	run := v1alpha1.RunStatus{Number: 1, Name: ledger.RunName(&e, 1), UID: "run", Outcome: outcome,
		Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: e.Spec.FirstPush.Tag}}
	pr := lifecycle.PipelineRun{Name: run.Name, RunLabel: run.Name, EntryUID: string(e.UID), Digest: e.Spec.Digest}
	e.Status.Phase, e.Status.RunCount = v1alpha1.PhaseRunning, 1
	if outcome != "" {
		end := metav1.NewTime(at(finished))
		run.Digest, run.FinishedAt = e.Spec.Digest, &end
		pr.Done, pr.Succeeded = true, true
		pr.Results = map[string]string{runresult.Verdict: string(outcome), runresult.Digest: e.Spec.Digest}
		e.Status.Phase = map[v1alpha1.Outcome]v1alpha1.Phase{
			v1alpha1.OutcomePass: v1alpha1.PhasePassed, v1alpha1.OutcomeFail: v1alpha1.PhaseFailed, v1alpha1.OutcomeError: v1alpha1.PhaseError}[outcome]
	}
	e.Status.Runs = []v1alpha1.RunStatus{run}
	if outcome == v1alpha1.OutcomePass || outcome == v1alpha1.OutcomeFail {
		e.Status.Verdict = &v1alpha1.Verdict{Outcome: outcome, Run: run.Name, Number: 1, At: *run.FinishedAt}
	}
	for i := range e.Status.Tags {
		e.Status.Tags[i].Run = 1
	}
	return e, pr
}

// The account of a fixture where everything that can become of a push has.
func TestVerifyCountsWhatBecameOfEachPush(t *testing.T) {
	passed, passedRun := ran(entry(1, v1alpha1.SourceEvent, map[string]int{"v1": 10}), v1alpha1.OutcomePass, 3000)
	pruned, _ := ran(entry(2, v1alpha1.SourceSweep, map[string]int{"v1": 20}), v1alpha1.OutcomeFail, 100)
	running, runningRun := ran(entry(3, v1alpha1.SourceSweep, map[string]int{"v1": 30}), "", 0)
	broken, brokenRun := ran(entry(4, v1alpha1.SourceEvent, map[string]int{"v2": 10}), v1alpha1.OutcomeError, 3000)
	off := entry(5, v1alpha1.SourceEvent, map[string]int{"v3": 10})
	off.Status.Phase = v1alpha1.PhaseSkipped
	s := &fixture{
		tags: map[string][]item{
			"v1": {{1, 40}, {3, 30}, {2, 20}, {1, 10}, {9, -600}}, "v2": {{4, 10}}, "v3": {{5, 10}}, "v4": {{6, 50}, {7, 40}},
			"sig": {{8, 10}}, `"$(evil)`: {{1, 10}},
		},
		entries: []v1alpha1.ImageVerification{passed, pruned, running, broken, off},
		runs:    []lifecycle.PipelineRun{passedRun, runningRun, brokenRun},
		late:    []v1alpha1.ImageVerification{entry(7, v1alpha1.SourceEvent, map[string]int{"v4": 40})},
	}
	// The Image objects show neither to run; the registry tells them apart.
	s.artefact, s.forged = digest(8), digest(6)
	then := metav1.NewTime(at(3600))
	uncovered := func(d, seconds int, tag string) Uncovered {
		pushed := metav1.NewTime(at(seconds))
		return Uncovered{Repository: app.Name, Tag: tag, Digest: digest(d).String(), PushedAt: &pushed, Reason: NotRecorded}
	}
	want := []Report{{
		Namespace: "team-a", Trigger: "all", State: v1alpha1.CoverageGap, Verified: true, AsOf: &then, Repositories: 1,
		Pushes: 8, Covered: 6, Pending: 2, Failed: 1, Skipped: 1, Recovered: 2, Gap: 2, Artefacts: 1,
		Exempt: []Exempt{{Repository: app.Name, Tag: "sig", Digest: digest(8).String(), Reason: image.NoImageConfig}},
		// The second push of digest 1 to v1 is later than what its entry has.
		Uncovered: []Uncovered{uncovered(1, 40, "v1"), uncovered(6, 50, "v4")},
	}}
	got := s.verify(t, trigger())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
	s.hidden = true
	if got := s.verify(t, trigger())[0]; got.Pushes != 5 || got.Gap != 0 || got.State != v1alpha1.CoverageNotKnown {
		t.Errorf("a trigger that may not see the stream answers for what it has: %+v", got)
	}
}

// Property: the ledger's word on runs is not believed.
func TestVerifyDoesNotTrustTheLedger(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*v1alpha1.ImageVerification, *lifecycle.PipelineRun)
		gone   bool
		want   Reason
	}{
		{"all is well", nil, false, ""},
		{"the run was deleted before it could be pruned", nil, true, RunMissing},
		{"the run was pruned", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) {
			e.Status.Runs[0].FinishedAt = &metav1.Time{Time: at(3000)}
			e.Status.Verdict.At = *e.Status.Runs[0].FinishedAt
		}, true, ""},
		{"it claims to run and there is no run", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) {
			e.Status.Phase, e.Status.Runs[0].Outcome = v1alpha1.PhaseRunning, ""
		}, true, RunMissing},
		{"a verdict that its run did not give", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) {
			e.Status.Verdict.Outcome = v1alpha1.OutcomeFail
		}, false, RecordIncomplete},
		{"a verdict of another run's name", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) {
			e.Status.Verdict.Run = "mine"
		}, false, RecordIncomplete},
		{"a verdict of no run", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) { e.Status.Verdict.Number = 0 }, false, RecordIncomplete},
		{"a verdict of a run to come", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) { e.Status.Verdict.Number = 2 }, false, RecordIncomplete},
		{"a verdict of a run to come, by its name", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) {
			e.Status.Verdict.Number, e.Status.Verdict.Run, e.Status.Verdict.At = 2, ledger.RunName(e, 2), metav1.NewTime(at(100))
		}, false, RecordIncomplete},
		{"a verdict of no run, by its name", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) {
			e.Status.Phase, e.Status.Runs = v1alpha1.PhaseError, nil
			e.Status.Verdict.Number, e.Status.Verdict.Run, e.Status.Verdict.At = 0, ledger.RunName(e, 0), metav1.NewTime(at(100))
		}, false, RecordIncomplete},
		{"a verdict that was kept past a newer one", func(e *v1alpha1.ImageVerification, pr *lifecycle.PipelineRun) {
			e.Status.RunCount, e.Status.Runs[0].Number = 2, 2
			e.Status.Runs[0].Name = ledger.RunName(e, 2)
			pr.Name, pr.RunLabel = e.Status.Runs[0].Name, e.Status.Runs[0].Name
			e.Status.Verdict.Outcome, e.Status.Verdict.Run = v1alpha1.OutcomeFail, ledger.RunName(e, 1)
		}, false, RecordIncomplete},
		{"a verdict beside an error, and its run says otherwise", func(e *v1alpha1.ImageVerification, pr *lifecycle.PipelineRun) {
			e.Status.Phase, e.Status.Runs = v1alpha1.PhaseError, nil
			pr.Results[runresult.Verdict] = "fail"
		}, false, RunDiffers},
		{"a verdict beside an error, whose run is no longer kept", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) {
			e.Status.Phase, e.Status.Runs = v1alpha1.PhaseError, nil
		}, false, ""},
		{"a verdict beside an error, of a run of another name", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) {
			e.Status.Phase, e.Status.Runs, e.Status.Verdict.Run = v1alpha1.PhaseError, nil, "mine"
		}, false, RecordIncomplete},
		{"a verdict beside an error, whose run was deleted", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) {
			e.Status.Phase, e.Status.Runs = v1alpha1.PhaseError, nil
		}, true, RunMissing},
		{"an entry of before verdicts were kept", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) { e.Status.Verdict = nil }, false, ""},
		{"the run says fail", func(_ *v1alpha1.ImageVerification, pr *lifecycle.PipelineRun) {
			pr.Results[runresult.Verdict] = "fail"
		}, false, RunDiffers},
		{"the run scanned something else", func(_ *v1alpha1.ImageVerification, pr *lifecycle.PipelineRun) {
			pr.Results[runresult.Digest] = digest(9).String()
		}, false, RunDiffers},
		{"the run has not ended", func(_ *v1alpha1.ImageVerification, pr *lifecycle.PipelineRun) { pr.Done = false }, false, RunDiffers},
		{"the run is another entry's", func(_ *v1alpha1.ImageVerification, pr *lifecycle.PipelineRun) { pr.EntryUID = "other" }, false, RunForeign},
		{"the verdict is about another digest", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) {
			e.Status.Runs[0].Digest = digest(9).String()
		}, false, DigestDiffers},
		{"a verdict without a run", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) { e.Status.Runs = nil }, false, RecordIncomplete},
		{"a run by another name", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) { e.Status.Runs[0].Name = "mine" }, false, RecordIncomplete},
		{"a phase that its run does not have", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) {
			e.Status.Phase = v1alpha1.PhaseFailed
		}, false, RecordIncomplete},
		{"an entry by another name", func(e *v1alpha1.ImageVerification, _ *lifecycle.PipelineRun) { e.Name = "mine" }, false, NotRecorded},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, pr := ran(entry(1, v1alpha1.SourceEvent, map[string]int{"v1": 10}), v1alpha1.OutcomePass, 3590)
			if test.change != nil {
				test.change(&e, &pr)
			}
			s := &fixture{tags: map[string][]item{"v1": {{1, 10}}}, entries: []v1alpha1.ImageVerification{e}}
			if !test.gone {
				s.runs = []lifecycle.PipelineRun{pr}
			}
			r := s.verify(t, trigger())[0]
			var got Reason
			if len(r.Uncovered) > 0 {
				got = r.Uncovered[0].Reason
			}
			if got != test.want || r.Gap != len(r.Uncovered) || r.Pushes != 1 || r.Covered+r.Gap != 1 {
				t.Errorf("reason %q, want %q; report %+v", got, test.want, r)
			}
		})
	}
}

// A digest that nobody pushed is neither covered nor a gap, whatever became of it.
func TestADigestThatNobodyPushedIsNoPush(t *testing.T) {
	pushed, pr := ran(entry(1, v1alpha1.SourceEvent, map[string]int{"v1": 10}), v1alpha1.OutcomePass, 3590)
	third, thirdRun := ran(byHand(t, 2), v1alpha1.OutcomeFail, 3590)
	waiting := byHand(t, 3)
	s := &fixture{
		tags: map[string][]item{"v1": {{1, 10}}}, entries: []v1alpha1.ImageVerification{pushed, third, waiting},
		runs: []lifecycle.PipelineRun{pr, thirdRun},
	}
	r := s.verify(t, trigger())[0]
	if r.State != v1alpha1.CoverageCovered || r.Pushes != 1 || r.Covered != 1 || r.Gap+r.Pending+r.Failed+r.Skipped+r.Doubled != 0 {
		t.Errorf("report %+v", r)
	}
}

// byHand is the entry of a digest that nobody pushed.
func byHand(t *testing.T, d int) v1alpha1.ImageVerification {
	t.Helper()
	ref, err := image.ParseReference("registry.example.com/third/party@" + digest(d).String())
	if err != nil {
		t.Fatal(err)
	}
	e := ledger.NewManual(trigger(), ref, "v1", "jane-1", at(10))
	e.UID = types.UID(fmt.Sprint("entry-", d))
	return *e
}

// An entry that somebody created in the place of a push's hides no push, and is named.
func TestAnEntryInThePlaceOfAPushsIsNamed(t *testing.T) {
	squatter := byHand(t, 9)
	squatter.Name = ledger.EntryName("trigger", app, digest(1))
	s := &fixture{tags: map[string][]item{"v1": {{1, 10}}}, entries: []v1alpha1.ImageVerification{squatter}}
	r := s.verify(t, trigger())[0]
	if r.State != v1alpha1.CoverageGap || len(r.Uncovered) != 1 || r.Uncovered[0].Reason != EntryForged || r.Uncovered[0].Entry != squatter.Name ||
		!strings.Contains(r.Uncovered[0].Message, "kubectl delete imageverification "+squatter.Name) {
		t.Errorf("report %+v", r)
	}
}

// An entry that seems wrong, and is gone when it is read again, covers nothing.
func TestAnEntryThatWasDeletedCoversNothing(t *testing.T) {
	e, _ := ran(entry(1, v1alpha1.SourceEvent, map[string]int{"v1": 10}), v1alpha1.OutcomePass, 3590)
	s := &fixture{tags: map[string][]item{"v1": {{1, 10}}}, entries: []v1alpha1.ImageVerification{e}, deleted: true}
	r := s.verify(t, trigger())[0]
	if r.State != v1alpha1.CoverageGap || len(r.Uncovered) != 1 || r.Uncovered[0].Reason != NotRecorded || r.Uncovered[0].Entry != "" {
		t.Errorf("report %+v", r)
	}
}

// Property: two runs for one cause are seen, whoever made the second one.
func TestVerifyCountsDoubledRuns(t *testing.T) {
	e, pr := ran(entry(1, v1alpha1.SourceEvent, map[string]int{"v1": 10}), v1alpha1.OutcomePass, 3590)
	second := func(change func(*lifecycle.PipelineRun)) lifecycle.PipelineRun {
		other := pr
		other.Name = "second"
		change(&other)
		return other
	}
	again := e.DeepCopy()
	again.Status.RunCount = 2
	again.Status.Runs = append(again.Status.Runs, again.Status.Runs[0])
	again.Status.Runs[1].Number, again.Status.Runs[1].Name = 2, ledger.RunName(&e, 2)
	again.Status.Verdict.Number, again.Status.Verdict.Run = 2, ledger.RunName(&e, 2)
	retried := again.DeepCopy()
	retried.Status.Runs[1].Cause = v1alpha1.Cause{Type: v1alpha1.CauseRetry, Key: pr.Name}
	asRun := func(n int32) lifecycle.PipelineRun {
		return second(func(p *lifecycle.PipelineRun) { p.Name, p.RunLabel = ledger.RunName(&e, n), ledger.RunName(&e, n) })
	}
	for _, test := range []struct {
		name  string
		entry *v1alpha1.ImageVerification
		runs  []lifecycle.PipelineRun
		want  int
	}{
		{"one run", &e, []lifecycle.PipelineRun{pr}, 0},
		{"a template that makes names up", &e, []lifecycle.PipelineRun{pr, second(func(*lifecycle.PipelineRun) {})}, 1},
		{"a run that the ledger does not know of", &e, []lifecycle.PipelineRun{pr, second(func(p *lifecycle.PipelineRun) { p.RunLabel = "x" })}, 1},
		{"two runs of one cause", again, []lifecycle.PipelineRun{pr, asRun(2)}, 1},
		{"a retry", retried, []lifecycle.PipelineRun{pr, asRun(2)}, 0},
		{"a run that was decided upon since", &e, []lifecycle.PipelineRun{pr, asRun(2)}, 0},
		{"a run of somebody else", &e, []lifecycle.PipelineRun{pr, second(func(p *lifecycle.PipelineRun) { p.EntryUID = "other" })}, 0},
		{"a run without a name of ours", &e, []lifecycle.PipelineRun{pr, second(func(p *lifecycle.PipelineRun) { p.RunLabel = "" })}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &fixture{tags: map[string][]item{"v1": {{1, 10}}}, entries: []v1alpha1.ImageVerification{*test.entry}, runs: test.runs}
			r := s.verify(t, trigger())[0]
			state := v1alpha1.CoverageCovered
			if test.want > 0 {
				state = v1alpha1.CoverageGap
			}
			if r.Doubled != test.want || len(r.DoubledRuns) != test.want || r.Gap != 0 || r.State != state {
				t.Errorf("%d doubled, want %d: %+v", r.Doubled, test.want, r)
			}
		})
	}
}

// A push that may be an artefact and cannot be read counts in the gap, and nobody knows
// whether it is one.
func TestWhatCannotBeReadIsNotExempt(t *testing.T) {
	for _, err := range []error{&source.Refusal{Reason: source.Denied, Err: errors.New("401")}, errors.New("connection refused")} {
		s := &fixture{tags: map[string][]item{"sig": {{2, 10}}}, artefact: digest(2), contentErr: err}
		r := s.verify(t, trigger())[0]
		if r.Gap != 1 || r.Artefacts != 0 || len(r.Uncovered) != 1 || !strings.Contains(r.Uncovered[0].Message, err.Error()) ||
			r.State != v1alpha1.CoverageNotKnown || len(r.Unknown) != 1 || r.Unknown[0].Reason != NotReadable || r.Unknown[0].Cure == "" {
			t.Errorf("report %+v", r)
		}
	}
}

// What cannot be looked at is unknown, never covered.
func TestVerifySaysWhatItCouldNotLookAt(t *testing.T) {
	e, pr := ran(entry(1, v1alpha1.SourceEvent, map[string]int{"v1": 10}), v1alpha1.OutcomePass, 3590)
	remote := trigger()
	remote.Name, remote.UID = "remote", "remote"
	remote.Spec.Images = []v1alpha1.ImageSelector{{Repository: "registry.example.com/team/a"}}
	for _, test := range []struct {
		name    string
		fixture fixture
		of      *v1alpha1.ImageTrigger
		want    string
	}{
		{"streams", fixture{listErr: errors.New("connection refused")}, trigger(), "connection refused"},
		{"runs", fixture{runsErr: errors.New("forbidden")}, trigger(), "the runs of the entries could not be checked: forbidden"},
		{"a registry", fixture{}, remote, "RegistryDenied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.fixture.tags, test.fixture.entries, test.fixture.runs = map[string][]item{"v1": {{1, 10}}}, []v1alpha1.ImageVerification{e}, []lifecycle.PipelineRun{pr}
			r := test.fixture.verify(t, test.of)[0]
			if len(r.Unknown) != 1 || !strings.Contains(r.Unknown[0].Message, test.want) || r.Unknown[0].Cure == "" || r.Gap != 0 || r.State != v1alpha1.CoverageNotKnown {
				t.Errorf("report %+v", r)
			}
		})
	}
}
