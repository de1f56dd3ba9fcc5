package imageverification_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Property: whatever happens in whatever order, each cause gets one run, every
// push is decided, and the bound holds as long as the process does.
func TestRandomHistoriesGiveOneRunForEachCause(t *testing.T) {
	const bound = 3
	for seed := range uint64(6) {
		restarts := seed%2 == 1
		t.Run(fmt.Sprintf("seed=%d,restarts=%v", seed, restarts), func(t *testing.T) {
			w := newWorld(t, func(tr *v1alpha1.ImageTrigger) {
				tr.Spec.MaxConcurrent = bound
				if seed%3 == 0 {
					tr.Spec.Superseded = v1alpha1.SupersededSkip
				}
			})
			h := &history{world: w, rand: rand.New(rand.NewPCG(seed, 0))}
			for range 200 {
				h.happen(restarts)
				if open := len(h.unfinished()); open > bound && !restarts {
					t.Fatalf("%d runs under way, want at most %d", open, bound)
				}
			}
			h.settle()
			h.account()
		})
	}
}

// history is a world in which things happen at random.
type history struct {
	*world
	rand *rand.Rand
	keys []types.NamespacedName
}

func (h *history) some() types.NamespacedName { return h.keys[h.rand.IntN(len(h.keys))] }

func (h *history) happen(restarts bool) {
	switch n := h.rand.IntN(20); {
	case n < 3 || len(h.keys) == 0:
		d := numbered(fmt.Sprintf("%02x", h.rand.IntN(8)))
		key := h.pushDigest(fmt.Sprintf("v%d", h.rand.IntN(3)), d, h.clock().Truncate(time.Second))
		if !slices.Contains(h.keys, key) {
			h.keys = append(h.keys, key)
		}
	case n == 3:
		e := h.entry(h.some())
		if len(e.Spec.Requests) < 3 {
			e.Spec.Requests = append(e.Spec.Requests, fmt.Sprint("request-", len(e.Spec.Requests)))
			h.must(h.client.Update(h.t.Context(), e))
		}
	case n == 4 && restarts:
		h.restart()
	case n < 8:
		h.pass(time.Duration(h.rand.IntN(8000)) * time.Millisecond)
	case n < 12:
		h.end()
	default:
		h.visit(h.some())
	}
	for _, key := range h.queue.take() {
		h.visit(key)
	}
}

// visit makes one pass.
func (h *history) visit(key types.NamespacedName) {
	h.t.Helper()
	if _, err := h.step(key); err != nil && !apierrors.IsConflict(err) {
		h.t.Fatal(err)
	}
}

func (h *history) unfinished() []string {
	var open []string
	for _, pr := range h.runs() {
		if pr.Status.CompletionTime == nil {
			open = append(open, pr.Name)
		}
	}
	return open
}

// end ends one run: well, badly, or not at all well.
func (h *history) end() {
	open := h.unfinished()
	if len(open) == 0 {
		return
	}
	name := open[h.rand.IntN(len(open))]
	for _, pr := range h.runs() {
		if pr.Name != name {
			continue
		}
		switch d := mustDigest(pr.Annotations[v1alpha1.DigestAnnotation]); h.rand.IntN(4) {
		case 0:
			h.fail(name, "Failed")
		case 1:
			h.finish(name, "fail", d, "kata")
		default:
			h.finish(name, "pass", d, "kata")
		}
	}
}

// settle lets everything come to its end.
func (h *history) settle() {
	h.t.Helper()
	for range 200 {
		final := true
		for _, key := range h.keys {
			h.visit(key)
			switch h.entry(key).Status.Phase {
			case v1alpha1.PhasePassed, v1alpha1.PhaseFailed, v1alpha1.PhaseError, v1alpha1.PhaseSkipped:
			default:
				final = false
			}
		}
		if open := h.unfinished(); len(open) > 0 {
			h.end()
		} else if final {
			return
		}
		h.pass(7 * time.Second)
	}
	for _, key := range h.keys {
		e := h.entry(key)
		h.t.Logf("%s is %s/%s: %s", e.Name, e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
	h.t.Fatal("it does not come to an end")
}

func (h *history) account() {
	h.t.Helper()
	exist, counted := len(h.runs()), 0
	for _, key := range h.keys {
		e := h.entry(key)
		counted += int(e.Status.RunCount)
		causes := map[v1alpha1.Cause]bool{}
		for _, run := range e.Status.Runs {
			if causes[run.Cause] {
				h.t.Errorf("entry %s has two runs for %v", e.Name, run.Cause)
			}
			causes[run.Cause] = true
		}
		h.wantNewestVerdict(e)
		for _, tag := range e.Status.Tags {
			if tag.Run == 0 {
				h.t.Errorf("entry %s: nothing is decided on tag %s", e.Name, tag.Tag)
			}
		}
		if len(e.Status.HandledRequests) != len(e.Spec.Requests) {
			h.t.Errorf("entry %s: of requests %v only %v were handled", e.Name, e.Spec.Requests, e.Status.HandledRequests)
		}
	}
	if exist != counted || exist == 0 {
		h.t.Errorf("%d PipelineRuns for %d runs of the ledger", exist, counted)
	}
}

// wantNewestVerdict checks that the verdict is what the newest run that gave one says.
func (h *history) wantNewestVerdict(e *v1alpha1.ImageVerification) {
	h.t.Helper()
	var newest *v1alpha1.RunStatus
	for i := range e.Status.Runs {
		if o := e.Status.Runs[i].Outcome; o == v1alpha1.OutcomePass || o == v1alpha1.OutcomeFail {
			newest = &e.Status.Runs[i]
		}
	}
	v := e.Status.Verdict
	switch {
	case newest == nil && v == nil:
	case newest == nil || v == nil:
		h.t.Errorf("entry %s has the verdict %+v, and the run %+v gave the newest", e.Name, v, newest)
	case v.Number != newest.Number || v.Run != newest.Name || v.Outcome != newest.Outcome || !v.At.Equal(newest.FinishedAt):
		h.t.Errorf("entry %s has the verdict %+v, and the run %+v gave the newest", e.Name, v, newest)
	}
}
