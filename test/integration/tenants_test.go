package integration

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
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

// With an audience, the receiver takes events only from who has a token that the API server made
// for it.
func TestEventsNeedATokenForTheAudience(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	sender := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "source"}}
	if err := admin(t).Create(t.Context(), sender); err != nil {
		t.Fatal(err)
	}
	token := func(audiences ...string) string {
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
		if err := admin(t).SubResource("token").Create(t.Context(), sender, request); err != nil {
			t.Fatal(err)
		}
		return "Bearer " + request.Status.Token
	}
	const audience = "revet.example.com"
	r := receiver(t, func(o *app.ReceiverOptions) { o.OIDCAudience = audience })
	for _, test := range []struct {
		name, authorization string
		want                int
	}{
		{"no token", "", http.StatusUnauthorized},
		{"a token that is none", "Bearer x.y.z", http.StatusUnauthorized},
		{"a token for the API server", token(), http.StatusUnauthorized},
		{"a token for another audience", token("other.example.com"), http.StatusUnauthorized},
		{"a token for it", token(audience), http.StatusAccepted},
		{"a token for it and others", token("other.example.com", audience), http.StatusAccepted},
	} {
		header := map[string]string{
			"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "https://10.96.0.1:443", "Ce-Type": "dev.revet.test",
			"Authorization": test.authorization,
		}
		if code, body := call(t, http.MethodPost, r, "/", header, []byte("{}")); code != test.want {
			t.Errorf("%s: answered %d %s, want %d", test.name, code, body, test.want)
		}
	}
	// Probes and registries have no such token.
	if code, _ := probed(t, r, "/healthz"); code != http.StatusOK {
		t.Errorf("a probe was answered %d, want 200", code)
	}
}
