package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/ledger"
)

// startDigests is how many digests of one repository the receiver starts with in 3 s.
const startDigests = 40_000

// What the receiver takes to read the ledger, without what the API server takes to send it: see
// test/bench for both.
func BenchmarkReadingLedger(b *testing.B) {
	var events [][]byte
	for n := range startDigests {
		events = append(events, encodedEvent(b, watchedEntry(n)))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for _, event := range events {
			_, _ = w.Write(event)
		}
		_, _ = fmt.Fprintf(w, `{"type":"BOOKMARK","object":{"apiVersion":%q,"kind":"ImageVerification","metadata":{"resourceVersion":"99999999",`+
			`"annotations":{%q:"true"}},"spec":{}}}`+"\n", v1alpha1.GroupVersion.String(), metav1.InitialEventsAnnotationKey)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	b.Cleanup(server.Close)
	api := accessTo(b, server)
	b.ReportAllocs()
	for b.Loop() {
		w := &receiverWatches{index: ledger.NewIndex(time.Now)}
		entries, err := w.entries(api)
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		go entries.RunWithContext(ctx)
		if !w.wait(ctx) {
			b.Fatal("the ledger was not read")
		}
		cancel()
	}
}

func encodedEvent(tb testing.TB, e *v1alpha1.ImageVerification) []byte {
	tb.Helper()
	object, err := json.Marshal(e)
	if err != nil {
		tb.Fatal(err)
	}
	return append(fmt.Appendf(nil, `{"type":"ADDED","object":%s}`, object), '\n')
}

// watchedEntry is the entry of digest number n of a repository, with a verdict, as the API server sends it.
func watchedEntry(n int) *v1alpha1.ImageVerification {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	pushed := v1alpha1.PushRecord{Tag: fmt.Sprintf("v1.%d", n%20), PushedAt: metav1.NewTime(at), ObservedAt: metav1.NewMicroTime(at), Source: v1alpha1.SourceEvent}
	e := &v1alpha1.ImageVerification{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ImageVerification"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "demo", Name: fmt.Sprintf("app-%032x", n), ResourceVersion: fmt.Sprint(1000 + n), Generation: 1,
			UID: types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)), CreationTimestamp: metav1.NewTime(at),
		},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: "prod", UID: "11111111-0000-4000-8000-000000000000"},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryImageStream, Name: "demo/app", UID: "stream-uid", Pull: "registry.example.com/demo/app"},
			Digest:     fmt.Sprintf("sha256:%064x", n), FirstPush: pushed,
		},
	}
	s := &e.Status
	s.Phase, s.RunCount = v1alpha1.PhasePassed, 1
	s.Tags = []v1alpha1.TagStatus{{PushRecord: pushed, Run: 1}}
	moment, ended := metav1.NewMicroTime(at), metav1.NewTime(at)
	s.Runs = []v1alpha1.RunStatus{{
		Number: 1, Name: e.Name, Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: "v1"}, RequestedAt: moment, FiredAt: &moment,
		Attempts: 1, ConfirmedAt: &moment, UID: string(e.UID), StartedAt: &ended, FinishedAt: &ended, Outcome: v1alpha1.OutcomePass,
		Reason: "Passed", Digest: e.Spec.Digest, Summary: `{"checks":5,"findings":["` + strings.Repeat("x", 1000) + `"]}`,
	}}
	s.MarkRecorded(at)
	s.MarkStarted(e.Name, at)
	s.MarkVerified("run "+e.Name, at)
	e.ManagedFields = managedFields(at)
	return e
}

// managedFields are as large as those that the receiver's and the controller's writes leave.
func managedFields(at time.Time) []metav1.ManagedFieldsEntry {
	fields := metav1.FieldsV1{}
	_ = fields.UnmarshalJSON([]byte(`{"f:status":{` + strings.TrimSuffix(strings.Repeat(`"f:field":{".":{}},`, 100), ",") + `}}`))
	when := metav1.NewTime(at)
	return []metav1.ManagedFieldsEntry{{Manager: "controller", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: v1alpha1.GroupVersion.String(), Time: &when, FieldsType: "FieldsV1", FieldsV1: &fields, Subresource: "status"}}
}
