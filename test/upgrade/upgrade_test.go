//go:build linux

package upgrade_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	// The programs are built from these, so that go test does not answer from its cache when they change.
	_ "github.com/revet-dev/revet/pkg/app"
	_ "github.com/revet-dev/revet/pkg/cli"
	"github.com/revet-dev/revet/test/upgrade"
)

var (
	root        = flag.String("root", "../..", "`folder` with the sources of the version that continues")
	contentFile = flag.String("content", "testdata/c8ff37c.jsonl.gz", "`file` with what the other version stored")
)

// mayBeDropped are fields that c8ff37c does not know, and why it may drop them with its next write.
var mayBeDropped = map[string]string{
	"spec.repository.names":     "only gates read the names of a stream's tags, and c8ff37c has no gates",
	"status.lastSweep.coverage": "each sweep writes it anew, and without it coverage is not known",
	"status.verdict":            "without it the verdict is not known, and the next run gives one",
}

// settled is what of an entry no upgrade may change once its verdict is recorded.
type settled struct {
	Phase, Reason string
	Runs          []string
}

func settledOf(e *v1alpha1.ImageVerification) settled {
	s := settled{Phase: string(e.Status.Phase), Reason: e.Status.Reason}
	for _, r := range e.Status.Runs {
		s.Runs = append(s.Runs, r.Name)
	}
	return s
}

// expected says how an entry goes on: unchanged, or to a phase after a number of runs.
func expected(e *v1alpha1.ImageVerification) (unchanged bool, phase v1alpha1.Phase, runs int32) {
	requests := int32(len(e.Spec.Requests) - len(e.Status.HandledRequests))
	if last := e.Status.LatestRun(); strings.HasPrefix(stream(e), "app-error") && last != nil {
		if last.Outcome != "" {
			return false, v1alpha1.PhasePassed, e.Status.RunCount + 1 // its repetition, which passes
		}
		return false, v1alpha1.PhasePassed, e.Status.RunCount
	}
	switch e.Status.Phase {
	case v1alpha1.PhaseSkipped, v1alpha1.PhaseError:
		return true, "", 0
	case v1alpha1.PhasePassed, v1alpha1.PhaseFailed:
		return requests == 0, e.Status.Phase, e.Status.RunCount + requests
	default:
		return false, v1alpha1.PhasePassed, max(e.Status.RunCount, 1)
	}
}

func stream(e *v1alpha1.ImageVerification) string {
	return strings.TrimPrefix(e.Spec.Repository.Name, upgrade.Namespace+"/")
}

// Property: this version continues what c8ff37c stored. Every entry ends, none is lost, each cause
// has one run, what nobody saw is found, and the ledger covers every push. What this version then
// stores, c8ff37c can read.
func TestThisVersionContinuesWhatAnotherStored(t *testing.T) {
	content, err := upgrade.ReadFile(filepath.FromSlash(*contentFile))
	if err != nil {
		t.Fatal(err)
	}
	before := entriesOf(t, content)
	if len(before) < 50 {
		t.Fatalf("the recording has %d entries, want 50", len(before))
	}
	ctx := t.Context()
	env, err := upgrade.NewEnv(ctx, *root, t.TempDir(), content)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(env.Logs())
		}
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	listener, err := upgrade.StartListeners(ctx, env.Admin, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(listener.Stop)
	if err := env.StartPrograms(ctx); err != nil {
		t.Fatal(err)
	}
	// Every event comes once more, as from a source that starts anew.
	streams := map[string]bool{}
	for _, e := range before {
		streams[stream(&e)] = true
	}
	for name := range streams {
		if err := env.Send(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "every entry ends", func() error {
		if err := env.EndRunsWith(ctx, passErrors); err != nil {
			return err
		}
		return finished(t, env, before)
	})
	check(t, env, before)
	if out, err := env.Kubectl(ctx, "coverage", "-n", upgrade.Namespace, "--verify"); err != nil {
		t.Errorf("coverage: %v\n%s", err, out)
	}
	after, err := upgrade.Dump(ctx, env.Cluster.Etcd())
	if err != nil {
		t.Fatal(err)
	}
	unreadable, err := upgrade.Unreadable(filepath.FromSlash("testdata/c8ff37c-crds"), after)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range unreadable {
		_, field, _ := strings.Cut(u, ": unknown field ")
		if mayBeDropped[field] != "" {
			continue
		}
		t.Errorf("c8ff37c cannot read what this version stored: %s", u)
	}
}

// passErrors ends the repetitions of runs that failed for want of infrastructure with a pass.
func passErrors(stream, verdict string) string {
	if strings.HasPrefix(stream, "app-error") {
		return "pass"
	}
	return verdict
}

// finished says which of the entries goes on still.
func finished(t *testing.T, env *upgrade.Env, before map[string]v1alpha1.ImageVerification) error {
	t.Helper()
	entries, err := env.Entries(t.Context())
	if err != nil {
		return err
	}
	if want := len(before) + 2; len(entries) != want {
		return fmt.Errorf("there are %d entries, want %d: those recorded, and two pushes that nobody saw", len(entries), want)
	}
	for i := range entries {
		e := &entries[i]
		old, known := before[string(e.UID)]
		unchanged, phase, runs := expected(&old)
		if !known {
			unchanged, phase, runs = false, v1alpha1.PhasePassed, 1
		}
		if !unchanged && (e.Status.Phase != phase || e.Status.RunCount != runs) {
			return fmt.Errorf("entry %s of %s is %s/%s after %d runs, want %s after %d: %s",
				e.Name, stream(e), e.Status.Phase, e.Status.Reason, e.Status.RunCount, phase, runs, e.Status.Message)
		}
	}
	return nil
}

// checkVerdict checks that no verdict comes from what c8ff37c recorded, and that the next run
// gives one.
func checkVerdict(t *testing.T, e *v1alpha1.ImageVerification, unchanged bool) {
	t.Helper()
	v, last := e.Status.Verdict, e.Status.LatestRun()
	switch {
	case unchanged && v != nil:
		t.Errorf("entry %s of %s has the verdict %q of run %d, and had no run since", e.Name, stream(e), v.Outcome, v.Number)
	case !unchanged && v == nil:
		t.Errorf("entry %s of %s had a run, and has no verdict", e.Name, stream(e))
	case !unchanged && (v.Run != last.Name || v.Number != last.Number || v.Outcome != last.Outcome || v.At != *last.FinishedAt):
		t.Errorf("entry %s of %s has the verdict %+v of the run %+v", e.Name, stream(e), v, last)
	}
}

// check compares entries and PipelineRuns with what was recorded.
func check(t *testing.T, env *upgrade.Env, before map[string]v1alpha1.ImageVerification) {
	t.Helper()
	entries, err := env.Entries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want, found := map[string]int{}, map[string]bool{}
	for i := range entries {
		e := &entries[i]
		found[string(e.UID)] = true
		for _, r := range e.Status.Runs {
			want[r.Name] = 1
		}
		old, known := before[string(e.UID)]
		if !known {
			continue
		}
		if diff := cmp.Diff(old.Spec, e.Spec); diff != "" {
			t.Errorf("the spec of entry %s (-recorded +now):\n%s", e.Name, diff)
		}
		unchanged, _, _ := expected(&old)
		checkVerdict(t, e, unchanged)
		if unchanged {
			if diff := cmp.Diff(settledOf(&old), settledOf(e)); diff != "" {
				t.Errorf("entry %s of %s was settled (-recorded +now):\n%s", e.Name, stream(e), diff)
			}
		}
		now := settledOf(e).Runs
		for i, name := range settledOf(&old).Runs {
			if i >= len(now) || now[i] != name {
				t.Errorf("entry %s has lost run %s: its runs are %v", e.Name, name, now)
			}
		}
	}
	for uid, old := range before {
		if !found[uid] {
			t.Errorf("entry %s of %s is lost", old.Name, stream(&old))
		}
	}
	runs, err := env.Runs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, r := range runs {
		got[r.Name]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("PipelineRuns (-by the ledger +there are):\n%s", diff)
	}
	t.Logf("%d entries, %d runs", len(entries), len(runs))
}

// entriesOf decodes the entries of a recording, by UID.
func entriesOf(t *testing.T, content []upgrade.Pair) map[string]v1alpha1.ImageVerification {
	t.Helper()
	entries := map[string]v1alpha1.ImageVerification{}
	for _, p := range content {
		if !strings.Contains(p.Key, "/revet.dev/imageverifications/") {
			continue
		}
		var e v1alpha1.ImageVerification
		if err := json.Unmarshal(p.JSON, &e); err != nil {
			t.Fatalf("decoding %q: %v", p.Key, err)
		}
		entries[string(e.UID)] = e
	}
	return entries
}

// Property: the recording holds entries in every phase, so that the test above cannot become empty.
func TestTheRecordingHoldsEveryPhase(t *testing.T) {
	content, err := upgrade.ReadFile(filepath.FromSlash("testdata/c8ff37c.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[v1alpha1.Phase]bool{}
	requests := 0
	for _, e := range entriesOf(t, content) {
		phase := e.Status.Phase
		if phase == "" {
			phase = v1alpha1.PhasePending
		}
		got[phase] = true
		requests += len(e.Spec.Requests) - len(e.Status.HandledRequests)
	}
	want := []v1alpha1.Phase{"Error", "Failed", "Passed", "Pending", "Requested", "Running", "Skipped"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	if requests != 2 {
		t.Errorf("%d requests wait, want 2", requests)
	}
}

// eventually polls until the condition gives no error.
func eventually(t *testing.T, what string, condition func() error) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: not within a minute: %v", what, err)
		case <-tick.C:
		}
	}
}
