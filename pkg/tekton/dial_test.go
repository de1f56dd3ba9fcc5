package tekton

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

func listening(change func(*corev1.ServiceSpec)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "el-scan"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"eventlistener": "scan"}, ClusterIP: "10.96.0.7", ClusterIPs: []string{"10.96.0.7", "fd00::7"}},
	}
	change(&s.Spec)
	return s
}

// dialed returns what a Service's name is dialed at.
func dialed(t *testing.T, host string, objects ...client.Object) ([]string, error) {
	t.Helper()
	var at []string
	d := &serviceDialer{services: newTestClient(t, objects...), domain: "cluster.local", timeout: testOptions().DialTimeout,
		dial: func(_ context.Context, _, address string) (net.Conn, error) {
			at = append(at, address)
			return nil, errors.New("nobody is there")
		}}
	_, err := d.dialContext(t.Context(), "tcp", host+":8080")
	return at, err
}

// Property: a Service of the cluster is where the API server says, or nowhere: DNS is not asked.
func TestServicesAreWhereTheAPIServerSays(t *testing.T) {
	const cluster = "el-scan.team-a.svc.cluster.local"
	both := []string{"10.96.0.7:8080", "[fd00::7]:8080"}
	for _, test := range []struct {
		name, host string
		change     func(*corev1.ServiceSpec)
		want       []string
		says       string
	}{
		{"that selects Pods", cluster, func(*corev1.ServiceSpec) {}, both, "nobody"},
		{"by its short name", "el-scan.team-a.svc", func(*corev1.ServiceSpec) {}, both, "nobody"},
		{"by its name with a dot", strings.ToUpper(cluster) + ".", func(*corev1.ServiceSpec) {}, both, "nobody"},
		{"that became an ExternalName", cluster, func(s *corev1.ServiceSpec) {
			s.Type, s.ExternalName = corev1.ServiceTypeExternalName, "metadata.internal"
		}, nil, "ExternalName"},
		{"that lost its selector", cluster, func(s *corev1.ServiceSpec) { s.Selector = nil }, nil, "selects no Pods"},
		{"of another name", "other.team-a.svc.cluster.local", func(*corev1.ServiceSpec) {}, nil, "not found"},
		{"of another cluster, which DNS knows", "el-scan.team-a.svc.example.com", func(*corev1.ServiceSpec) {}, []string{"el-scan.team-a.svc.example.com:8080"}, "nobody"},
		{"that is none", "127.0.0.1", func(*corev1.ServiceSpec) {}, []string{"127.0.0.1:8080"}, "nobody"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := dialed(t, test.host, listening(test.change))
			if err == nil || !strings.Contains(err.Error(), test.says) || !slices.Equal(got, test.want) {
				t.Errorf("dialed %v, %v; want %v, %q", got, err, test.want, test.says)
			}
		})
	}
}

// A Service without an address of its own is where its Pods are, and no Pod is on this host.
func TestWhereAPodCanBe(t *testing.T) {
	for address, want := range map[string]bool{
		"10.1.2.3": true, "100.64.1.1": true, "fd00::1": true, "127.0.0.1": false, "::1": false, "169.254.169.254": false,
		"fe80::1": false, "0.0.0.0": false, "224.0.0.1": false,
	} {
		if isPod(netip.MustParseAddr(address)) != want {
			t.Errorf("%s: want %t", address, want)
		}
	}
}

// Property: what was checked as a Service is not followed out of the cluster afterwards, unless an
// operator lists the host; and a connection costs one question, not each request.
func TestASinkThatBecomesExternalIsNotFollowed(t *testing.T) {
	var arrived atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	inCluster := listening(func(s *corev1.ServiceSpec) { s.ClusterIP, s.ClusterIPs = "127.0.0.1", nil })
	c := newTestClient(t, inCluster)
	o := testOptions()
	o.ClusterDomain, o.Services, o.Listed = "cluster.local", counting{c, &asked}, testPolicy
	s := newTestSender(t, o)
	trigger, entry, run := testObjects()
	trigger.Spec.Sink = ref("triggers.tekton.dev/v1beta1", "EventListener", "scan")
	trigger.Status.SinkURI = "http://el-scan.team-a.svc.cluster.local:" + u.Port()
	for range 3 {
		if err := s.Send(t.Context(), trigger, entry, run); err != nil {
			t.Fatal(err)
		}
	}
	if arrived.Load() != 3 || asked != 1 {
		t.Errorf("%d requests arrived and %d Services were read, want 3 and 1", arrived.Load(), asked)
	}
	external := listening(func(s *corev1.ServiceSpec) {
		*s = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"}
	})
	external.ResourceVersion = inCluster.ResourceVersion
	if err := c.Update(t.Context(), external); err != nil {
		t.Fatal(err)
	}
	s.CloseIdleConnections()
	err = s.Send(t.Context(), trigger, entry, run)
	var failed *SendError
	if !errors.As(err, &failed) || failed.Reason != lifecycle.SinkUnreachable || failed.Permanent() || arrived.Load() != 3 || !strings.Contains(err.Error(), "ExternalName") {
		t.Errorf("after it became external: %v, %d arrived", err, arrived.Load())
	}
	listed := &v1alpha1.ImageTrigger{}
	trigger.DeepCopyInto(listed)
	listed.Status.SinkURI = "http://hooks.example.com"
	if s.clientFor(listed) != s.anywhere || s.clientFor(trigger) != s.inCluster {
		t.Error("a host that an operator lists leads anywhere, and no other one does")
	}
}

type counting struct {
	client.Reader
	asked *int
}

func (c counting) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	*c.asked++
	return c.Reader.Get(ctx, key, o, opts...)
}
