package commandtest

import (
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// KeyID is the id of the key that signs in AttestedObjects.
const KeyID = "2026-11-01:0a1b2c3d4e5f"

// AttestedObjects are a cluster with signed verdicts: an entry in each state, named after it,
// two triggers that ask for them, of which the operator lists only prod, and one that does not.
func AttestedObjects() []client.Object {
	objects := []client.Object{
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: "config-attestation"},
			Data:       map[string]string{"triggers.yaml": "- {namespace: demo, trigger: prod}"},
		},
		&coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: "attestor.report", Annotations: map[string]string{
				"revet.dev/attestor": fmt.Sprintf(`{"keys":[%q],"signs":%q,"triggers":1}`, KeyID, KeyID),
			}},
			Spec: coordinationv1.LeaseSpec{HolderIdentity: new("attestor-a"), RenewTime: Micro(30 * time.Second)},
		},
		asking("prod", "t1", true), asking("nightly", "t2", true), asking("silent", "t3", false),
	}
	for _, e := range []v1alpha1.ImageVerification{
		judged("published", "prod", "t1", v1alpha1.OutcomePass, record("published-run", v1alpha1.AttestationPublished, "", "", time.Hour)),
		judged("pending", "prod", "t1", v1alpha1.OutcomePass, record("pending-run", v1alpha1.AttestationPending, "", "", 20*time.Second)),
		judged("notpublished", "prod", "t1", v1alpha1.OutcomePass,
			record("notpublished-run", v1alpha1.AttestationNotPublished, "AccessDenied", "AccessDenied: image sha256:1: no\x1b[2J", 90*time.Minute)),
		judged("notremoved", "prod", "t1", v1alpha1.OutcomeFail,
			record("an-earlier-run", v1alpha1.AttestationNotRemoved, "PushRefused", "it no longer holds (NotPassed): PushRefused: no", 3*time.Hour)),
		judged("replaced", "prod", "t1", v1alpha1.OutcomePass,
			record("an-earlier-run", v1alpha1.AttestationNotRemoved, "AccessDenied", "it no longer holds (Superseded): AccessDenied: no", 2*time.Hour),
			record("replaced-run", v1alpha1.AttestationPublished, "", "", time.Hour)),
		judged("awaited", "prod", "t1", v1alpha1.OutcomePass),
		judged("failed", "prod", "t1", v1alpha1.OutcomeFail),
		judged("unlisted", "nightly", "t2", v1alpha1.OutcomePass),
		judged("unasked", "silent", "t3", v1alpha1.OutcomePass),
	} {
		objects = append(objects, &e)
	}
	return objects
}

func asking(name, uid string, asks bool) *v1alpha1.ImageTrigger {
	t := &v1alpha1.ImageTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name, UID: types.UID(uid)}}
	if asks {
		t.Spec.Attest = &v1alpha1.Attest{MaxAge: metav1.Duration{Duration: 720 * time.Hour}}
	}
	return t
}

// judged is an entry with a verdict of five minutes ago.
func judged(name, trigger, uid string, outcome v1alpha1.Outcome, records ...v1alpha1.AttestationStatus) v1alpha1.ImageVerification {
	e := Entry(name, "demo/"+name, DigestA, Record("v1", 6*time.Minute, time.Second, v1alpha1.SourceEvent))
	e.Spec.Trigger = v1alpha1.TriggerReference{Name: trigger, UID: uid}
	e.Status = v1alpha1.ImageVerificationStatus{
		Phase: v1alpha1.PhasePassed, Reason: "Passed", RunCount: 1, Attestations: records,
		Verdict: &v1alpha1.Verdict{Outcome: outcome, Run: name + "-run", Number: 1, At: *Second(5 * time.Minute)},
	}
	if outcome == v1alpha1.OutcomeFail {
		e.Status.Phase, e.Status.Reason = v1alpha1.PhaseFailed, "Failed"
	}
	return e
}

func record(run string, state v1alpha1.AttestationState, reason, message string, since time.Duration) v1alpha1.AttestationStatus {
	at := since
	if reason != "" {
		at = since / 2 // tried again meanwhile
	}
	return v1alpha1.AttestationStatus{
		Bundle: "sha256:" + strings.Repeat("b", 64), Key: KeyID, Run: run, VerifiedAt: *Second(since + time.Minute),
		Subjects: []v1alpha1.AttestationSubject{{Digest: DigestA}, {Digest: DigestB}},
		State:    state, Reason: reason, Message: message, Since: Second(since), At: *Second(at),
	}
}
