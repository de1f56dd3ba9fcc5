package attestation

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Each row of the decision, and what is decided next.
func TestNext(t *testing.T) {
	ring := ringOf(t, map[string][]byte{"2026-01-01.pem": newECDSA(t), "2026-06-01.pem": newECDSA(t), "2027-01-01.pem": newECDSA(t)})
	old, signs := ring.IDs()[0], currentOf(t, ring).ID()
	const maxAge = 48 * time.Hour
	expiry := verdictAt.Add(maxAge)
	record := func(run string, state v1alpha1.AttestationState, key string) v1alpha1.AttestationStatus {
		return v1alpha1.AttestationStatus{
			Bundle: digestOf("9"), Key: key, Run: run, State: state, Reason: "AccessDenied",
			VerifiedAt: metav1.NewTime(verdictAt), At: metav1.NewTime(now.Add(-time.Minute)),
		}
	}
	aged := func(r v1alpha1.AttestationStatus, by time.Duration) v1alpha1.AttestationStatus {
		r.VerifiedAt, r.At = metav1.NewTime(r.VerifiedAt.Add(-by)), metav1.NewTime(r.At.Add(-by))
		return r
	}
	const (
		pending      = v1alpha1.AttestationPending
		published    = v1alpha1.AttestationPublished
		notPublished = v1alpha1.AttestationNotPublished
		notRemoved   = v1alpha1.AttestationNotRemoved
	)
	type want struct {
		Step   Step
		Reason Reason
		Record int // counted from 1; 0 for none
		Again  time.Time
	}
	soon := now.Add(-time.Minute).Add(retryRefused)
	tests := []struct {
		name    string
		records []v1alpha1.AttestationStatus
		change  func(*Facts)
		want    want
	}{
		{"a pass is signed", nil, nil, want{Prepare, ReasonPassed, 0, time.Time{}}},
		{"what was recorded is sent", []v1alpha1.AttestationStatus{record("run-1", pending, signs)}, nil, want{Publish, ReasonPassed, 1, time.Time{}}},
		{"what is published stays until it is too old", []v1alpha1.AttestationStatus{record("run-1", published, signs)}, nil, want{Rest, ReasonPassed, 1, expiry}},
		{"an older key of the ring still counts", []v1alpha1.AttestationStatus{record("run-1", published, old)}, nil, want{Rest, ReasonPassed, 1, expiry}},
		{"a revoked key counts no more", []v1alpha1.AttestationStatus{record("run-1", published, "gone")}, nil, want{Remove, ReasonKeyRevoked, 1, time.Time{}}},
		{"without any key nothing is revoked", []v1alpha1.AttestationStatus{record("run-1", published, "gone")}, func(f *Facts) { f.Keys = Ring{} }, want{Rest, ReasonPassed, 1, expiry}},
		{"without a key nothing is signed", nil, func(f *Facts) { f.Keys = Ring{} }, want{Rest, ReasonNoKey, 0, time.Time{}}},
		{"nor is what was recorded sent", []v1alpha1.AttestationStatus{record("run-1", pending, signs)}, func(f *Facts) { f.Keys = Ring{} }, want{Rest, ReasonNoKey, 0, expiry}},
		{"nor with keys whose day has not come", nil, func(f *Facts) { f.Now = time.Date(2026, 11, 29, 10, 1, 0, 0, time.UTC); f.Keys = Ring{ring.keys[2:]} }, want{Rest, ReasonNoKey, 0, time.Time{}}},

		{"a fail is not signed", nil, func(f *Facts) { f.Entry.Status.Verdict.Outcome = v1alpha1.OutcomeFail }, want{Rest, ReasonNotPassed, 0, time.Time{}}},
		{"nor is another outcome", nil, func(f *Facts) { f.Entry.Status.Verdict.Outcome = "" }, want{Rest, ReasonNotPassed, 0, time.Time{}}},
		{"nor is no verdict", nil, func(f *Facts) { f.Entry.Status.Verdict = nil }, want{Rest, ReasonNoVerdict, 0, time.Time{}}},
		{"nor what nobody asked for", nil, func(f *Facts) { f.Trigger.Spec.Attest = nil }, want{Rest, ReasonNotAsked, 0, time.Time{}}},
		{"nor what the operator does not trust", nil, func(f *Facts) { f.Trusted = false }, want{Rest, ReasonNotTrusted, 0, time.Time{}}},
		{"nor for a trigger that is gone", nil, func(f *Facts) { f.Trigger = nil }, want{Rest, ReasonTriggerGone, 0, time.Time{}}},
		{"nor for another trigger of that name", nil, func(f *Facts) { f.Trigger.UID = "other" }, want{Rest, ReasonTriggerGone, 0, time.Time{}}},
		{"nor what is too old", nil, func(f *Facts) { f.Now = expiry }, want{Rest, ReasonTooOld, 0, time.Time{}}},
		{"nor what is in the future", nil, func(f *Facts) { f.Now = verdictAt.Add(-time.Hour) }, want{Rest, ReasonInFuture, 0, verdictAt}},

		{"a verdict that turned is removed", []v1alpha1.AttestationStatus{record("run-1", published, signs)}, func(f *Facts) { f.Entry.Status.Verdict.Outcome = v1alpha1.OutcomeFail }, want{Remove, ReasonNotPassed, 1, time.Time{}}},
		{"so is what may have been sent before it turned", []v1alpha1.AttestationStatus{record("run-1", pending, signs)}, func(f *Facts) { f.Entry.Status.Verdict.Outcome = v1alpha1.OutcomeFail }, want{Remove, ReasonNotPassed, 1, time.Time{}}},
		{"and what is too old", []v1alpha1.AttestationStatus{record("run-1", published, signs)}, func(f *Facts) { f.Now = expiry }, want{Remove, ReasonTooOld, 1, time.Time{}}},
		{"and what nobody asks for any more", []v1alpha1.AttestationStatus{record("run-1", published, signs)}, func(f *Facts) { f.Trigger.Spec.Attest = nil }, want{Remove, ReasonNotAsked, 1, time.Time{}}},
		{"without any key too", []v1alpha1.AttestationStatus{record("run-1", published, signs)}, func(f *Facts) { f.Keys = Ring{}; f.Entry.Status.Verdict.Outcome = v1alpha1.OutcomeFail }, want{Remove, ReasonNotPassed, 1, time.Time{}}},
		{"a refusal is tried again later", []v1alpha1.AttestationStatus{record("run-1", notRemoved, signs)}, func(f *Facts) { f.Entry.Status.Verdict.Outcome = v1alpha1.OutcomeFail }, want{Rest, ReasonNotPassed, 0, soon}},
		{"and once its time has come", []v1alpha1.AttestationStatus{record("run-1", notRemoved, signs)}, func(f *Facts) { f.Entry.Status.Verdict.Outcome = v1alpha1.OutcomeFail; f.Now = soon }, want{Remove, ReasonNotPassed, 1, time.Time{}}},

		{"a newer verdict is signed first", []v1alpha1.AttestationStatus{record("run-0", published, signs)}, nil, want{Prepare, ReasonPassed, 0, time.Time{}}},
		{"and published", []v1alpha1.AttestationStatus{record("run-0", published, signs), record("run-1", pending, signs)}, nil, want{Publish, ReasonPassed, 2, time.Time{}}},
		{"then the older one goes", []v1alpha1.AttestationStatus{record("run-0", published, signs), record("run-1", published, signs)}, nil, want{Remove, ReasonSuperseded, 1, time.Time{}}},
		{"what was not published makes room", []v1alpha1.AttestationStatus{record("run-0", notPublished, signs)}, nil, want{Remove, ReasonSuperseded, 1, time.Time{}}},
		{"so does the oldest, if there is none", []v1alpha1.AttestationStatus{
			record("a", published, signs), record("b", published, signs), record("c", published, signs), record("d", published, signs),
			record("e", published, signs), record("f", published, signs), record("g", published, signs), record("h", published, signs),
		}, nil, want{Remove, ReasonSuperseded, 1, time.Time{}}},
		{"a refused push is tried again later", []v1alpha1.AttestationStatus{record("run-1", notPublished, signs)}, nil, want{Rest, "AccessDenied", 0, soon}},
		{"and once its time has come, sent", []v1alpha1.AttestationStatus{record("run-1", notPublished, signs)}, func(f *Facts) { f.Now = soon }, want{Publish, ReasonPassed, 1, time.Time{}}},
		{"while a push is refused, the older one stands", []v1alpha1.AttestationStatus{record("run-0", published, signs), record("run-1", notPublished, signs)}, nil, want{Rest, "AccessDenied", 0, soon}},
		{"until it is too old", []v1alpha1.AttestationStatus{aged(record("run-0", published, signs), maxAge), record("run-1", notPublished, signs)}, nil, want{Remove, ReasonTooOld, 1, time.Time{}}},
		{"what a registry kept, and holds again, is published", []v1alpha1.AttestationStatus{record("run-1", notRemoved, signs)}, nil, want{Publish, ReasonPassed, 1, time.Time{}}},
		{"what it keeps of an earlier verdict waits", []v1alpha1.AttestationStatus{record("run-0", notRemoved, signs)}, nil, want{Prepare, ReasonPassed, 0, time.Time{}}},
		{"many that it keeps end it", []v1alpha1.AttestationStatus{
			record("a", notRemoved, signs), record("b", notRemoved, signs), record("c", notRemoved, signs), record("d", notRemoved, signs),
		}, nil, want{Rest, ReasonKept, 0, soon}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Facts{Entry: passedEntry(), Trigger: asked(maxAge), Trusted: true, Keys: ring, Now: now}
			f.Entry.Status.Attestations = tt.records
			if tt.change != nil {
				tt.change(&f)
			}
			a := Next(f)
			got := want{a.Step, a.Reason, 0, a.Again}
			for i := range f.Entry.Status.Attestations {
				if a.Record == &f.Entry.Status.Attestations[i] {
					got.Record = i + 1
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("decided (-want +got):\n%s", diff)
			}
		})
	}
}

// A trigger whose maximum age the API server did not fill in has the default.
func TestNextWithoutMaxAge(t *testing.T) {
	f := Facts{Entry: passedEntry(), Trigger: asked(0), Trusted: true, Keys: ringOf(t, map[string][]byte{"2026-01-01.pem": newECDSA(t)}), Now: verdictAt.Add(defaultMaxAge - time.Second)}
	if got := Next(f); got.Step != Prepare {
		t.Errorf("shortly before it, the step is %d (%s)", got.Step, got.Reason)
	}
	f.Now = f.Now.Add(time.Second)
	if got := Next(f); got.Reason != ReasonTooOld {
		t.Errorf("after it, the reason is %s", got.Reason)
	}
}
