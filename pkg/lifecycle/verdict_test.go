package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/runresult"
)

const (
	policyDigest = "sha256:" + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	listDigest   = "sha256:" + "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	dataDigest   = "sha256:" + "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
)

var asOf = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func basis(t *testing.T, b runresult.Basis) string {
	t.Helper()
	text, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Property: a verdict rests on what the run tells. What is invalid or missing is not known,
// and never makes a verdict better than the summary makes it.
func TestWhatAVerdictRestsOn(t *testing.T) {
	digest, err := image.ParseDigest("sha256:" + hex)
	if err != nil {
		t.Fatal(err)
	}
	at := metav1.NewTime(asOf)
	database := &v1alpha1.VerdictDatabase{Digest: dataDigest, AsOf: &at}
	const summary = `{"counts":{"images":3,"unselected":2},"off":["signature"],"platforms":["linux/amd64","linux/arm64"],` +
		`"database":{"digest":"` + dataDigest + `","asOf":"2026-11-20T12:00:00Z"}}`
	full := runresult.Basis{
		Policy: policyDigest, Parts: map[string]string{"rules": "0123456789ab"}, Checks: []string{"scan", "validate"},
		Platforms: []string{"linux/amd64"}, PlatformsOmitted: 1, Unselected: 4,
		Database:  &runresult.BasisDatabase{Digest: dataDigest, AsOf: asOf},
		Inventory: &runresult.BasisInventory{Digest: listDigest},
	}
	for _, tt := range []struct {
		name, summary, basis string
		want                 v1alpha1.Verdict
		message              string
	}{
		{"a basis", `{}`, basis(t, full), v1alpha1.Verdict{
			PolicyDigest: policyDigest, Parts: map[string]string{"rules": "0123456789ab"}, Checks: []string{"scan", "validate"},
			Platforms: []string{"linux/amd64"}, PlatformsOmitted: 1, Unselected: 4, Database: database,
			Inventory: &v1alpha1.VerdictInventory{Digest: listDigest},
		}, ""},
		{"a basis that claims a check that the summary says was off", `{"off":["scan"]}`,
			basis(t, runresult.Basis{Checks: []string{"scan", "validate"}, Off: []string{"layers"}}),
			v1alpha1.Verdict{Checks: []string{"validate"}, Off: []string{"layers", "scan"}}, ""},
		{"no basis", summary, "", v1alpha1.Verdict{
			Off: []string{"signature"}, Platforms: []string{"linux/amd64", "linux/arm64"}, PlatformsOmitted: 1, Unselected: 2, Database: database,
		}, ""},
		{"a basis that is invalid", summary, `{"checks":[]}`, v1alpha1.Verdict{Off: []string{"signature"}},
			`the result "basis" is not used: the basis is invalid: no check looked at the image`},
		{"a basis that is too long", summary, strings.Repeat(" ", 1025), v1alpha1.Verdict{Off: []string{"signature"}},
			`the result "basis" is not used: the basis has 1025 bytes; at most 1024 are allowed`},
		{"a summary of another form", `{"database":"x","platforms":{"a":1},"counts":[]}`, "", v1alpha1.Verdict{}, ""},
		{"no digest of a database, and platforms that are none", `{"database":{"digest":"latest"},"platforms":["linux","linux/` +
			strings.Repeat("a", 60) + `","linux/amd64","linux/amd64"],"counts":{"unselected":-1}}`, "",
			v1alpha1.Verdict{Platforms: []string{"linux/amd64"}, PlatformsOmitted: 3}, ""},
		{"no summary", "", "", v1alpha1.Verdict{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := lifecycle.OutcomeOf(digest, "", done(map[string]string{
				"verdict": "pass", "digest": digest.String(), "summary": tt.summary, "basis": tt.basis}), nil)
			if got.Outcome != v1alpha1.OutcomePass || got.Message != tt.message {
				t.Errorf("%s: %q, want a pass: %q", got.Outcome, got.Message, tt.message)
			}
			if diff := cmp.Diff(tt.want, got.Basis); diff != "" {
				t.Errorf("basis (-want +got):\n%s", diff)
			}
		})
	}
	many := `{"platforms":["linux/p` + strings.Join(strings.Split(strings.Repeat("0", 40), ""), `","linux/p`) + `"]}`
	many = strings.ReplaceAll(many, `"linux/p0"`, "%")
	for i := range 40 {
		many = strings.Replace(many, "%", `"linux/p`+string(rune('A'+i%26))+string(rune('A'+i/26))+`"`, 1)
	}
	got := lifecycle.OutcomeOf(digest, "", done(map[string]string{"verdict": "pass", "digest": digest.String(), "summary": many}), nil)
	if len(got.Basis.Platforms) != 32 || got.Basis.PlatformsOmitted != 8 {
		t.Errorf("%d platforms and %d omitted, want 32 and 8", len(got.Basis.Platforms), got.Basis.PlatformsOmitted)
	}
	failed := lifecycle.OutcomeOf(digest, "", done(map[string]string{"verdict": "pass", "digest": policyDigest, "summary": summary, "basis": basis(t, full)}), nil)
	if diff := cmp.Diff(v1alpha1.Verdict{}, failed.Basis); failed.Outcome != v1alpha1.OutcomeError || diff != "" {
		t.Errorf("%s has a basis: %s", failed.Outcome, diff)
	}
}

// runOnce makes the entry's next run end.
func runOnce(s *v1alpha1.ImageVerificationStatus, name string, o lifecycle.Outcome, at time.Time) {
	lifecycle.RecordBegin(s, v1alpha1.RunStatus{Name: name, TriggerGeneration: 7, Cause: v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: name}}, at)
	lifecycle.RecordRunSeen(s, lifecycle.PipelineRun{Name: name, Started: at}, at)
	lifecycle.RecordOutcome(s, lifecycle.PipelineRun{Name: name, Finished: at}, o, at)
}

func passing() lifecycle.Outcome {
	return lifecycle.Outcome{Outcome: v1alpha1.OutcomePass, Reason: lifecycle.Passed, Basis: v1alpha1.Verdict{Off: []string{"scan"}},
		Sandbox: v1alpha1.SandboxStatus{Requested: "kata", Observed: []string{"kata"}}}
}

// Property: the newest verdict stands while a run is under way, and after it if it gave
// none, however it ended. Only a newer verdict replaces it.
func TestOnlyANewerVerdictReplacesAVerdict(t *testing.T) {
	want := &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass, Run: "one", Number: 1, At: metav1.NewTime(now), TriggerGeneration: 7,
		Off: []string{"scan"}, Sandbox: v1alpha1.VerdictSandbox{Requested: "kata", Observed: []string{"kata"}}}
	later := now.Add(time.Hour)
	begin := func(s *v1alpha1.ImageVerificationStatus) {
		lifecycle.RecordBegin(s, v1alpha1.RunStatus{Name: "two", Cause: v1alpha1.Cause{Type: v1alpha1.CausePush}}, later)
	}
	for name, do := range map[string]func(*v1alpha1.ImageVerificationStatus){
		"a run begins": begin,
		"a run is seen": func(s *v1alpha1.ImageVerificationStatus) {
			begin(s)
			lifecycle.RecordAttempt(s, ready(), later)
			lifecycle.RecordRunSeen(s, lifecycle.PipelineRun{Name: "two", UID: "u", Started: later}, later)
		},
		"a run ends as an error": func(s *v1alpha1.ImageVerificationStatus) {
			runOnce(s, "two", lifecycle.Outcome{Outcome: v1alpha1.OutcomeError, Reason: lifecycle.RunFailed, Basis: v1alpha1.Verdict{PolicyDigest: "x"}}, later)
			lifecycle.RecordRetry(s, ready(), later)
		},
		"a run finds no image": func(s *v1alpha1.ImageVerificationStatus) {
			runOnce(s, "two", lifecycle.Outcome{Outcome: v1alpha1.OutcomeError, Reason: lifecycle.NotAnImage}, later)
		},
		"a run has no outcome": func(s *v1alpha1.ImageVerificationStatus) { runOnce(s, "two", lifecycle.Outcome{}, later) },
		"a run is pruned before it is read": func(s *v1alpha1.ImageVerificationStatus) {
			begin(s)
			lifecycle.RecordEnd(s, lifecycle.Vanished, "m", later)
		},
		"a push is skipped": func(s *v1alpha1.ImageVerificationStatus) {
			s.Tags = append(s.Tags, tag("v2", 0, 0))
			lifecycle.EndWithoutRun(s, v1alpha1.Cause{}, lifecycle.Superseded, "m", later)
		},
		"a filter fails": func(s *v1alpha1.ImageVerificationStatus) {
			lifecycle.EndWithoutRun(s, v1alpha1.Cause{}, lifecycle.FilterFailed, "m", later)
		},
		"a push waits": func(s *v1alpha1.ImageVerificationStatus) {
			lifecycle.RecordWait(s, lifecycle.Queued, "m", later)
		},
		"its runs are no longer kept": func(s *v1alpha1.ImageVerificationStatus) {
			for range 12 {
				runOnce(s, "more", lifecycle.Outcome{Outcome: v1alpha1.OutcomeError, Reason: lifecycle.RunFailed}, later)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := entry(tags(tag("v1", 0, 0)))
			runOnce(&e.Status, "one", passing(), now)
			do(&e.Status)
			if diff := cmp.Diff(want, e.Status.Verdict); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if e.Status.NotChecked != "scan" {
				t.Errorf("beside it, the table has %q", e.Status.NotChecked)
			}
			if e.Status.CurrentRun() == nil {
				lifecycle.RecordBegin(&e.Status, v1alpha1.RunStatus{Name: "last"}, later)
			}
			number := e.Status.CurrentRun().Number
			lifecycle.RecordOutcome(&e.Status, lifecycle.PipelineRun{}, lifecycle.Outcome{Outcome: v1alpha1.OutcomeFail, Reason: lifecycle.Failed}, later)
			if v := e.Status.Verdict; v.Outcome != v1alpha1.OutcomeFail || v.Number != number || v.Off != nil || e.Status.NotChecked != "" {
				t.Errorf("after a newer fail the verdict is %+v, and %q was not checked", v, e.Status.NotChecked)
			}
		})
	}
}

// Property: of two runs whose ends are recorded out of order, the newer one speaks.
func TestAnOlderRunDoesNotReplaceTheVerdict(t *testing.T) {
	e := entry(tags(tag("v1", 0, 0)))
	newer := &v1alpha1.Verdict{Outcome: v1alpha1.OutcomeFail, Run: "three", Number: 3, At: metav1.NewTime(now)}
	e.Status.Verdict = newer.DeepCopy()
	runOnce(&e.Status, "one", passing(), now.Add(time.Hour))
	if diff := cmp.Diff(newer, e.Status.Verdict); diff != "" {
		t.Errorf("verdict (-want +got):\n%s", diff)
	}
}

// Property: nothing is filled in from what was recorded before verdicts were kept.
func TestNoVerdictComesFromThePhase(t *testing.T) {
	e := entry(with(ended(v1alpha1.OutcomePass, lifecycle.Passed)))
	e.Status.NotChecked = "scan"
	runOnce(&e.Status, "two", lifecycle.Outcome{Outcome: v1alpha1.OutcomeError, Reason: lifecycle.RunFailed}, now)
	if e.Status.Verdict != nil || e.Status.NotChecked != "" {
		t.Errorf("verdict %+v, not checked %q", e.Status.Verdict, e.Status.NotChecked)
	}
}

// Property: a renewal gets a run only while the entry has no verdict, after everything else
// that the entry is owed, and is answered either way.
func TestRenewals(t *testing.T) {
	id := lifecycle.RenewalPrefix + "a"
	renewal := v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: id}
	facts := lifecycle.Facts{Trigger: ready(), Run: absent, Slot: lifecycle.Slot{State: lifecycle.SlotGranted},
		Image: lifecycle.Image{State: lifecycle.ImageMissing}, Routing: lifecycle.Routing{State: lifecycle.RoutingDecided}}
	next := func(e *v1alpha1.ImageVerification) lifecycle.Decision { return lifecycle.Next(e, facts, now) }
	judged := with(ended(v1alpha1.OutcomePass, lifecycle.Passed))
	for _, tt := range []struct {
		name  string
		entry *v1alpha1.ImageVerification
		want  lifecycle.Decision
	}{
		{"it has no verdict", entry(judged, requests(id)), lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: renewal}},
		{"somebody asked for another run too", entry(judged, requests(id, "b")),
			lifecycle.Decision{Action: lifecycle.RecordAndFire, Cause: v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: "b"}}},
		{"a verdict came since", entry(judged, validFor(-time.Hour), requests(id)),
			lifecycle.Decision{Action: lifecycle.Covered, Reason: lifecycle.Passed, Cause: renewal, Run: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := next(tt.entry)
			if diff := cmp.Diff(tt.want, d); diff != "" {
				t.Fatalf("decision (-want +got):\n%s", diff)
			}
			s := &tt.entry.Status
			if d.Action == lifecycle.Covered {
				lifecycle.RecordCovered(s, d.Run, d.Cause)
			} else {
				lifecycle.RecordBegin(s, v1alpha1.RunStatus{Name: "x", Cause: d.Cause}, now)
			}
			if got := s.HandledRequests; len(got) != 1 || got[0] != d.Cause.Key {
				t.Errorf("handled %v, want %s", got, d.Cause.Key)
			}
		})
	}
}
