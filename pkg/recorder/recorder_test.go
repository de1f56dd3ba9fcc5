package recorder_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/recorder"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

var (
	epoch    = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	artefact = image.Content{Kind: image.ContentIndex, Complete: true}
	facts    = &v1alpha1.ImageFacts{Layers: 3}
	errAway  = errors.New("connection refused")
	gone     = &source.Refusal{Reason: source.NotFound, Err: errAway}
	denied   = &source.Refusal{Reason: source.Denied, Err: errAway}
)

// writer is a ledger that notes what it is to record: "digest facts source".
type writer struct {
	outcome ledger.Outcome
	err     error
	wrote   []string
}

func (w *writer) Record(_ context.Context, _ *v1alpha1.ImageTrigger, p push.Push, f *v1alpha1.ImageFacts, source v1alpha1.PushSource, now time.Time) (ledger.Result, error) {
	w.wrote = append(w.wrote, fmt.Sprint(p.Digest.Hex()[:2], " ", f == facts, " ", source, " ", now.Equal(epoch)))
	return ledger.Result{Outcome: w.outcome, Entry: &v1alpha1.ImageVerification{}}, w.err
}

func newRecorder(t *testing.T, w *writer) (*recorder.Recorder, *observer.ObservedLogs) {
	t.Helper()
	metrics, err := recorder.NewMetrics(noop.Meter{})
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	return recorder.New(recorder.Dependencies{Ledger: w, Metrics: metrics, Log: zap.New(core), Now: func() time.Time { return epoch }}), logs
}

func pushTo(t *testing.T, kind push.Kind) push.Push {
	t.Helper()
	d, err := image.ParseDigest("sha256:" + strings.Repeat("a", 64))
	if err != nil {
		t.Fatal(err)
	}
	return push.Push{Repository: push.Repository{Kind: kind, Name: "shop/app"}, Tag: "v1", Digest: d, PushedAt: epoch, Reason: push.NewHead}
}

func shows(s openshift.ImageState, err error) func(context.Context) (openshift.ImageState, error) {
	return func(context.Context) (openshift.ImageState, error) { return s, err }
}

func reads(c image.Content, err error) func(context.Context) (image.Content, error) {
	return func(context.Context) (image.Content, error) { return c, err }
}

func TestRecord(t *testing.T) {
	foreign := fmt.Errorf("entry: %w", ledger.ErrForeign)
	invalid := apierrors.NewInvalid(schema.GroupKind{Kind: "ImageVerification"}, "x", nil)
	terminating := &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonForbidden,
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}}}}
	none, recorded := []string(nil), []string{"aa false event true"}
	for _, test := range []struct {
		name    string
		kind    push.Kind
		image   func(context.Context) (openshift.ImageState, error)
		content func(context.Context) (image.Content, error)
		ledger  writer
		want    recorder.Result
		wrote   []string
	}{
		{"an Image that runs needs no registry, and its facts are kept", push.ImageStream, shows(openshift.ImageState{Runs: true, Facts: facts}, nil), nil,
			writer{outcome: ledger.Created}, recorder.Result{Outcome: recorder.Recorded}, []string{"aa true event true"}},
		{"an Image that cannot be read", push.ImageStream, shows(openshift.ImageState{}, errAway), reads(artefact, nil),
			writer{}, recorder.Result{Outcome: recorder.NotRead, Err: errAway}, none},
		{"an Image that shows nothing, and nobody to ask", push.ImageStream, shows(openshift.ImageState{}, nil), nil,
			writer{}, recorder.Result{Outcome: recorder.Doubtful}, none},
		{"an Image that shows nothing, of an image that runs", push.ImageStream, shows(openshift.ImageState{}, nil), reads(image.Content{}, nil),
			writer{outcome: ledger.Updated}, recorder.Result{Outcome: recorder.Recorded}, recorded},
		{"an artefact", push.ImageStream, shows(openshift.ImageState{}, nil), reads(artefact, nil), writer{}, recorder.Result{Outcome: recorder.Exempt, Why: image.NoRunnableChild}, none},
		{"a stream whose registry does not answer", push.ImageStream, nil, reads(artefact, errAway),
			writer{outcome: ledger.Created}, recorder.Result{Outcome: recorder.Recorded, Unread: errAway}, recorded},
		{"a stream whose registry does not have it", push.ImageStream, nil, reads(artefact, gone),
			writer{outcome: ledger.Created}, recorder.Result{Outcome: recorder.Recorded, Unread: gone}, recorded},
		{"a registry that does not answer", push.Registry, nil, reads(artefact, errAway), writer{}, recorder.Result{Outcome: recorder.NotRead, Err: errAway}, none},
		{"a registry that does not have it", push.Registry, nil, reads(artefact, gone), writer{}, recorder.Result{Outcome: recorder.Gone, Err: gone}, none},
		{"a registry that refuses", push.Registry, nil, reads(artefact, denied),
			writer{outcome: ledger.Created}, recorder.Result{Outcome: recorder.Recorded, Unread: denied}, recorded},
		{"an artefact in a registry", push.Registry, nil, reads(artefact, nil), writer{}, recorder.Result{Outcome: recorder.Exempt, Why: image.NoRunnableChild}, none},
		{"another process was first", push.Registry, nil, reads(image.Content{}, nil), writer{outcome: ledger.Unchanged}, recorder.Result{Outcome: recorder.Covered}, recorded},
		{"the API server is away", push.Registry, nil, reads(image.Content{}, nil), writer{err: errAway}, recorder.Result{Outcome: recorder.NotWritten, Err: errAway}, recorded},
		{"an entry of somebody else", push.Registry, nil, reads(image.Content{}, nil), writer{err: foreign}, recorder.Result{Outcome: recorder.NotRecordable, Reason: "ForeignEntry", Err: foreign}, recorded},
		{"an entry that the API server refuses", push.Registry, nil, reads(image.Content{}, nil), writer{err: invalid}, recorder.Result{Outcome: recorder.NotRecordable, Reason: "InvalidEntry", Err: invalid}, recorded},
		{"a namespace that is being deleted", push.Registry, nil, reads(image.Content{}, nil), writer{err: terminating},
			recorder.Result{Outcome: recorder.NotRecordable, Reason: "NamespaceTerminating", Err: terminating}, recorded},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, logs := newRecorder(t, &test.ledger)
			p := pushTo(t, test.kind)
			got := r.Record(t.Context(), recorder.Candidate{Trigger: &v1alpha1.ImageTrigger{}, Push: p, Source: v1alpha1.SourceEvent, Image: test.image, Content: test.content})
			if diff := cmp.Diff(test.want, got, cmpopts.EquateErrors()); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wrote, test.ledger.wrote); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
			if exempt := !r.Runnable(p.Digest); exempt != (test.want.Outcome == recorder.Exempt) {
				t.Errorf("the digest is exempt = %t", exempt)
			}
			messages := []string{}
			for _, l := range logs.All() {
				messages = append(messages, l.Level.String())
			}
			want := []string{}
			if test.want.Outcome == recorder.Recorded {
				want = append(want, "info")
				if test.want.Unread != nil {
					want = append(want, "warn")
				}
			}
			if diff := cmp.Diff(want, messages); diff != "" {
				t.Errorf("logged (-want +got):\n%s", diff)
			}
		})
	}
}

// What only a registry says of a digest exempts it for the namespace that reads it there. The same
// digest elsewhere, or of others, is read again.
func TestARegistrysWordExemptsNothingElse(t *testing.T) {
	lie := image.Content{Kind: image.ContentIndex, Complete: true, Children: []image.Content{{Kind: image.ContentBlob, ClaimedBlob: true}}}
	w := &writer{outcome: ledger.Created}
	r, _ := newRecorder(t, w)
	record := func(namespace, pull string, content image.Content) (recorder.Result, bool) {
		t.Helper()
		p, asked := pushTo(t, push.Registry), false
		var err error
		if p.Pull, err = image.ParseRepository(pull); err != nil {
			t.Fatal(err)
		}
		trigger := &v1alpha1.ImageTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "all"}}
		return r.Record(t.Context(), recorder.Candidate{Trigger: trigger, Push: p, Source: v1alpha1.SourceEvent,
			Content: func(context.Context) (image.Content, error) { asked = true; return content, nil }}), asked
	}
	exempt := recorder.Result{Outcome: recorder.Exempt, Why: image.NoRunnableChild}
	runs := recorder.Result{Outcome: recorder.Recorded}
	for _, test := range []struct {
		name, namespace, pull string
		content               image.Content
		want                  recorder.Result
		asked                 bool
	}{
		{"where it says so", "stranger", "evil.example.com/cache", lie, exempt, true},
		{"there again, without a request", "stranger", "evil.example.com/cache", image.Content{}, exempt, false},
		{"for another namespace", "shop", "evil.example.com/cache", image.Content{}, runs, true},
		{"in another registry", "stranger", "registry.example.com/cache", image.Content{}, runs, true},
		{"in another repository", "stranger", "evil.example.com/other", image.Content{}, runs, true},
		{"once it is proven", "shop", "registry.example.com/cache", artefact, exempt, true},
	} {
		got, asked := record(test.namespace, test.pull, test.content)
		if diff := cmp.Diff(test.want, got); diff != "" || asked != test.asked {
			t.Errorf("%s: asked %t, result (-want +got):\n%s", test.name, asked, diff)
		}
	}
	if r.Runnable(pushTo(t, push.Registry).Digest) {
		t.Error("what was proven is not remembered for everybody")
	}
}

// A reader that has no time left says nothing about the digest, and nothing is recorded.
func TestNoTimeLeftIsNoAnswer(t *testing.T) {
	w := &writer{outcome: ledger.Created}
	r, _ := newRecorder(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := r.Record(ctx, recorder.Candidate{Trigger: &v1alpha1.ImageTrigger{}, Push: pushTo(t, push.ImageStream), Content: reads(artefact, context.Canceled)})
	if got.Outcome != recorder.NotRead || len(w.wrote) != 0 {
		t.Errorf("result %+v, recorded %v; want NotRead", got, w.wrote)
	}
}

// What a registry had before the first sweep may be a lot: it is recorded and not logged. Of
// what a sweep recovers the log says why no event brought it.
func TestWhatIsLogged(t *testing.T) {
	for source, want := range map[v1alpha1.PushSource][]string{v1alpha1.SourceExisting: nil, v1alpha1.SourceSweep: {"InFlight"}} {
		r, logs := newRecorder(t, &writer{outcome: ledger.Created})
		r.Record(t.Context(), recorder.Candidate{Trigger: &v1alpha1.ImageTrigger{}, Push: pushTo(t, push.Registry), Source: source, Content: reads(image.Content{}, nil), Missed: "InFlight"})
		var got []string
		for _, l := range logs.All() {
			got = append(got, l.ContextMap()["missed"].(string))
		}
		if !slices.Equal(got, want) {
			t.Errorf("source %s: logged %q, want %q", source, got, want)
		}
	}
}
