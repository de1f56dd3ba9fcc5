package remote

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/registry"
	"github.com/revet-dev/revet/pkg/sweep"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// site is a registry that answers everything with one status, and the API server
// that holds the account it is read for.
type site struct {
	*Registries
	repository image.Repository
	status     int
	header     http.Header
	// reads counts what was read from the API server.
	reads int
	now   time.Time
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{status: http.StatusOK, header: http.Header{}, now: noon}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		for name := range s.header {
			w.Header().Set(name, s.header.Get(name))
		}
		w.WriteHeader(s.status)
		if s.status == http.StatusOK {
			_, _ = w.Write([]byte(`{"repositories":["team/a"],"tags":["v1"]}`))
		}
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	var err error
	if s.repository, err = image.ParseRepository(host + "/team/a"); err != nil {
		t.Fatal(err)
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "default"}}
	live := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithObjects(account).Build(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			s.reads++
			return c.Get(ctx, key, o, opts...)
		},
	})
	policy := func(asked, _ string) (insecure, ok bool) { return true, asked == host }
	s.Registries = New(registry.New(policy), live, func() time.Time { return s.now })
	return s
}

var shop = source.Account{Namespace: "shop", Name: "default"}

// What a registry answers is told as sweeps want to hear it.
func TestAnswersAreWhatSweepsExpect(t *testing.T) {
	refused := func(err error) bool { var r *sweep.Refusal; return errors.As(err, &r) }
	putOff := func(err error) bool { var p *sweep.PutOff; return errors.As(err, &p) && p.Until.After(time.Now()) }
	passing := func(err error) bool { return err != nil && !refused(err) && !putOff(err) }
	none := func(err error) bool { return err == nil }
	for _, test := range []struct {
		name       string
		status     int
		after      string
		gone, list func(error) bool
	}{
		{"what is not there is no error, except for a catalogue", 404, "", none, refused},
		{"what may not be read is a refusal", 403, "", refused, refused},
		{"too many requests are put off", 429, "600", putOff, putOff},
		{"so is a registry that is away for a while", 503, "600", putOff, putOff},
		{"an error may pass", 500, "", passing, passing},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			s.status = test.status
			if test.after != "" {
				s.header.Set("Retry-After", test.after)
			}
			if err := s.Tags(t.Context(), s.repository, shop, func(string) { t.Error("a tag") }); !test.gone(err) {
				t.Errorf("tags: %v", err)
			}
			if d, err := s.Head(t.Context(), s.repository, "v1", shop); !test.gone(err) || !d.IsZero() {
				t.Errorf("head: %v %v", d, err)
			}
			if err := s.Repositories(t.Context(), s.repository.Host(), shop, func(image.Repository) { t.Error("a repository") }); !test.list(err) {
				t.Errorf("catalogue: %v", err)
			}
		})
	}
	s := newSite(t)
	if err := s.Repositories(t.Context(), "other.example.com", shop, func(image.Repository) {}); !refused(err) {
		t.Errorf("a host that is not listed: %v", err)
	}
}

// A sweep of thousands of tags reads an account's pull secrets once.
func TestCredentialsAreBelievedForAWhile(t *testing.T) {
	s := newSite(t)
	list := func() {
		t.Helper()
		if err := s.Tags(t.Context(), s.repository, shop, func(string) {}); err != nil {
			t.Fatal(err)
		}
	}
	list()
	first := s.reads
	list()
	if s.reads != first || first == 0 {
		t.Errorf("%d reads for two lists, %d for the first", s.reads, first)
	}
	s.now = s.now.Add(credentialsTrust)
	if list(); s.reads != 2*first {
		t.Errorf("%d reads after they were believed for long enough, want %d", s.reads, 2*first)
	}
}
