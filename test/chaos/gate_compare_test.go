package chaos

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

func hexOfLetter(letter string) string { return strings.Repeat(letter, 64) }

// anEntry is an entry with a verdict of noon.
func anEntry(trigger, name, letter string, outcome v1alpha1.Outcome, push int) v1alpha1.ImageVerification {
	at := metav1.NewTime(noon.Add(time.Duration(push) * time.Second))
	return v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: gateNamespace(trigger), Name: name},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: trigger, UID: "uid"},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: "r.example.com/" + trigger},
			Digest:     "sha256:" + hexOfLetter(letter), FirstPush: v1alpha1.PushRecord{Tag: "v0", PushedAt: at},
		},
		Status: v1alpha1.ImageVerificationStatus{Phase: v1alpha1.PhasePassed, Verdict: &v1alpha1.Verdict{
			Outcome: outcome, Run: "run", Number: 1, At: metav1.NewTime(noon),
			Checks: []string{gateCheck}, Platforms: []string{gatePlatform},
			Sandbox: v1alpha1.VerdictSandbox{Requested: runtimeClass, Observed: []string{runtimeClass}},
		}},
	}
}

// equalState is a ledger and a map that say the same: a passed and runs, b failed in one of two
// entries, and c passed elsewhere.
func equalState() *gateState {
	stamp := noon.UTC().Format(time.RFC3339)
	return &gateState{
		at:       noon.Add(10 * time.Minute),
		triggers: map[string]string{strictTrigger: "uid", laxTrigger: "uid", strangerTrigger: "uid"},
		gate: &v1alpha1.ImageGate{
			ObjectMeta: metav1.ObjectMeta{Name: "g", CreationTimestamp: metav1.NewTime(noon)},
			Spec: v1alpha1.ImageGateSpec{
				Trust: []v1alpha1.TrustedTrigger{
					{Namespace: gateNamespace(strictTrigger), Trigger: strictTrigger},
					{Namespace: gateNamespace(laxTrigger), Trigger: laxTrigger},
				},
				Require:   v1alpha1.GateRequirements{Checks: []string{gateCheck}, Sandboxed: true, Platforms: []string{gatePlatform}},
				MaxAge:    metav1.Duration{Duration: gateMaxAge},
				OnExpired: v1alpha1.ExpiredWarn, PinTags: v1alpha1.PinNewest,
			},
			Status: v1alpha1.ImageGateStatus{Shards: 1},
		},
		entries: []v1alpha1.ImageVerification{
			anEntry(strictTrigger, "a", "a", v1alpha1.OutcomePass, 2), anEntry(strictTrigger, "b", "b", v1alpha1.OutcomeFail, 1),
			anEntry(laxTrigger, "b", "b", v1alpha1.OutcomePass, 3), anEntry(strangerTrigger, "c", "c", v1alpha1.OutcomePass, 4),
		},
		images: []v1alpha1.VerifiedImages{
			{
				ObjectMeta: metav1.ObjectMeta{Name: "g"},
				Digests:    map[string]string{hexOfLetter("a"): stamp}, Ran: map[string]string{hexOfLetter("a"): stamp},
			},
			{ObjectMeta: metav1.ObjectMeta{Name: "g.tags"}, Tags: map[string]string{
				"r.example.com/strict:v0": hexOfLetter("a"), "r.example.com/lax:v0": "Failed",
			}},
		},
	}
}

// Whatever the map says too much, too little or otherwise has to show.
func TestGateDifferencesShow(t *testing.T) {
	a, b := hexOfLetter("a"), hexOfLetter("b")
	for _, test := range []struct {
		name   string
		change func(*gateState)
		want   []string // in order, a part of each
	}{
		{"they are equal", func(*gateState) {}, nil},
		{"a digest is missing", func(s *gateState) { delete(s.images[0].Digests, a) }, []string{"digest " + a + `: the map says ""`}},
		{"a digest failed", func(s *gateState) { s.images[0].Digests[b] = noon.UTC().Format(time.RFC3339) }, []string{"digest " + b}},
		{"a digest has another time", func(s *gateState) { s.images[0].Digests[a] = "2020-01-01T00:00:00Z" }, []string{"digest " + a}},
		{"a digest is not said to have run", func(s *gateState) { s.images[0].Ran = nil }, []string{"does not say that it ran"}},
		{"a digest is said to have run", func(s *gateState) { s.images[0].Ran[b] = s.images[0].Ran[a] }, []string{"says that it ran, and it did not"}},
		{"a digest ran at no time", func(s *gateState) { s.images[0].Ran[a] = "yesterday" }, []string{"says that it ran at"}},
		{"a digest ran before there was a gate", func(s *gateState) { s.images[0].Ran[a] = "2020-01-01T00:00:00Z" }, []string{"says that it ran at"}},
		{"a tag is pinned to what failed", func(s *gateState) { s.images[1].Tags["r.example.com/lax:v0"] = b },
			[]string{"tag r.example.com/lax:v0", "tag r.example.com/lax:v0"}},
		{"a tag is pinned to another digest", func(s *gateState) { s.images[1].Tags["r.example.com/strict:v0"] = b },
			[]string{"tag r.example.com/strict:v0", "tag r.example.com/strict:v0"}},
		{"a tag is missing", func(s *gateState) { delete(s.images[1].Tags, "r.example.com/lax:v0") },
			[]string{"tag r.example.com/lax:v0", "tag r.example.com/lax:v0"}},
		{"an object is too many", func(s *gateState) {
			s.images = append(s.images, v1alpha1.VerifiedImages{ObjectMeta: metav1.ObjectMeta{Name: "g.0"}})
		}, []string{"2 objects hold digests"}},
		{"the ledger does not count", func(s *gateState) { s.entries[0].Status.Verdict.Sandbox.Observed = []string{""} },
			[]string{"digest " + a + ": the map says", "it did not or does not count", "tag", "tag"}},
		{"the verdict has expired", func(s *gateState) { s.at = noon.Add(2 * time.Hour) }, []string{"digest " + a + ": the map says"}},
		{"the verdict has just expired", func(s *gateState) { s.at = noon.Add(gateMaxAge + 30*time.Second) }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := equalState()
			test.change(s)
			got, err := s.differences([]string{"sha256:" + a})
			if err != nil {
				t.Fatal(err)
			}
			ok := len(got) == len(test.want)
			for i := range got {
				ok = ok && strings.Contains(got[i], test.want[i])
			}
			if !ok {
				t.Errorf("it tells %q, want %q", got, test.want)
			}
		})
	}
}

// A verdict that is not the one that was written has to show.
func TestLedgerFaultsShow(t *testing.T) {
	s := equalState()
	key := gateNamespace(strictTrigger) + "/a"
	if got := s.ledgerFaults(map[string]v1alpha1.Outcome{key: v1alpha1.OutcomePass}); got != nil {
		t.Errorf("it tells %q", got)
	}
	if got := s.ledgerFaults(map[string]v1alpha1.Outcome{key: v1alpha1.OutcomeFail}); len(got) != 1 {
		t.Errorf("it tells %q", got)
	}
}

// Each thing that is wrong fails a seed, and so does a play that tried nothing.
func TestGateResultFails(t *testing.T) {
	for name, change := range map[string]func(*GateResult){
		"a wrong admission":        func(r *GateResult) { r.Tries.admitted("x", finding{wrong: "it never passed"}) },
		"an admission at the end":  func(r *GateResult) { r.Tries.wrongly("x") },
		"a late denial":            func(r *GateResult) { r.Tries.admitted("x", finding{led: lateAfter + 1, wall: lateAfter + 1}) },
		"a wrong refusal":          func(r *GateResult) { r.Refused = []string{"x"} },
		"a difference":             func(r *GateResult) { r.Differences = []string{"x"} },
		"it never settled":         func(r *GateResult) { r.Settled = false },
		"nobody answered":          func(r *GateResult) { r.Tries.Answered, r.Tries.Admitted = 0, 0 },
		"everything was admitted":  func(r *GateResult) { r.Tries.Admitted = r.Tries.Answered },
		"everything was refused":   func(r *GateResult) { r.Tries.Admitted = 0 },
		"":                         func(*GateResult) {},
		" denied within the limit": func(r *GateResult) { r.Tries.admitted("x", finding{led: lateAfter, wall: 2 * lateAfter}) },
	} {
		r := &GateResult{Settled: true, Tries: &tries{All: 9, Answered: 8, Admitted: 4}}
		change(r)
		if failed, want := (Result{Gate: r}).Failed(), name != "" && name[0] != ' '; failed != want {
			t.Errorf("%q: it fails: %v; %s", name, failed, fmt.Sprint(r.Faults()))
		}
	}
}
