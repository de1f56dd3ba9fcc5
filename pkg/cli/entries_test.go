package cli

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

const (
	registryHost = "image-registry.openshift-image-registry.svc:5000"
	digestA      = "sha256:cb61bde6eb638a6d78d99d05c1c7d0a5939d3d297dcd6998a495cf5d191bad24"
	digestB      = "sha256:c42372529aa8848a9587087db431a51a6e0f64261c632d3659e1359d1bf20262"
)

// at is so many milliseconds before the tests' now.
func at(before time.Duration) time.Time { return now.Add(-before) }

func micro(before time.Duration) *metav1.MicroTime {
	m := metav1.NewMicroTime(at(before))
	return &m
}

func second(before time.Duration) *metav1.Time {
	s := metav1.NewTime(at(before).Truncate(time.Second))
	return &s
}

func record(tag string, before, delay time.Duration, source v1alpha1.PushSource) v1alpha1.PushRecord {
	return v1alpha1.PushRecord{Tag: tag, PushedAt: *second(before), ObservedAt: *micro(before - delay), Source: source}
}

func entry(name, stream, digest string, first v1alpha1.PushRecord) v1alpha1.ImageVerification {
	return v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: strings.Split(stream, "/")[0], Name: name},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger: v1alpha1.TriggerReference{Name: "prod", UID: "t1"},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryImageStream, Name: stream, UID: "u1",
				Pull: registryHost + "/" + stream},
			Digest:    digest,
			FirstPush: first,
		},
	}
}

// failedEntry has a run that failed with everything that an entry can tell.
func failedEntry() v1alpha1.ImageVerification {
	push := record("latest", 10*time.Minute, 120*time.Millisecond, v1alpha1.SourceEvent)
	e := entry("app-bad-1", "demo/app", digestB, push)
	swept := record("v1", 4*time.Minute, 90*time.Second, v1alpha1.SourceSweep)
	e.Status = v1alpha1.ImageVerificationStatus{
		Phase: v1alpha1.PhaseFailed, Reason: "Failed", Message: "2 of 5 rules did not hold", NotChecked: "signature",
		ValidUntil: second(-24 * time.Hour),
		Tags:       []v1alpha1.TagStatus{{PushRecord: push, Run: 1}, {PushRecord: swept, Run: 1}},
		TagNames:   "latest,v1", LastPushedAt: second(4 * time.Minute), RunCount: 1,
		Image: &v1alpha1.ImageFacts{MediaType: "application/vnd.oci.image.manifest.v1+json", Platforms: []string{"linux/amd64"},
			Labels: map[string]string{"tier": "prod", "evil": "\x1b[2Jx"}, Layers: 3, Size: 12_900_000,
			Created: second(240 * time.Hour), Base: "registry.example.com/base:1", Source: "Image"},
		Runs: []v1alpha1.RunStatus{{
			Number: 1, Name: "app-5f0c8e0f8a4d4c55b2b2a1a0c1d2e3f4", Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: "latest@2026-11-21T11:50:00Z"},
			RequestedAt: *micro(599800 * time.Millisecond), FiredAt: micro(599795 * time.Millisecond), Attempts: 2,
			ConfirmedAt: micro(599700 * time.Millisecond), StartedAt: second(599 * time.Second), FinishedAt: second(560 * time.Second),
			Outcome: v1alpha1.OutcomeFail, Reason: "Failed", Message: "2 of 5 rules did not hold",
			Sandbox: v1alpha1.SandboxStatus{Requested: "kata", Observed: []string{"kata"}, Pods: []string{"app-5f0c-pod"}, Node: "node-1", Overhead: map[string]string{"cpu": "250m", "memory": "160Mi"}},
			Digest:  digestB, Report: "registry.example.com/reports@" + digestA,
			Summary: `{"counts":{"images":1,"checks":1,"rules":5,"errors":2,"warnings":3,"waived":2},"findings":[` +
				`{"check":"validate","rule":"not-root","severity":"error","platform":"linux/amd64","message":"the image runs as root: set USER"},` +
				`{"check":"validate","rule":"secret-env","severity":"error","platform":"linux/amd64","message":"AWS_SECRET_ACCESS_KEY looks like a secret"},` +
				`{"check":"scan","rule":"CVE-2026-1","severity":"error","level":"critical","platform":"linux/amd64","message":"openssl 3.0.1, fixed in 3.0.2"},` +
				`{"check":"validate","rule":"age","severity":"warning","platform":"linux/amd64","message":"it is 10 days old"},` +
				`{"check":"scan","rule":"limited-support","severity":"warning","platform":"linux/amd64","message":"ubuntu:18.04 has fixes for subscribers only",` +
				`"waiver":{"reason":"it moves in autumn\u001b[2J","owner":"billing@example.com","expires":"2026-12-01T00:00:00Z","by":"policy"}},` +
				`{"check":"scan","rule":"ignored-vulnerabilities","severity":"warning","message":"1 by policy: CVE-2026-2 of curl",` +
				`"waiver":{"reason":"not called","by":"policy"}}],` +
				`"packages":{"golang":12,"deb":88},"distributions":["ubuntu:18.04"],"gaps":{"limited-support":1},` +
				`"levels":{"low":30,"critical":1},"off":["signature"],"database":{"digest":"` + digestA + `","asOf":"2026-11-20T12:00:00Z","schema":"6.1.9","age":"26h"},` +
				`"signature":"off","platforms":["linux/amd64"],"unpublished":"AccessDenied: \u001b[2Jno"}`,
		}},
	}
	return e
}

// passedEntry is of an index, seen by a registry's webhook.
func passedEntry() v1alpha1.ImageVerification {
	push := record("v2", 2*time.Hour, 0, v1alpha1.SourceWebhook)
	e := entry("team-good-1", "demo/good", digestA, push)
	e.Spec.Trigger.Name = "nightly"
	e.Spec.Repository = v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: "registry.example.com/team/good", Pull: "registry.example.com/team/good"}
	e.Status = v1alpha1.ImageVerificationStatus{
		Phase: v1alpha1.PhasePassed, Reason: "Passed", NotChecked: "scan,signature", ValidUntil: second(time.Hour), RunCount: 12,
		Tags: []v1alpha1.TagStatus{{PushRecord: push, Run: 12}},
		Runs: []v1alpha1.RunStatus{
			{Number: 11, Name: "good-11", Cause: v1alpha1.Cause{Type: v1alpha1.CausePush}, RequestedAt: *micro(3 * time.Hour), Attempts: 1,
				Outcome: v1alpha1.OutcomeError, Reason: "Unconfirmed", Message: "no PipelineRun of this name appeared"},
			{Number: 12, Name: "good-12", Cause: v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: "again"}, RequestedAt: *micro(2 * time.Hour), Attempts: 1,
				FiredAt: micro(2 * time.Hour), ConfirmedAt: micro(2 * time.Hour), StartedAt: second(2 * time.Hour), FinishedAt: second(2*time.Hour - 80*time.Second),
				Outcome: v1alpha1.OutcomePass, Reason: "Passed", Digest: digestA, Off: []string{"scan", "signature"},
				Summary: `{"counts":{"images":1,"checks":1,"rules":5,"errors":0,"warnings":0},"off":["scan","signature"],"signature":"off","platforms":["linux/amd64"]}`},
		},
	}
	return e
}

// errorEntry passed, but not where it was to run, and scanned something else.
func errorEntry() v1alpha1.ImageVerification {
	push := record("latest", 30*time.Minute, time.Second, v1alpha1.SourceEvent)
	e := entry("web-1", "demo/web", digestA, push)
	e.Status = v1alpha1.ImageVerificationStatus{
		Phase: v1alpha1.PhaseError, Reason: "NotSandboxed", Message: "the Pod web-1-pod ran without\nthe RuntimeClass kata", RunCount: 1,
		Tags: []v1alpha1.TagStatus{{PushRecord: push, Run: 1}},
		Runs: []v1alpha1.RunStatus{{
			Number: 1, Name: "web-1-run", Cause: v1alpha1.Cause{Type: v1alpha1.CausePush}, RequestedAt: *micro(29 * time.Minute),
			Outcome: v1alpha1.OutcomeError, Reason: "NotSandboxed", Digest: digestB, Summary: "all fine",
			Sandbox: v1alpha1.SandboxStatus{Requested: "kata", Observed: []string{"", "kata"}, Pods: []string{"web-1-pod", "web-2-pod"}},
		}},
	}
	return e
}

// pendingEntry has no status yet: its writer was killed right after creating it.
func pendingEntry() v1alpha1.ImageVerification {
	return entry("other-1", "demo/other", digestB, record("v9", time.Minute, 50*time.Millisecond, v1alpha1.SourceEvent))
}

// skippedEntry stands in another namespace, and will have no run.
func skippedEntry() v1alpha1.ImageVerification {
	push := record("main", 72*time.Hour, time.Second, v1alpha1.SourceSweep)
	e := entry("old-1", "team-b/old", digestA, push)
	e.Status = v1alpha1.ImageVerificationStatus{Phase: v1alpha1.PhaseSkipped, Reason: "Existing", Message: "it was there before the trigger",
		Tags: []v1alpha1.TagStatus{{PushRecord: push}}}
	return e
}

func allEntries() []v1alpha1.ImageVerification {
	return []v1alpha1.ImageVerification{passedEntry(), failedEntry(), errorEntry(), pendingEntry(), skippedEntry()}
}
