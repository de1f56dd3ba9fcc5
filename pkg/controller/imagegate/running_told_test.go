package imagegate

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/running"
)

// turns takes a census, and returns what was sent of it.
func (b *bench) turns() []string {
	b.t.Helper()
	b.census()
	b.observer.sendTurns(b.t.Context())
	var got []string
	for _, turn := range b.sent {
		got = append(got, turn.Digest.String()[len("sha256:"):][:1]+" "+turn.From.String()+" "+turn.To.String())
	}
	b.sent = nil
	slices.Sort(got)
	return got
}

// Property: a process that takes over tells what turned since everything was told, whatever the
// API server looks up by then, and nothing that was told.
func TestTurnsAreToldAcrossProcesses(t *testing.T) {
	const maxAge = 168 * time.Hour
	before := func(d time.Duration) *metav1.Time { at := metav1.NewTime(noon.Add(-d)); return &at }
	listed := func(standing running.Standing) []v1alpha1.RunningImage {
		return []v1alpha1.RunningImage{{Digest: "sha256:" + hexOfDigit("a"), Standing: standing.String()}}
	}
	all := func(worst []v1alpha1.RunningImage) v1alpha1.RunningStatus {
		return v1alpha1.RunningStatus{ObservedAt: before(time.Minute), ToldAt: before(time.Minute), Worst: worst}
	}
	unsent := func(worst []v1alpha1.RunningImage) v1alpha1.RunningStatus {
		return v1alpha1.RunningStatus{ObservedAt: before(time.Minute), ToldAt: before(2 * time.Minute), Worst: worst}
	}
	for _, test := range []struct {
		name   string
		status v1alpha1.RunningStatus
		now    gate.Standing
		// age is that of the verdict.
		age     time.Duration
		written *v1alpha1.VerifiedImages
		want    []string
	}{
		{"it failed since", all(nil), gate.Failed, 30 * time.Second, nil, []string{"a Unknown Failed"}},
		{"it failed since, and is still looked up", all(nil), gate.Failed, 30 * time.Second,
			&v1alpha1.VerifiedImages{Digests: map[string]string{hexOfDigit("a"): "x"}}, []string{"a Verified Failed"}},
		{"its run ended before, and its verdict came since", all(nil), gate.Failed, 9 * time.Minute, nil, []string{"a Unknown Failed"}},
		{"it had expired, and failed since", all(listed(running.Expired)), gate.Failed, 30 * time.Second, nil, []string{"a Expired Failed"}},
		{"it failed long before", all(nil), gate.Failed, time.Hour, nil, nil},
		{"that it failed was told", all(listed(running.Failed)), gate.Failed, 90 * time.Second, nil, nil},
		{"that it failed was not sent", unsent(listed(running.Failed)), gate.Failed, 90 * time.Second, nil, []string{"a Unknown Failed"}},
		{"it expired since", all(nil), gate.Expired, maxAge + 30*time.Second, nil, []string{"a Verified Expired"}},
		{"it expired since, and the list follows", all(nil), gate.Expired, maxAge + 30*time.Second,
			&v1alpha1.VerifiedImages{Ran: map[string]string{hexOfDigit("a"): "x"}}, []string{"a Verified Expired"}},
		{"it expired long before", all(nil), gate.Expired, maxAge + time.Hour, nil, nil},
		{"that it expired was told", all(listed(running.Expired)), gate.Expired, maxAge + 90*time.Second, nil, nil},
		{"it is verified again", all(listed(running.Failed)), gate.Verified, 30 * time.Second,
			&v1alpha1.VerifiedImages{Digests: map[string]string{hexOfDigit("a"): "x"}}, []string{"a Failed Verified"}},
		{"it stays verified", all(nil), gate.Verified, 30 * time.Second, nil, nil},
		{"nobody told anything before", v1alpha1.RunningStatus{}, gate.Failed, 30 * time.Second, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			b.gate.Status.Running = test.status
			b.judge("a", test.now)
			f := b.findings[hexOfDigit("a")]
			f.At = noon.Add(-test.age)
			b.findings[hexOfDigit("a")] = f
			b.pod("prod", "a", referenceOf("a"))
			if test.written != nil {
				b.observer.Recall(b.gate, test.written)
			}
			if diff := cmp.Diff(test.want, b.turns()); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			b.judge("b", gate.Failed) // and it starts after that
			b.pod("prod", "b", referenceOf("b"))
			b.now = b.now.Add(time.Minute)
			if got := b.turns(); got != nil {
				t.Errorf("by the next census %q is sent", got)
			}
		})
	}
}

// Property: up to when everything was told stands in the status only once it was sent, and what
// was not is sent by the next process.
func TestWhatWasNotSentIsSentByTheNextProcess(t *testing.T) {
	setup := func(status v1alpha1.RunningStatus, standing gate.Standing, at time.Time) *bench {
		b := newBench(t)
		b.now, b.gate.Status.Running = at, status
		b.judge("a", standing)
		b.pod("prod", "a", referenceOf("a"))
		return b
	}
	b := setup(v1alpha1.RunningStatus{}, gate.Verified, noon)
	b.turns()
	told := func() string { b.t.Helper(); return fmt.Sprint(b.observer.Report(b.gate).Running.ToldAt) }
	if got, want := told(), fmt.Sprint(metav1.NewTime(noon)); got != want {
		t.Fatalf("all is told until %s, want %s", got, want)
	}
	b.sinkErr = errors.New("down")
	b.now = noon.Add(time.Minute)
	b.judge("a", gate.Failed)
	b.turns()
	if got, want := told(), fmt.Sprint(metav1.NewTime(noon)); got != want {
		t.Errorf("with a turn that is not sent, all is told until %s, want %s", got, want)
	}
	left := b.observer.Report(b.gate).Running

	next := setup(left, gate.Failed, noon.Add(2*time.Minute))
	next.findings[hexOfDigit("a")] = b.findings[hexOfDigit("a")]
	next.sinkErr = b.sinkErr
	next.turns()
	if got, want := fmt.Sprint(next.observer.Report(next.gate).Running.ToldAt), told(); got != want {
		t.Errorf("while the sink is down, the next process says that all is told until %s, want %s", got, want)
	}
	next.sinkErr = nil
	if diff := cmp.Diff([]string{"a Unknown Failed"}, next.turns()); diff != "" {
		t.Errorf("the next process sends (-want +got):\n%s", diff)
	}
	changed := b.changed
	b.sinkErr = nil
	b.observer.sendTurns(t.Context())
	if got, want := told(), fmt.Sprint(metav1.NewTime(noon.Add(time.Minute))); got != want || b.changed == changed {
		t.Errorf("once it is sent, all is told until %s, want %s; the status is written: %v", got, want, b.changed > changed)
	}
}

// Property: what finds no room among the turns that wait to be sent is told later.
func TestNoTurnIsGivenUp(t *testing.T) {
	b := newBench(t)
	const many = maxTurns + 50
	var all []string
	for i := range many {
		hex := fmt.Sprintf("%064x", i)
		all = append(all, hex)
		b.findings[hex] = gate.Finding{Standing: gate.Verified}
		b.pod("prod", fmt.Sprint("p", i), "r.example/app@sha256:"+hex)
	}
	b.census()
	first := b.observer.Report(b.gate).Running.ToldAt
	for _, hex := range all {
		b.findings[hex] = gate.Finding{Standing: gate.Failed}
	}
	b.sinkErr = errors.New("down")
	b.now = noon.Add(time.Minute)
	b.census()
	b.observer.sendTurns(t.Context())
	if got := len(b.observer.gates["production"].turns.outbox); got != maxTurns {
		t.Errorf("%d turns wait, want %d", got, maxTurns)
	}
	b.sinkErr = nil
	for range many / sendTurns {
		b.observer.sendTurns(t.Context())
	}
	if got := b.observer.Report(b.gate).Running.ToldAt; !got.Equal(first) || len(b.sent) != maxTurns {
		t.Errorf("%d are sent, and all is told until %s, want %s", len(b.sent), got, first)
	}
	b.now = noon.Add(2 * time.Minute)
	b.census()
	b.observer.sendTurns(t.Context())
	if got := b.observer.Report(b.gate).Running.ToldAt; got.Equal(first) || len(b.sent) != many {
		t.Errorf("%d are sent, want %d, and all is told until %s", len(b.sent), many, got)
	}
}

// Property: times in the status are as the API server stores them: otherwise the same status would
// differ from what is stored, and each pass would write it.
func TestTimesOfTheStatusAreWholeSeconds(t *testing.T) {
	b := newBench(t)
	b.now = noon.Add(123456789 * time.Nanosecond)
	r := b.census().Running
	for name, at := range map[string]*metav1.Time{"observedAt": r.ObservedAt, "toldAt": r.ToldAt} {
		if at == nil || !at.Time.Equal(noon) {
			t.Errorf("%s is %v", name, at)
		}
	}
}
