package rig

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
)

// NewEntry is the ledger's entry of a push, before its first run: as large as a usual one.
func NewEntry(trigger *v1alpha1.ImageTrigger, r v1alpha1.RepositoryReference, digest, tag string, at time.Time) (*v1alpha1.ImageVerification, error) {
	d, err := image.ParseDigest(digest)
	if err != nil {
		return nil, fmt.Errorf("the digest of an entry: %w", err)
	}
	name := ledger.EntryName(string(trigger.UID), push.Repository{Kind: push.Kind(r.Kind), Name: r.Name, UID: r.UID}, d)
	return &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: trigger.Namespace, Name: name},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: trigger.Name, UID: string(trigger.UID)},
			Repository: r,
			Digest:     d.String(),
			FirstPush: v1alpha1.PushRecord{
				Tag: tag, PushedAt: metav1.NewTime(at.Truncate(time.Second)), ObservedAt: metav1.NewMicroTime(at), Source: v1alpha1.SourceEvent,
			},
		},
	}, nil
}

// Conclude gives an entry another run, which ended with an outcome, and its verdict.
func Conclude(e *v1alpha1.ImageVerification, outcome v1alpha1.Outcome, now time.Time) {
	at, moment := metav1.NewTime(now.Truncate(time.Second)), metav1.NewMicroTime(now)
	number := e.Status.RunCount + 1
	phase, reason, message := v1alpha1.PhasePassed, "Passed", "all checks passed"
	if outcome == v1alpha1.OutcomeFail {
		phase, reason, message = v1alpha1.PhaseFailed, "Failed", "a check failed"
	}
	pushed := e.Spec.FirstPush
	run := v1alpha1.RunStatus{
		Number: number, Name: ledger.RunName(e, number), Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: pushed.Tag},
		RequestedAt: moment, FiredAt: &moment, Attempts: 1, ConfirmedAt: &moment, UID: fmt.Sprintf("00000000-0000-4000-8000-%012d", number),
		StartedAt: &at, FinishedAt: &at, Outcome: outcome, Reason: reason, Digest: e.Spec.Digest,
		Sandbox: v1alpha1.SandboxStatus{Requested: "kata", Observed: []string{"kata"}}, Summary: `{"checks":5,"failed":0,"findings":[]}`,
	}
	s := &e.Status
	s.Phase, s.Reason, s.Message, s.RunCount = phase, reason, message, number
	s.LastPushedAt, s.TagNames = &pushed.PushedAt, pushed.Tag
	s.Tags = []v1alpha1.TagStatus{{PushRecord: pushed, Run: number}}
	s.Image = &v1alpha1.ImageFacts{MediaType: dockerImage, Platforms: []string{"linux/amd64"}, Layers: 5, Size: 5 << 20, Created: &at, Source: "Image"}
	s.Runs = append(s.Runs, run)
	s.Verdict = &v1alpha1.Verdict{
		Outcome: outcome, Run: run.Name, Number: number, At: at, PolicyDigest: e.Spec.Digest,
		Database: &v1alpha1.VerdictDatabase{Digest: e.Spec.Digest, AsOf: &at}, Checks: []string{"layers", "scan", "validate"},
		Platforms: []string{"linux/amd64"}, Sandbox: v1alpha1.VerdictSandbox{Requested: "kata", Observed: []string{"kata"}},
	}
}
