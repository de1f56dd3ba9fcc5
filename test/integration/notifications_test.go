package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/app"
	"github.com/revet-dev/revet/pkg/source/registry/registrytest"
	"github.com/revet-dev/revet/test/cluster/registry"
	"github.com/revet-dev/revet/test/rig"
)

// notifying is a CNCF Distribution on disk that notifies a receiver, and nothing else that
// could see its pushes: no controller runs, so that nothing sweeps.
type notifying struct {
	host      string // as in references
	pushHost  string // where clients push to
	namespace string
	receiver  *app.Receiver

	mu sync.Mutex
	// first is when the first notification of a digest reached the receiver, and recorded
	// when its entry was seen.
	first, recorded map[string]time.Time
	// answers counts the receiver's answers by status.
	answers map[int]int
	over    bool // the test has ended
}

func newNotifying(tb testing.TB, oddities registrytest.Oddities) *notifying {
	tb.Helper()
	n := &notifying{namespace: newNamespace(tb), first: map[string]time.Time{}, recorded: map[string]time.Time{}, answers: map[int]int{}}
	toReceiver := httptest.NewServer(http.HandlerFunc(n.deliver))
	// It is not closed: the registry goes on sending what it has queued, and the next
	// server of a test could get the port.
	tb.Cleanup(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.over = true
	})
	r, err := registry.Start(tb.Context(), registry.Options{Dir: tb.TempDir(), Endpoints: []registry.Endpoint{{
		Name: "revet", URL: toReceiver.URL + "/registries/notifying", Headers: http.Header{"Authorization": {"Bearer " + webhookToken}},
	}}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.Stop(); err != nil {
			tb.Error(err)
		}
	})
	inFront := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "http", Host: r.Addr()})
		p.Out.Host = p.In.Host
	}}
	front := httptest.NewServer(registrytest.New(inFront, oddities))
	tb.Cleanup(front.Close)
	n.host, n.pushHost = strings.TrimPrefix(front.URL, "http://"), r.Addr()
	if oddities.Late > 0 { // which tag is late, the front sees in its push
		n.pushHost = n.host
	}
	n.configure(tb)
	n.receiver = receiver(tb)
	n.watch(tb)
	return n
}

// configure lists the registry, and makes a trigger that selects all of it.
func (n *notifying) configure(tb testing.TB) {
	tb.Helper()
	c := admin(tb)
	replace(tb, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "registry-webhooks"}, Data: map[string][]byte{"notifying": []byte(webhookToken)},
	})
	replace(tb, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "config-registries"},
		Data:       map[string]string{"registries.yaml": fmt.Sprintf("- {name: notifying, host: %q, insecure: true, namespaces: [%s]}", n.host, n.namespace)},
	})
	err := c.Create(tb.Context(), &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "vet"},
		Spec: v1alpha1.ImageTriggerSpec{
			Images: []v1alpha1.ImageSelector{{Repository: n.host + "/**"}},
			Sink:   v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "scan-and-validate"}},
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// replace puts an object in the place of the one of its name until the test ends.
func replace(tb testing.TB, object client.Object) {
	tb.Helper()
	c, key := admin(tb), client.ObjectKeyFromObject(object)
	before := object.DeepCopyObject().(client.Object)
	err := c.Get(tb.Context(), key, before)
	if client.IgnoreNotFound(err) != nil {
		tb.Fatal(err)
	}
	had := err == nil
	again := before.DeepCopyObject().(client.Object)
	put := func(ctx context.Context, o client.Object) error {
		if err := c.Delete(ctx, o.DeepCopyObject().(client.Object)); client.IgnoreNotFound(err) != nil {
			return err
		}
		o.SetResourceVersion("")
		o.SetUID("")
		return c.Create(ctx, o)
	}
	if err := put(tb.Context(), object); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx := context.WithoutCancel(tb.Context())
		err := error(nil)
		if had {
			err = put(ctx, again)
		} else {
			err = c.Delete(ctx, object)
		}
		if err != nil {
			tb.Error(err)
		}
	})
}

// deliver passes a notification on, and notes when it came.
func (n *notifying) deliver(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var sent struct {
		Events []struct{ Target struct{ Digest, Tag string } }
	}
	_ = json.Unmarshal(body, &sent)
	n.mu.Lock()
	for _, e := range sent.Events {
		if _, again := n.first[e.Target.Digest]; !again && e.Target.Tag != "" {
			n.first[e.Target.Digest] = now
		}
	}
	to, over := n.receiver, n.over
	n.mu.Unlock()
	if over {
		return // with 200, or the registry would send it again
	}
	forward, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+to.Addr()+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	forward.Header = r.Header
	answer, err := http.DefaultClient.Do(forward)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	n.mu.Lock()
	n.answers[answer.StatusCode]++
	n.mu.Unlock()
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

// watch notes when entries are made.
func (n *notifying) watch(tb testing.TB) {
	tb.Helper()
	c, err := rig.NewClient(clusterOf(tb).RESTConfig())
	if err != nil {
		tb.Fatal(err)
	}
	w, err := c.Watch(tb.Context(), &v1alpha1.ImageVerificationList{}, client.InNamespace(n.namespace))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(w.Stop)
	go func() {
		for event := range w.ResultChan() {
			e, ok := event.Object.(*v1alpha1.ImageVerification)
			if !ok {
				continue
			}
			n.mu.Lock()
			if _, again := n.recorded[e.Spec.Digest]; !again {
				n.recorded[e.Spec.Digest] = time.Now()
			}
			n.mu.Unlock()
		}
	}()
}

// push pushes so many images with a tag each, a few at a time, as a busy registry sees them.
func (n *notifying) push(tb testing.TB, from, to int) {
	tb.Helper()
	base, err := random.Image(64, 1)
	if err != nil {
		tb.Fatal(err)
	}
	group, ctx := errgroup.WithContext(tb.Context())
	group.SetLimit(4)
	for i := from; i < to; i++ {
		group.Go(func() error {
			ref, err := name.ParseReference(fmt.Sprintf("%s/team/app-%d:v%d", n.pushHost, i%10, i), name.Insecure)
			if err != nil {
				return err
			}
			img := mutate.Annotations(base, map[string]string{"push": fmt.Sprint(i)})
			if i%5 == 0 {
				index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: base})
				return remote.Push(ref, mutate.Annotations(index, map[string]string{"push": fmt.Sprint(i)}).(remote.Taggable), remote.WithContext(ctx))
			}
			return remote.Push(ref, img.(remote.Taggable), remote.WithContext(ctx))
		})
	}
	if err := group.Wait(); err != nil {
		tb.Fatal(err)
	}
}

// wait waits until so many pushes are recorded, and returns how long each took from its
// first notification, the shortest first.
func (n *notifying) wait(tb testing.TB, pushes int) []time.Duration {
	tb.Helper()
	// Distribution notifies of one event after another: what counts is that it goes on.
	for some := 0; some < pushes; {
		some = min(some+25, pushes)
		eventually(tb, fmt.Sprintf("%d pushes are recorded", some), func() error {
			n.mu.Lock()
			defer n.mu.Unlock()
			if len(n.recorded) < some {
				return fmt.Errorf("%d are; the receiver's answers: %v", len(n.recorded), n.answers)
			}
			return nil
		})
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var took []time.Duration
	for digest, at := range n.recorded {
		came, ok := n.first[digest]
		if !ok {
			tb.Errorf("%s was recorded without a notification", digest)
		}
		took = append(took, at.Sub(came))
	}
	slices.Sort(took)
	return took
}

func percentileOf(sorted []time.Duration, percent int) time.Duration {
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)].Round(100 * time.Microsecond)
}

var pushCount = flag.Int("pushes", 60, "how many pushes TestEveryNotificationIsRecorded makes of each registry")

// Notifications alone, without any sweep, bring every push to the ledger: of a registry that
// notifies before it shows the tag, as Distribution does, and of one that shows it later.
func TestEveryNotificationIsRecorded(t *testing.T) {
	ownCluster(t)
	for _, test := range []struct {
		name     string
		oddities registrytest.Oddities
	}{
		{"a Distribution", registrytest.Oddities{}},
		{"a Distribution that shows a tag 500 ms late", registrytest.Oddities{Late: 500 * time.Millisecond}},
		{"a Distribution behind an odd proxy", registrytest.Oddities{Head: http.StatusMethodNotAllowed, NoDigest: true, Type: "text/plain"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNotifying(t, test.oddities)
			n.push(t, 0, *pushCount)
			took := n.wait(t, *pushCount)
			if len(took) != *pushCount {
				t.Errorf("%d entries for %d pushes", len(took), *pushCount)
			}
			t.Logf("%d pushes recorded; from notification to record: p50 %s, p99 %s, at most %s; answers %v",
				len(took), percentileOf(took, 50), percentileOf(took, 99), percentileOf(took, 100), n.answers)
		})
	}
}

// The time from a notification to its record, one push after another.
func BenchmarkNotificationToRecord(b *testing.B) {
	for name, oddities := range map[string]registrytest.Oddities{"distribution": {}, "late": {Late: 500 * time.Millisecond}} {
		b.Run(name, func(b *testing.B) {
			n := newNotifying(b, oddities)
			done := 0
			for b.Loop() {
				n.push(b, done, done+1)
				done++
				n.wait(b, done)
			}
			took := n.wait(b, done)
			b.ReportMetric(float64(percentileOf(took, 50).Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(percentileOf(took, 99).Microseconds())/1000, "p99-ms")
		})
	}
}
