package commandtest

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Where the tests' images are pulled from, and two digests of them.
const (
	RegistryHost = "image-registry.openshift-image-registry.svc:5000"
	DigestA      = "sha256:cb61bde6eb638a6d78d99d05c1c7d0a5939d3d297dcd6998a495cf5d191bad24"
	DigestB      = "sha256:c42372529aa8848a9587087db431a51a6e0f64261c632d3659e1359d1bf20262"
)

// At returns the time that is so long before Now.
func At(before time.Duration) time.Time { return Now.Add(-before) }

// Micro returns At as the API stores times to the microsecond.
func Micro(before time.Duration) *metav1.MicroTime {
	m := metav1.NewMicroTime(At(before))
	return &m
}

// Second returns At as the API stores times to the second.
func Second(before time.Duration) *metav1.Time {
	s := metav1.NewTime(At(before).Truncate(time.Second))
	return &s
}

// Record returns a push of a tag, so long before Now, that Revet saw delay later.
func Record(tag string, before, delay time.Duration, source v1alpha1.PushSource) v1alpha1.PushRecord {
	return v1alpha1.PushRecord{Tag: tag, PushedAt: *Second(before), ObservedAt: *Micro(before - delay), Source: source}
}

// Entry returns an entry without a status. stream is namespace/name.
func Entry(name, stream, digest string, first v1alpha1.PushRecord) v1alpha1.ImageVerification {
	return v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: strings.Split(stream, "/")[0], Name: name},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger: v1alpha1.TriggerReference{Name: "prod", UID: "t1"},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryImageStream, Name: stream, UID: "u1",
				Pull: RegistryHost + "/" + stream},
			Digest:    digest,
			FirstPush: first,
		},
	}
}

// FailedEntry has a run that failed with everything that an entry can tell.
func FailedEntry() v1alpha1.ImageVerification {
	push := Record("latest", 10*time.Minute, 120*time.Millisecond, v1alpha1.SourceEvent)
	e := Entry("app-bad-1", "demo/app", DigestB, push)
	swept := Record("v1", 4*time.Minute, 90*time.Second, v1alpha1.SourceSweep)
	e.Status = v1alpha1.ImageVerificationStatus{
		Phase: v1alpha1.PhaseFailed, Reason: "Failed", Message: "2 of 5 rules did not hold", NotChecked: "signature",
		Tags:     []v1alpha1.TagStatus{{PushRecord: push, Run: 1}, {PushRecord: swept, Run: 1}},
		TagNames: "latest,v1", LastPushedAt: Second(4 * time.Minute), RunCount: 1,
		Image: &v1alpha1.ImageFacts{MediaType: "application/vnd.oci.image.manifest.v1+json", Platforms: []string{"linux/amd64"},
			Labels: map[string]string{"tier": "prod", "evil": "\x1b[2Jx"}, Layers: 3, Size: 12_900_000,
			Created: Second(240 * time.Hour), Base: "registry.example.com/base:1", ClaimedRevision: "0123abc", Source: "Image"},
		Verdict: &v1alpha1.Verdict{
			Outcome: v1alpha1.OutcomeFail, Run: "app-5f0c8e0f8a4d4c55b2b2a1a0c1d2e3f4", Number: 1, At: *Second(560 * time.Second), TriggerGeneration: 3,
			PolicyDigest: DigestA, Parts: map[string]string{"rules": "0123456789ab", "scan": "ba9876543210"},
			Database: &v1alpha1.VerdictDatabase{Digest: DigestA, AsOf: Second(24 * time.Hour)},
			Checks:   []string{"scan", "validate"}, Off: []string{"signature"},
			Platforms: []string{"linux/amd64"}, PlatformsOmitted: 1, Unselected: 2,
			Inventory: &v1alpha1.VerdictInventory{Digest: DigestB, Reference: "registry.example.com/lists@" + DigestA},
			Sandbox:   v1alpha1.VerdictSandbox{Requested: "kata", Observed: []string{"kata"}},
		},
		Runs: []v1alpha1.RunStatus{{
			Number: 1, Name: "app-5f0c8e0f8a4d4c55b2b2a1a0c1d2e3f4", Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: "latest@2026-11-21T11:50:00Z"},
			RequestedAt: *Micro(599800 * time.Millisecond), FiredAt: Micro(599795 * time.Millisecond), Attempts: 2,
			ConfirmedAt: Micro(599700 * time.Millisecond), StartedAt: Second(599 * time.Second), FinishedAt: Second(560 * time.Second),
			Outcome: v1alpha1.OutcomeFail, Reason: "Failed", Message: "2 of 5 rules did not hold",
			Sandbox: v1alpha1.SandboxStatus{Requested: "kata", Observed: []string{"kata"}, Pods: []string{"app-5f0c-pod"}, Node: "node-1", Overhead: map[string]string{"cpu": "250m", "memory": "160Mi"}},
			Digest:  DigestB, Report: "registry.example.com/reports@" + DigestA,
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
				`"levels":{"low":30,"critical":1},"off":["signature"],"database":{"digest":"` + DigestA + `","asOf":"2026-11-20T12:00:00Z","schema":"6.1.9","age":"26h"},` +
				`"signature":"off","platforms":["linux/amd64"],"unpublished":"AccessDenied: \u001b[2Jno"}`,
		}},
	}
	return e
}

// PassedEntry is of an index, seen by a registry's webhook.
func PassedEntry() v1alpha1.ImageVerification {
	push := Record("v2", 2*time.Hour, 0, v1alpha1.SourceWebhook)
	e := Entry("team-good-1", "demo/good", DigestA, push)
	e.Spec.Trigger.Name = "nightly"
	e.Spec.Repository = v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: "registry.example.com/team/good", Pull: "registry.example.com/team/good"}
	e.Status = v1alpha1.ImageVerificationStatus{
		Phase: v1alpha1.PhasePassed, Reason: "Passed", NotChecked: "scan,signature", RunCount: 12,
		Image:   &v1alpha1.ImageFacts{MediaType: "application/vnd.oci.image.index.v1+json", RevisionIgnored: v1alpha1.RevisionDiffers, Source: "Registry"},
		Verdict: &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass, Run: "good-12", Number: 12, At: *Second(2*time.Hour - 80*time.Second), Off: []string{"scan", "signature"}},
		Tags:    []v1alpha1.TagStatus{{PushRecord: push, Run: 12}},
		Runs: []v1alpha1.RunStatus{
			{Number: 11, Name: "good-11", Cause: v1alpha1.Cause{Type: v1alpha1.CausePush}, RequestedAt: *Micro(3 * time.Hour), Attempts: 1,
				Outcome: v1alpha1.OutcomeError, Reason: "Unconfirmed", Message: "no PipelineRun of this name appeared"},
			{Number: 12, Name: "good-12", Cause: v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: "again"}, RequestedAt: *Micro(2 * time.Hour), Attempts: 1,
				FiredAt: Micro(2 * time.Hour), ConfirmedAt: Micro(2 * time.Hour), StartedAt: Second(2 * time.Hour), FinishedAt: Second(2*time.Hour - 80*time.Second),
				Outcome: v1alpha1.OutcomePass, Reason: "Passed", Digest: DigestA, Off: []string{"scan", "signature"},
				Summary: `{"counts":{"images":1,"checks":1,"rules":5,"errors":0,"warnings":0},"off":["scan","signature"],"signature":"off","platforms":["linux/amd64"]}`},
		},
	}
	return e
}

// ErrorEntry passed, but not where it was to run, and scanned something else.
func ErrorEntry() v1alpha1.ImageVerification {
	push := Record("latest", 30*time.Minute, time.Second, v1alpha1.SourceEvent)
	e := Entry("web-1", "demo/web", DigestA, push)
	e.Status = v1alpha1.ImageVerificationStatus{
		Phase: v1alpha1.PhaseError, Reason: "NotSandboxed", Message: "the Pod web-1-pod ran without\nthe RuntimeClass kata", RunCount: 1,
		Tags: []v1alpha1.TagStatus{{PushRecord: push, Run: 1}},
		Runs: []v1alpha1.RunStatus{{
			Number: 1, Name: "web-1-run", Cause: v1alpha1.Cause{Type: v1alpha1.CausePush}, RequestedAt: *Micro(29 * time.Minute),
			Outcome: v1alpha1.OutcomeError, Reason: "NotSandboxed", Digest: DigestB, Summary: "all fine",
			Sandbox: v1alpha1.SandboxStatus{Requested: "kata", Observed: []string{"", "kata"}, Pods: []string{"web-1-pod", "web-2-pod"}},
		}},
	}
	return e
}

// PendingEntry has no status yet: its writer was killed right after creating it.
func PendingEntry() v1alpha1.ImageVerification {
	return Entry("other-1", "demo/other", DigestB, Record("v9", time.Minute, 50*time.Millisecond, v1alpha1.SourceEvent))
}

// SkippedEntry stands in another namespace, and will have no run.
func SkippedEntry() v1alpha1.ImageVerification {
	push := Record("main", 72*time.Hour, time.Second, v1alpha1.SourceSweep)
	e := Entry("old-1", "team-b/old", DigestA, push)
	e.Status = v1alpha1.ImageVerificationStatus{Phase: v1alpha1.PhaseSkipped, Reason: "Existing", Message: "it was there before the trigger",
		Tags: []v1alpha1.TagStatus{{PushRecord: push}}}
	return e
}

// AllEntries returns one entry of each kind.
func AllEntries() []v1alpha1.ImageVerification {
	return []v1alpha1.ImageVerification{PassedEntry(), FailedEntry(), ErrorEntry(), PendingEntry(), SkippedEntry()}
}

// TriggerOf is one that the entries of AllEntries name.
func TriggerOf(namespace, name, uid string) *v1alpha1.ImageTrigger {
	t := &v1alpha1.ImageTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "t1", Generation: 1}}
	if uid != "" {
		t.UID = "another"
	}
	t.Status.ObservedGeneration = 1
	t.MarkFilterValid(Now)
	t.MarkSinkResolved("http://el-scan.demo.svc", Now)
	t.MarkTemplateAccepted(Now)
	t.MarkAuthorized("", Now)
	return t
}
