package imageverification_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/reconciler/imageverification"
	"github.com/revet-dev/revet/pkg/sandbox"
)

func withSandbox(change func(*v1alpha1.Sandbox)) func(*v1alpha1.ImageTrigger) {
	return func(t *v1alpha1.ImageTrigger) { change(&t.Spec.Sandbox) }
}

// What a run was asked to execute in is written with it and judged by: a run
// around the class passes without it and says so, any other does not.
func TestARunIsJudgedByTheClassThatItWasAskedFor(t *testing.T) {
	none := int32(0)
	key := bytes.Repeat([]byte{1}, sandbox.MinKey)
	for _, test := range []struct {
		name   string
		change func(*v1alpha1.ImageTrigger)
		had    string
		phase  v1alpha1.Phase
		reason string
		want   v1alpha1.SandboxStatus
	}{
		{"in the class", withSandbox(func(*v1alpha1.Sandbox) {}), "kata", v1alpha1.PhasePassed, "Passed",
			v1alpha1.SandboxStatus{Requested: "kata", Observed: []string{"kata"}}},
		{"asked for the class and did not have it", withSandbox(func(*v1alpha1.Sandbox) {}), "", v1alpha1.PhaseError, "NotSandboxed",
			v1alpha1.SandboxStatus{Requested: "kata", Observed: []string{""}}},
		{"excluded", withSandbox(func(s *v1alpha1.Sandbox) {
			s.Exclude = []v1alpha1.SandboxExclusion{{Images: "demo/*:v1", Reason: "it needs io_uring"}}
		}), "", v1alpha1.PhasePassed, "Passed", v1alpha1.SandboxStatus{
			Route: v1alpha1.RouteExcluded, RouteMessage: "spec.sandbox.exclude names demo/*:v1: it needs io_uring", Observed: []string{""}}},
		{"outside the weight", withSandbox(func(s *v1alpha1.Sandbox) { s.Weight = &none }), "", v1alpha1.PhasePassed, "Passed", v1alpha1.SandboxStatus{
			Route: v1alpha1.RouteOutsideWeight, RouteMessage: "spec.sandbox.weight gives the class to 0 percent of digests, and this is none of them", Observed: []string{""}}},
		{"fallen back", func(tr *v1alpha1.ImageTrigger) {
			tr.Spec.Sandbox.Fallback = v1alpha1.FallbackDefault
			tr.MarkSandboxMissing(v1alpha1.ReasonRuntimeClassNotFound, "", pushed)
		}, "", v1alpha1.PhasePassed, "Passed", v1alpha1.SandboxStatus{
			Route: v1alpha1.RouteFellBack, RouteMessage: `the cluster has no RuntimeClass "kata", and spec.sandbox.fallback is Default`, Observed: []string{""}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, test.change)
			w.interpose = func(o *imageverification.Options) {
				o.SandboxKey = func(context.Context) ([]byte, error) { return key, nil }
			}
			w.restart()
			entry := w.push("v1", pushed)
			w.work(entry, time.Second)
			w.finish(w.runName(entry, 1), "pass", digest, test.had)
			w.work(entry, time.Second)
			e := w.entry(entry)
			if e.Status.Phase != test.phase || e.Status.Reason != test.reason {
				t.Fatalf("the entry is %s/%s (%s)", e.Status.Phase, e.Status.Reason, e.Status.Message)
			}
			got := e.Status.Runs[0].Sandbox
			got.Pods, got.Node = nil, ""
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("sandbox (-want +got):\n%s", diff)
			}
		})
	}
}

// A weight without its key fires nothing, on either side, says so, and goes on by
// itself once there is the key.
func TestWithoutTheKeyAWeightDecidesNothing(t *testing.T) {
	half := int32(50)
	w := newWorld(t, withSandbox(func(s *v1alpha1.Sandbox) { s.Weight = &half }))
	var key []byte
	w.interpose = func(o *imageverification.Options) {
		o.SandboxKey = func(context.Context) ([]byte, error) {
			if key == nil {
				return nil, errors.New("there is no Secret")
			}
			return key, nil
		}
	}
	w.restart()
	entry := w.push("v1", pushed)
	w.work(entry, 20*time.Second)
	w.wantStory(entry, story{v1alpha1.PhasePending, "SandboxUndecided", map[string]int32{"v1": 0}, nil})
	if n := len(w.runs()); n != 0 {
		t.Fatalf("%d runs were started", n)
	}
	key = bytes.Repeat([]byte{1}, sandbox.MinKey)
	w.work(entry, 20*time.Second)
	w.wantStory(entry, story{v1alpha1.PhaseRunning, "Running", map[string]int32{"v1": 1}, []chapter{{v1alpha1.CausePush, 1, "", ""}}})
}

// The side that a digest is on is the same in every process.
func TestEveryProcessRoutesADigestAlike(t *testing.T) {
	thirty := int32(30)
	key := bytes.Repeat([]byte{3}, sandbox.MinKey)
	asked := func(d image.Digest) string {
		w := newWorld(t, withSandbox(func(s *v1alpha1.Sandbox) { s.Weight = &thirty }))
		w.interpose = func(o *imageverification.Options) {
			o.SandboxKey = func(context.Context) ([]byte, error) { return key, nil }
		}
		w.restart()
		entry := w.pushDigest("v1", d, pushed)
		w.work(entry, time.Second)
		return w.entry(entry).Status.Runs[0].Sandbox.Requested
	}
	sides := map[string]int{}
	for n := range byte(12) {
		d := mustDigest("sha256:" + string(bytes.Repeat([]byte{'a' + n%6}, 63)) + string('0'+n%10))
		first := asked(d)
		sides[first]++
		if second := asked(d); second != first {
			t.Errorf("%s was asked to run in %q and then in %q", d, first, second)
		}
	}
	if len(sides) != 2 {
		t.Errorf("all digests are on one side: %v", sides)
	}
}
