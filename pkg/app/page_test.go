package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/running"
)

// Whoever may make Pods makes them as large as they may be. A program reads fewer at once then, and
// has no more than a few megabytes of them at any time.
func TestLargePodsAreReadFewerAtOnce(t *testing.T) {
	const pods, size = 40, 1 << 20
	padding := strings.Repeat("x", size)
	// taken is the largest page that the client took: it asked for the one that follows, and
	// not for a smaller one from the same place. What was sent says nothing of that, as a
	// connection's buffers hold tens of megabytes.
	taken, sent, next := 0, 0, -1
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.FormValue("continue"))
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		if from == next {
			taken = max(taken, sent)
		}
		page := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
		for i := from; i < min(from+limit, pods); i++ {
			p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: fmt.Sprint("p", i)}}
			p.Spec.Containers = []corev1.Container{{Name: "c", Image: "x", Args: []string{padding}}}
			page.Items = append(page.Items, p)
		}
		if from+limit < pods {
			page.Continue = strconv.Itoa(from + limit)
		}
		body, err := json.Marshal(page)
		if err != nil {
			t.Error(err)
		}
		sent, next = len(body), from+limit
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // the client may have had enough
	}))
	defer server.Close()
	api := accessTo(t, server)
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	c, err := client.New(api.config, client.Options{HTTPClient: api.http, Scheme: api.scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	all := running.Gate{
		Selects: func(string) bool { return true }, IsExempt: func(string) bool { return false },
		Judge: func(image.Digest) gate.Finding { return gate.Finding{} },
	}
	censuses, err := running.Count(t.Context(), c, []running.Gate{all}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got := censuses[0].Status().Pods; got != pods {
		t.Errorf("counted %d Pods, want %d", got, pods)
	}
	if next < pods {
		t.Errorf("the last page begins at %d of %d", next, pods)
	}
	if taken = max(taken, sent); taken > kube.MaxPage {
		t.Errorf("read a page of %d bytes", taken)
	}
}
