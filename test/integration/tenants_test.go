package integration

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/app"
)

// requests lists what a receiver asks the API server to create, by resource.
type requests struct {
	next http.RoundTripper
	mu   sync.Mutex
	made []string
}

func (r *requests) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method == http.MethodPost {
		parts := strings.Split(request.URL.Path, "/")
		r.mu.Lock()
		r.made = append(r.made, parts[len(parts)-1])
		r.mu.Unlock()
	}
	return r.next.RoundTrip(request)
}

// take returns how many access reviews were asked before the first entry was written, and in
// all, since it was last called.
func (r *requests) take() (before, all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	written := false
	for _, resource := range r.made {
		switch resource {
		case "imageverifications":
			written = true
		case "subjectaccessreviews":
			if all++; !written {
				before++
			}
		}
	}
	r.made = nil
	return before, all
}

// hostileTriggers makes n triggers that select every namespace, each with an account that does
// not exist.
func hostileTriggers(t *testing.T, namespace string, n int) {
	t.Helper()
	var wg sync.WaitGroup
	queue := make(chan int)
	for range 8 {
		wg.Go(func() {
			for i := range queue {
				err := admin(t).Create(t.Context(), &v1alpha1.ImageTrigger{
					ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("wide-%04d", i)},
					Spec: v1alpha1.ImageTriggerSpec{
						Images:             []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{NamespaceSelector: &metav1.LabelSelector{}}}},
						Sink:               v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "scan-and-validate"}},
						ServiceAccountName: fmt.Sprintf("nobody-%04d", i),
					},
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		queue <- i
	}
	close(queue)
	wg.Wait()
}

// A thousand triggers of one namespace that select everybody's streams, with accounts that do
// not exist, do not keep another namespace's push from being recorded by its first event: it is
// recorded before they are asked about, and their questions are few.
func TestAThousandTriggersOfOneNamespaceHoldUpNobody(t *testing.T) {
	ownCluster(t)
	hostile, victim := newNamespace(t), newNamespace(t)
	hostileTriggers(t, hostile, 1000)
	mayGet(t, victim)
	trigger(t, victim)
	watched := &requests{}
	r := receiver(t, func(o *app.ReceiverOptions) {
		o.Config.Wrap(func(next http.RoundTripper) http.RoundTripper { watched.next = next; return watched })
	})
	// Each question is asked in up to three forms: of all namespaces, of one, of one stream.
	const forms, prefetched, questions, counted = 3, 4, 16, 100
	total, want := 0, []string{}
	for n := range 3 {
		image := fmt.Sprintf("%s/web:v%d", victim, n)
		want = append(want, image+"@"+push(t, image))
		watched.take()
		if code, body := send(t, r, streamNamed(t, victim, "web")); code != http.StatusAccepted {
			t.Errorf("event %d was answered %d %s, want 202", n+1, code, body)
		}
		if diff := cmp.Diff(want, pushes(t, victim)); diff != "" {
			t.Errorf("ledger after event %d (-want +got):\n%s", n+1, diff)
		}
		before, all := watched.take()
		if before > 1+prefetched*forms || all > 1+(prefetched+questions)*forms {
			t.Errorf("event %d: %d questions before the push was written and %d in all; want at most %d and %d", n+1, before, all, 1+prefetched*forms, 1+(prefetched+questions)*forms)
		}
		total += all
	}
	if most := 3 + counted*forms; total > most {
		t.Errorf("%d questions, want at most %d", total, most)
	}
	if got := pushes(t, hostile); len(got) != 0 {
		t.Errorf("recorded for accounts that do not exist: %v", got)
	}
}
