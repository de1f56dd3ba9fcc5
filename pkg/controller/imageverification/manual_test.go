package imageverification_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/source"
)

// manual records a digest that nobody pushed, as a person does.
func (w *world) manual(change ...func(*v1alpha1.ImageVerification)) types.NamespacedName {
	w.t.Helper()
	ref, err := image.ParseReference("registry.example.com/third/party@" + digest.String())
	w.must(err)
	e := ledger.NewManual(w.trigger, ref, "v1", "jane-1", w.clock())
	for _, f := range change {
		f(e)
	}
	w.must(w.client.Create(w.t.Context(), e))
	return types.NamespacedName{Namespace: e.Namespace, Name: e.Name}
}

func TestADigestThatNobodyPushedIsRunOnce(t *testing.T) {
	w := newWorld(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.Filter = "image.labels['tier'] == 'prod'" })
	key := w.manual()
	w.work(key, time.Second)
	w.finish(w.runName(key, 1), "pass", digest, "kata")
	w.work(key, time.Hour)
	w.wantStory(key, story{v1alpha1.PhasePassed, "Passed", map[string]int32{}, []chapter{{v1alpha1.CauseManual, 1, v1alpha1.OutcomePass, "Passed"}}})
	if got := len(w.listener.asked()); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

func TestAForgedEntryIsNeverRun(t *testing.T) {
	w := newWorld(t)
	key := w.manual(func(e *v1alpha1.ImageVerification) { e.Name = "party-" + strings.Repeat("a", 32) })
	w.work(key, time.Hour)
	w.wantStory(key, story{v1alpha1.PhaseSkipped, "EntryForged", map[string]int32{}, nil})
	e := w.entry(key)
	e.Spec.Requests = append(e.Spec.Requests, "once-more", "and-again")
	w.must(w.client.Update(t.Context(), e))
	w.work(key, time.Hour)
	w.wantStory(key, story{v1alpha1.PhaseSkipped, "EntryForged", map[string]int32{}, nil})
	if got := w.listener.asked(); len(got) != 0 {
		t.Errorf("requests %v, want none", got)
	}
}

// Nobody makes a run read a registry that the operator does not list.
func TestAnUnlistedRegistryKeepsAManualEntryWaiting(t *testing.T) {
	w := newWorld(t)
	w.facts.err = &source.Refusal{Reason: source.NotAllowed, Err: errors.New(`host "registry.example.com" is not listed`)}
	key := w.manual()
	w.work(key, time.Hour)
	w.wantStory(key, story{v1alpha1.PhasePending, "RegistryNotAllowed", map[string]int32{}, nil})
	w.facts.err = nil
	w.work(key, time.Minute)
	w.wantStory(key, story{v1alpha1.PhaseRunning, "Running", map[string]int32{}, []chapter{{v1alpha1.CauseManual, 1, "", ""}}})
}
