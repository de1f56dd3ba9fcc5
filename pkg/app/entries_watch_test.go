package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/pkg/kube"
)

// accessTo returns the access to a server that stands for the API server.
func accessTo(tb testing.TB, server *httptest.Server) *apiAccess {
	tb.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		tb.Fatal(err)
	}
	api, err := newAPIAccess(&rest.Config{Host: server.URL}, scheme, "test")
	if err != nil {
		tb.Fatal(err)
	}
	return api
}

// watchOf returns the usual watch of ImageVerifications, and the one that decodes them in one pass, of
// a server that answers so.
func watchOf(tb testing.TB, answer http.HandlerFunc) (usual, fast toolscache.ListerWatcherWithContext) {
	tb.Helper()
	server := httptest.NewServer(answer)
	tb.Cleanup(server.Close)
	api := accessTo(tb, server)
	client, err := entriesClient(api)
	if err != nil {
		tb.Fatal(err)
	}
	list := toolscache.NewListWatchFromClient(client, entriesResource, metav1.NamespaceAll, fields.Everything())
	return list, entriesWatch{ListerWatcherWithContext: list, rest: client}
}

func streaming(lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for _, line := range lines {
			_, _ = fmt.Fprintln(w, line)
		}
	}
}

func received(t *testing.T, lw toolscache.ListerWatcherWithContext, o metav1.ListOptions) []watch.Event {
	t.Helper()
	w, err := lw.WatchWithContext(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	var all []watch.Event
	for event := range w.ResultChan() {
		all = append(all, event)
	}
	return all
}

// Property: the watch that decodes an entry in one pass shows what the usual one shows.
func TestEntriesAreWatchedAsUsual(t *testing.T) {
	entry, err := json.Marshal(watchedEntry(1))
	if err != nil {
		t.Fatal(err)
	}
	const empty = `"apiVersion":"revet.dev/v1alpha1","kind":"ImageVerification","metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}`
	for name, lines := range map[string][]string{
		"changes": {
			`{"type":"ADDED","object":` + string(entry) + `}`, `{"type":"MODIFIED","object":` + string(entry) + `}`,
			`{"object":` + string(entry) + `,"type":"DELETED"}`, `{"type":"BOOKMARK","object":{` + empty + `}}`,
		},
		"an error": {`{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old","reason":"Expired","code":410}}`},
		"nothing":  nil,
	} {
		t.Run(name, func(t *testing.T) {
			usual, fast := watchOf(t, streaming(lines...))
			want := received(t, usual, metav1.ListOptions{})
			for i := range want {
				if status, ok := want[i].Object.(*metav1.Status); ok {
					status.TypeMeta = metav1.TypeMeta{}
				}
			}
			got := received(t, fast, metav1.ListOptions{})
			if diff := cmp.Diff(want, got); diff != "" || len(got) != len(lines) {
				t.Errorf("%d events, want %d (-want +got):\n%s", len(got), len(lines), diff)
			}
		})
	}
}

func TestAWatchOfEntriesAsksForWhatIsWanted(t *testing.T) {
	asked := make(chan string, 2)
	usual, fast := watchOf(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.URL.Path + "?" + r.URL.Query().Encode()
	})
	initial, timeout := true, int64(7)
	o := metav1.ListOptions{ResourceVersion: "5", AllowWatchBookmarks: true, SendInitialEvents: &initial, ResourceVersionMatch: "NotOlderThan", TimeoutSeconds: &timeout}
	received(t, usual, o)
	received(t, fast, o)
	if want, got := <-asked, <-asked; got != want || !strings.Contains(want, "watch=") {
		t.Errorf("asked for\n%s, want\n%s", got, want)
	}
}

func TestAWatchOfEntriesThatFails(t *testing.T) {
	t.Run("is refused", func(t *testing.T) {
		_, fast := watchOf(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusGone)
			_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"too old","reason":"Expired","code":410}`)
		})
		if _, err := fast.WatchWithContext(t.Context(), metav1.ListOptions{}); !apierrors.IsResourceExpired(err) {
			t.Errorf("got %v", err)
		}
	})
	for name, line := range map[string]string{
		"no JSON": `404 page not found`, "a type that is not known": `{"type":"ELSE","object":{}}`,
		"a field of another type": `{"type":"ADDED","object":{"spec":{"digest":7}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, fast := watchOf(t, streaming(line))
			got := received(t, fast, metav1.ListOptions{})
			if len(got) != 1 || got[0].Type != watch.Error {
				t.Errorf("got %+v, want an error", got)
			}
		})
	}
}
