package registry_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
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
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// private is a registry that opens to one user only, and the API server that has the
// pull secrets of namespace shop.
type private struct {
	*registry.Reader
	api        client.Client
	repository image.Repository
	user       string // the registry's
	status     int    // what the registry answers the user
	users      []string
	// reads counts what was read from the API server.
	reads int
	now   time.Time
}

func newPrivate(t *testing.T) *private {
	t.Helper()
	p := &private{user: "me", status: http.StatusOK, now: noon}
	server := httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	p.repository = repository(t, host+"/team/a")
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	base := fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		pullSecret(host, "mine", "me"), pullSecret(host, "theirs", "them"),
		puller("puller", "absent", "mine"), puller("stranger", "theirs"), puller("default")).Build()
	p.api = interceptor.NewClient(base, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			p.reads++
			return c.Get(ctx, key, o, opts...)
		},
	})
	p.Reader = registry.NewReader(registry.New(plain(host)), p.api, func() time.Time { return p.now })
	return p
}

func (p *private) serve(w http.ResponseWriter, r *http.Request) {
	user, _, _ := r.BasicAuth()
	if r.URL.Path != "/v2/" {
		p.users = append(p.users, user)
	}
	if user != p.user {
		w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.URL.Path == "/v2/" {
		return
	}
	w.WriteHeader(p.status)
	_, _ = w.Write([]byte(`{"repositories":["team/a"],"tags":["v1"]}`))
}

func pullSecret(host, name, user string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{"` + host + `":{"username":"` + user + `","password":"p"}}}`)},
	}
}

func puller(name string, secrets ...string) *corev1.ServiceAccount {
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	for _, s := range secrets {
		sa.ImagePullSecrets = append(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: s})
	}
	return sa
}

func (p *private) list(t *testing.T, account string) error {
	t.Helper()
	return p.Tags(t.Context(), p.repository, source.Account{Namespace: "shop", Name: account}, func(string) {})
}

// Credentials are those of the account, and none where it has none.
func TestReadsUseTheAccountsCredentials(t *testing.T) {
	for _, test := range []struct{ name, account, user, want string }{
		{"an account with a pull secret", "puller", "me", ""},
		{"an account with somebody else's", "stranger", "them", string(source.Denied)},
		{"an account without", "default", "", string(source.Denied)},
		{"an account that does not exist", "ghost", "", string(source.Denied)},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPrivate(t)
			err := p.list(t, test.account)
			if got := kindOf(err); got != test.want {
				t.Errorf("%q (%v), want %q", got, err, test.want)
			}
			for _, user := range p.users {
				if user != test.user {
					t.Errorf("read as %q, want %q", user, test.user)
				}
			}
		})
	}
}

// A sweep of thousands of tags reads an account's pull secrets once.
func TestCredentialsAreKeptForAWhile(t *testing.T) {
	for _, test := range []struct {
		name  string
		later time.Duration
		again bool
	}{
		{"at once", 0, false},
		{"just before they expire", 30*time.Second - 1, false},
		{"when they expire", 30 * time.Second, true},
		{"after the clock was set back", -time.Second, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPrivate(t)
			if err := p.list(t, "puller"); err != nil {
				t.Fatal(err)
			}
			first := p.reads
			p.now = p.now.Add(test.later)
			if err := p.list(t, "puller"); err != nil {
				t.Fatal(err)
			}
			if again := p.reads > first; again != test.again {
				t.Errorf("%d reads and then %d: read again is %t, want %t", first, p.reads-first, again, test.again)
			}
		})
	}
}

// A replaced pull secret works at once, and not only when the old one expires.
func TestDeniedCredentialsAreReadAgain(t *testing.T) {
	p := newPrivate(t)
	if err := p.list(t, "puller"); err != nil {
		t.Fatal(err)
	}
	p.user = "rotated"
	if got := kindOf(p.list(t, "puller")); got != string(source.Denied) {
		t.Fatalf("%q before the secret is replaced, want %q", got, source.Denied)
	}
	if err := p.api.Update(t.Context(), pullSecret(p.repository.Host(), "mine", "rotated")); err != nil {
		t.Fatal(err)
	}
	if err := p.list(t, "puller"); err != nil {
		t.Errorf("after the secret was replaced: %v", err)
	}
}

// Fresh credentials that are denied are not read twice: each push of a stranger would
// cost the API server double.
func TestFreshCredentialsAreReadOnce(t *testing.T) {
	p := newPrivate(t)
	_ = p.list(t, "stranger")
	if p.reads != 2 {
		t.Errorf("%d reads, want 2: the account and its secret", p.reads)
	}
}

func TestTheCredentialsThatAreKeptAreBounded(t *testing.T) {
	p := newPrivate(t)
	p.user = ""
	for n := range 4097 {
		if err := p.list(t, "ghost"+strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
	}
	before := p.reads
	if err := p.list(t, "ghost0"); err != nil || p.reads == before {
		t.Errorf("%v; the first account's credentials are kept beside 4096 others", err)
	}
}

// Each read has one meaning for all that call it.
func TestReadsSayWhatKindOfErrorItIs(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		want   string
	}{
		{"not there", 404, string(source.NotFound)},
		{"not for this account", 403, string(source.Denied)},
		{"an error", 500, passing},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPrivate(t)
			p.status = test.status
			as := source.Account{Namespace: "shop", Name: "puller"}
			_, head := p.Head(t.Context(), p.repository, "v1", as)
			_, content := p.Content(t.Context(), p.repository.At(digestOf(t, testImage(t))), as)
			_, facts := p.Facts(t.Context(), p.repository.At(digestOf(t, testImage(t))), as, nil)
			for what, err := range map[string]error{
				"head": head, "content": content, "facts": facts, "tags": p.list(t, "puller"),
				"catalogue": p.Repositories(t.Context(), p.repository.Host(), as, func(image.Repository) {}),
			} {
				if got := kindOf(err); got != test.want {
					t.Errorf("%s: %q (%v), want %q", what, got, err, test.want)
				}
			}
		})
	}
}
