package fast_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// seenRequests keeps the requests for streams that a client makes.
type seenRequests struct {
	mu   sync.Mutex
	next http.RoundTripper
	all  []string
}

func (s *seenRequests) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/imagestreams") {
		query := r.URL.Query()
		s.mu.Lock()
		s.all = append(s.all, fmt.Sprintf("watch=%s sendInitialEvents=%s", query.Get("watch"), query.Get("sendInitialEvents")))
		s.mu.Unlock()
	}
	return s.next.RoundTrip(r)
}

// A client-go informer gets what is there by a watch with sendInitialEvents, and does not fall back
// to a list.
func TestAnInformerSyncsByAWatch(t *testing.T) {
	namespace := newNamespace(t)
	digest := push(t, namespace+"/app:v1")
	seen := &seenRequests{}
	config := shared.RESTConfig()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { seen.next = next; return seen })
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	informer := dynamicinformer.NewFilteredDynamicInformer(client, streamResource, namespace, 0, cache.Indexers{}, nil).Informer()
	go informer.RunWithContext(t.Context())
	eventually(t, "the informer syncs", func() error {
		if !informer.HasSynced() {
			seen.mu.Lock()
			defer seen.mu.Unlock()
			return fmt.Errorf("it asked for %v", seen.all)
		}
		return nil
	})
	if _, known, err := informer.GetStore().GetByKey(namespace + "/app"); !known {
		t.Errorf("the informer does not know the stream of %s: %v", digest, err)
	}
	push(t, namespace+"/later:v1")
	eventually(t, "the informer hears of a new stream", func() error {
		if _, known, err := informer.GetStore().GetByKey(namespace + "/later"); !known {
			return fmt.Errorf("not yet: %w", err)
		}
		return nil
	})
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if diff := cmp.Diff([]string{"watch=true sendInitialEvents=true"}, seen.all); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// event is one of a watch.
type event struct {
	Type   string
	Object unstructured.Unstructured
}

// watchRaw opens a watch and returns its status and a decoder of its events.
func watchRaw(t *testing.T, path string, params map[string]string) (int, *json.Decoder) {
	t.Helper()
	config := shared.RESTConfig()
	config.Timeout = 20 * time.Second
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	request := client.Discovery().RESTClient().Get().AbsPath(path)
	for name, value := range params {
		request.Param(name, value)
	}
	http1, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, request.URL().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http1.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer.StatusCode, json.NewDecoder(answer.Body)
}

// The initial events end with a bookmark that says so.
func TestInitialEventsEndWithABookmark(t *testing.T) {
	namespace := newNamespace(t)
	push(t, namespace+"/app:v1")
	status, events := watchRaw(t, "/apis/image.openshift.io/v1/namespaces/"+namespace+"/imagestreams", map[string]string{
		"watch": "true", "sendInitialEvents": "true", "allowWatchBookmarks": "true", "resourceVersionMatch": "NotOlderThan", "timeoutSeconds": "15",
	})
	if status != http.StatusOK {
		t.Fatalf("the watch was answered %d", status)
	}
	var got []string
	for len(got) < 2 {
		var e event
		if err := events.Decode(&e); err != nil {
			t.Fatalf("after %v: %v", got, err)
		}
		got = append(got, e.Type+" "+e.Object.GetName()+e.Object.GetAnnotations()[metav1.InitialEventsAnnotationKey])
	}
	if diff := cmp.Diff([]string{"ADDED app", "BOOKMARK true"}, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// A watch from a version that is gone is answered 200, and its first event is an ERROR 410.
func TestAWatchFromAnOldVersionIsAnsweredByAnEvent(t *testing.T) {
	status, events := watchRaw(t, "/apis/image.openshift.io/v1/imagestreams", map[string]string{"watch": "true", "resourceVersion": "1", "timeoutSeconds": "15"})
	var first struct {
		Type   string
		Object metav1.Status
	}
	if err := events.Decode(&first); err != nil {
		t.Fatal(err)
	}
	if status != http.StatusOK || first.Type != "ERROR" || first.Object.Code != http.StatusGone {
		t.Errorf("the watch was answered %d, and began with %+v", status, first)
	}
}
