package attested_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/cli/attested"
	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// world is one in which the verdict of an entry is signed.
func world() *attested.World {
	return &attested.World{
		System: "revet-system", Now: now, List: config.Attested{{Namespace: "demo", Trigger: "prod"}: true},
		Report: &attestation.Report{Keys: []string{"k"}, Signs: "k"}, By: "attestor-a", At: now,
	}
}

func entry(age time.Duration, records ...v1alpha1.AttestationStatus) *v1alpha1.ImageVerification {
	return &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "app-1"},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: "prod", UID: "uid"},
			Repository: v1alpha1.RepositoryReference{Pull: "registry.example.com/team/app"},
		},
		Status: v1alpha1.ImageVerificationStatus{
			Verdict:      &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass, Run: "run-1", At: metav1.NewTime(now.Add(-age))},
			Attestations: records,
		},
	}
}

func trigger() attested.Trigger {
	return attested.Trigger{ImageTrigger: &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "prod", UID: "uid"},
		Spec:       v1alpha1.ImageTriggerSpec{Attest: &v1alpha1.Attest{MaxAge: metav1.Duration{Duration: 24 * time.Hour}}},
	}}
}

// Each reason why a verdict has no statement is told; what is wrong or not known has a cure.
func TestStanding(t *testing.T) {
	kept := v1alpha1.AttestationStatus{Run: "run-0", State: v1alpha1.AttestationNotRemoved}
	for _, test := range []struct {
		name   string
		world  func(*attested.World)
		entry  *v1alpha1.ImageVerification
		reason attestation.Reason
	}{
		{"it was given just now", nil, entry(time.Minute), attested.Awaited},
		{"it waits too long", nil, entry(attested.Patience), attested.Overdue},
		{"it is too old", nil, entry(24 * time.Hour), attestation.ReasonTooOld},
		{"it is of tomorrow", nil, entry(-24 * time.Hour), attestation.ReasonInFuture},
		{"the registry keeps too many", nil, entry(time.Minute, kept, kept, kept, kept), attestation.ReasonKept},
		{"the registry keeps some", nil, entry(time.Minute, kept, kept, kept), attested.Awaited},
		{"a record tells", nil, entry(time.Hour, v1alpha1.AttestationStatus{Run: "run-1", State: v1alpha1.AttestationNotPublished}), ""},
		{"a record of it is kept in vain", nil, entry(time.Hour, v1alpha1.AttestationStatus{Run: "run-1", State: v1alpha1.AttestationNotRemoved}), attested.Overdue},
		{"there is no verdict", nil, &v1alpha1.ImageVerification{
			ObjectMeta: metav1.ObjectMeta{Namespace: "demo"}, Spec: v1alpha1.ImageVerificationSpec{Trigger: v1alpha1.TriggerReference{Name: "prod", UID: "uid"}},
		}, attestation.ReasonNoVerdict},
		{"nobody listed it", func(w *attested.World) { w.List = nil }, entry(time.Hour), attestation.ReasonNotTrusted},
		{"the list is not known", func(w *attested.World) { w.List, w.ListErr = nil, errUnread }, entry(time.Hour), attested.NotKnown},
		{"nobody reported", func(w *attested.World) { w.Report = nil }, entry(time.Hour), attested.NoAttestor},
		{"nobody reported lately", func(w *attested.World) { w.At = now.Add(-attestation.ReportStale) }, entry(time.Hour), attested.NoAttestor},
		{"the report is not known", func(w *attested.World) { w.Report, w.ReportErr = nil, errUnread }, entry(time.Hour), attested.NotKnown},
		{"there is no key", func(w *attested.World) { w.Report = &attestation.Report{} }, entry(time.Hour), attestation.ReasonNoKey},
		{"no key signs", func(w *attested.World) { w.Report.Signs = "" }, entry(time.Hour), attestation.ReasonNoKey},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := world()
			if test.world != nil {
				test.world(w)
			}
			got := w.Standing(test.entry, trigger())
			if got.Reason != test.reason || got.Unclear() && got.Cure == "" || got.Reason != "" && got.Message == "" {
				t.Errorf("it is %+v, want the reason %q, and a cure if that is not fine", got, test.reason)
			}
		})
	}
	other := trigger()
	other.UID = "another"
	if got := world().Standing(entry(time.Hour), other); !got.IsZero() {
		t.Errorf("of a trigger that was made anew it is %+v", got)
	}
}

var errUnread = &oci.Error{Reason: "x"}

// Whatever a registry refuses has its cure, and a removal that it refuses says what ends the
// statement meanwhile.
func TestCure(t *testing.T) {
	w := world()
	for _, reason := range []oci.Reason{
		oci.ReasonNotAnImage, oci.ReasonUnreadable, oci.ReasonCorrupted, oci.ReasonMissing, oci.ReasonTooLarge, oci.ReasonDenied,
		oci.ReasonRefused, oci.ReasonPushRefused, "Unheard", "",
	} {
		a := v1alpha1.AttestationStatus{State: v1alpha1.AttestationNotPublished, Reason: string(reason)}
		published := w.Cure(entry(0), &a)
		a.State = v1alpha1.AttestationNotRemoved
		if removed := w.Cure(entry(0), &a); published == "" || !strings.Contains(removed, "--max-age") || removed == published {
			t.Errorf("cures of %q are %q and %q", reason, published, removed)
		}
	}
	pending := v1alpha1.AttestationStatus{State: v1alpha1.AttestationPending, At: metav1.NewTime(now.Add(-time.Minute))}
	if cure := w.Cure(entry(0), &pending); cure != "" {
		t.Errorf("the cure of what is on its way is %q", cure)
	}
	pending.At = metav1.NewTime(now.Add(-time.Hour))
	if cure := w.Cure(entry(0), &pending); cure == "" {
		t.Error("what is on its way for an hour has no cure")
	}
	if cure := w.Cure(entry(0), &v1alpha1.AttestationStatus{State: "Unheard"}); cure == "" {
		t.Error("a state that is not known has no cure")
	}
}
