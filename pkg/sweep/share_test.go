package sweep

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// wide makes triggers of a namespace that select all streams, each with an account of its own.
func wide(namespace string, n int) []*v1alpha1.ImageTrigger {
	var all []*v1alpha1.ImageTrigger
	for i := range n {
		t := of(namespace, fmt.Sprint("wide-", i), trigger(everywhere))
		t.Spec.ServiceAccountName = fmt.Sprint("nobody-", i)
		all = append(all, t)
	}
	return all
}

// Property: triggers of one namespace that select everything use up their own share of a pass,
// and say so; another namespace's sweep is complete.
func TestANamespacesShareOfAPassIsBounded(t *testing.T) {
	for _, test := range []struct {
		name   string
		cost   time.Duration // of a question
		places int
		says   string
	}{
		{"by time", time.Second, 1 << 20, "took more than 2m0s of a pass"},
		{"by what is kept", 0, 30, "select more than 30 ImageStreams"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newEnv(t, []client.Object{
				stream("victim", "app", map[string][]item{"v1": {{1, 10}}}),
				stream("victim", "web", map[string][]item{"v1": {{2, 10}}}),
				&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "victim"}},
			}...)
			w.sweeper.states["v"] = &state{namespace: "victim"}
			w.sweeper.Now = func() time.Time {
				w.mu.Lock()
				defer w.mu.Unlock()
				return at(3600).Add(time.Duration(w.asked) * test.cost)
			}
			w.sweeper.options.MaxPlaces, w.sweeper.options.Concurrency = test.places, 1
			w.denied["/"] = true
			hostile := wide("hostile", 200)
			results := w.sweeper.Once(t.Context(), append(hostile, of("victim", "all", trigger()))...)
			if r := results[200]; r.Reason != "" || r.Pushes != 2 || r.Gap != 0 || r.Coverage() != v1alpha1.CoverageCovered {
				t.Errorf("the sweep of another namespace: %+v", r)
			}
			if w.asked > 130 {
				t.Errorf("%d questions were asked", w.asked)
			}
			for _, r := range results[:200] {
				if r.Reason != SweepPutOff || r.Coverage() != v1alpha1.CoverageNotKnown || !r.Retry || !strings.Contains(r.Message, test.says) || r.NotBefore.Before(at(3660)) {
					t.Fatalf("the sweep that was put off: %+v", r)
				}
			}
		})
	}
}

// A namespace alone has no bound: nobody waits for it.
func TestANamespaceAloneHasTheWholePass(t *testing.T) {
	w := newEnv(t, stream("alone", "app", map[string][]item{"v1": {{1, 10}}}), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "alone"}})
	w.sweeper.states["a"] = &state{namespace: "alone"}
	w.sweeper.options.MaxPlaces = 1
	for _, r := range w.sweeper.Once(t.Context(), wide("alone", 5)...) {
		if r.Reason != "" || r.Pushes != 1 {
			t.Errorf("%+v", r)
		}
	}
}
