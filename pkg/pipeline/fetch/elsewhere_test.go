package fetch_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// The names under which a stub answers over TLS. Its certificate is one for all.
const (
	registryHost = "registry.example.com"
	storageHost  = "storage.example.com"
	tokenHost    = "token.example.com"
)

// named is a registry, its storage and its token service, under names and over TLS.
type named struct {
	t       *testing.T
	real    *server
	whole   whole
	tls     *httptest.Server
	handler map[string]http.HandlerFunc

	mu   sync.Mutex
	seen []string // host, path and credentials of each request
}

func newNamed(t *testing.T) *named {
	t.Helper()
	n := &named{t: t, real: newServer(t), handler: map[string]http.HandlerFunc{}}
	n.whole = pushWhole(t, n.real)
	n.tls = httptest.NewUnstartedServer(n)
	n.tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	n.tls.StartTLS()
	t.Cleanup(n.tls.Close)
	return n
}

func (n *named) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	n.seen = append(n.seen, strings.TrimSpace(r.Host+" "+r.Header.Get("Authorization")))
	n.mu.Unlock()
	if h := n.handler[r.Host]; h != nil {
		h(w, r)
		return
	}
	n.real.real.ServeHTTP(w, r)
}

// sent are the credentials that a host was sent, other than none.
func (n *named) sent(host string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for _, s := range n.seen {
		if h, credentials, ok := strings.Cut(s, " "); ok && h == host {
			all = append(all, credentials)
		}
	}
	return all
}

func (n *named) options(trusted bool) fetch.Options {
	n.t.Helper()
	dir := n.t.TempDir()
	if trusted {
		certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.tls.Certificate().Raw})
		if err := os.WriteFile(filepath.Join(dir, "ca.crt"), certificate, 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
	o := fetch.Options{Trust: must(fetch.LoadTrust(dir, nil))(n.t), Keychain: keychain{}}
	return o.WithDial(func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "gone.") {
			return nil, errors.New("the registry has nothing that it names")
		}
		return (&net.Dialer{}).DialContext(ctx, network, n.tls.Listener.Addr().String())
	})
}

func (n *named) pull(trusted bool) error {
	_, _, err := pullFrom(n.t, registryHost, n.whole.manifest, setting{options: n.options(trusted)})
	return err
}

// Blobs may be elsewhere, however a registry says so; that place is under the same
// authorities, and is sent no credentials.
func TestFetchFollowsToStorage(t *testing.T) {
	isLayer := func(r *http.Request, w whole) bool { return strings.HasSuffix(r.URL.Path, w.layer.String()) }
	signed := "https://" + storageHost + "/bucket/object?X-Signature=abc"
	// to redirects requests for the layer, and checks who asks for it then.
	to := func(code int, location string) func(*named) {
		return func(n *named) {
			n.handler[registryHost] = func(w http.ResponseWriter, r *http.Request) {
				if !isLayer(r, n.whole) {
					n.real.real.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Location", location)
				w.WriteHeader(code)
			}
			n.handler[storageHost] = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("X-Signature") != "abc" {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				r.URL.Path = layerPath(n.whole)
				n.real.real.ServeHTTP(w, r)
			}
		}
	}
	tests := []struct {
		name  string
		serve func(*named)
		want  oci.Reason // "" for none
		says  string
	}{
		{"307", to(http.StatusTemporaryRedirect, signed), "", ""},
		{"308", to(http.StatusPermanentRedirect, signed), "", ""},
		{"303", to(http.StatusSeeOther, signed), "", ""},
		{"302", to(http.StatusFound, signed), "", ""},
		{"301 without a scheme", to(http.StatusMovedPermanently, strings.TrimPrefix(signed, "https:")), "", ""},
		{"a path of its own", func(n *named) {
			n.handler[registryHost] = func(w http.ResponseWriter, r *http.Request) {
				if isLayer(r, n.whole) && !strings.Contains(r.URL.RawQuery, "moved") {
					w.Header().Set("Location", "../blobs/"+n.whole.layer.String()+"?moved")
					w.WriteHeader(http.StatusTemporaryRedirect)
					return
				}
				n.real.real.ServeHTTP(w, r)
			}
		}, "", ""},
		{"an address that ends while it is read, and another then", func(n *named) {
			asked := 0
			to(http.StatusTemporaryRedirect, signed)(n)
			to := n.handler[registryHost]
			n.handler[registryHost] = func(w http.ResponseWriter, r *http.Request) {
				if isLayer(r, n.whole) {
					if asked++; asked > 1 {
						w.Header().Set("Location", "https://"+storageHost+"/second")
						w.WriteHeader(http.StatusTemporaryRedirect)
						return
					}
				}
				to(w, r)
			}
			n.handler[storageHost] = func(w http.ResponseWriter, r *http.Request) {
				raw := blobOf(n) //nolint:contextcheck // a recorder, not a request
				store := &storage{raw: raw}
				if r.URL.Path != "/second" {
					store.send(w, 0, 50)
				}
				if got := r.Header.Get("Range"); got != "bytes=50-" {
					n.t.Errorf("the second address is asked for %q", got)
				}
				store.send(w, 50, len(raw))
			}
		}, "", ""},
		{"plain HTTP", to(http.StatusTemporaryRedirect, "http://"+storageHost+"/x?X-Signature=abc"), oci.ReasonRefused, "plain HTTP to"},
		{"a number that is private", to(http.StatusTemporaryRedirect, "https://10.0.0.1/x"), oci.ReasonRefused, "private address"},
		{"another protocol", to(http.StatusTemporaryRedirect, "ftp://"+storageHost+"/x"), oci.ReasonRefused, "plain HTTP to"},
		{"storage that refuses", to(http.StatusTemporaryRedirect, "https://"+storageHost+"/x"), oci.ReasonDenied, "403"},
		{"storage that is not there", to(http.StatusTemporaryRedirect, "https://gone.example.com/x?X-Signature=abc"), oci.ReasonUnavailable, "the registry has nothing that it names"},
		{"nowhere", to(http.StatusTemporaryRedirect, ""), oci.ReasonUnavailable, "307"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNamed(t)
			tt.serve(n)
			err := n.pull(true)
			if err != nil && strings.Contains(err.Error(), "abc") {
				t.Errorf("the error tells a secret: %v", err)
			}
			switch {
			case tt.want != "":
				wantError(t, err, tt.want, tt.says)
			case err != nil:
				t.Error(err)
			}
			if got := n.sent(storageHost); len(got) > 0 {
				t.Errorf("the storage was sent the credentials %q", got)
			}
			if len(n.sent(registryHost)) == 0 {
				t.Error("the registry was sent no credentials: the test shows nothing")
			}
		})
	}
}

// blobOf are the bytes of the layer.
func blobOf(n *named) []byte {
	w := httptest.NewRecorder()
	n.real.real.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, layerPath(n.whole), nil))
	return w.Body.Bytes()
}

// tokens is a stub of a token service whose tokens end after some requests.
type tokens struct {
	mu     sync.Mutex
	uses   int // of each token
	left   int
	issued int
	bare   bool // what is refused is not told where tokens are
	broken bool // no token opens anything
}

func (k *tokens) register(n *named) {
	n.handler[tokenHost] = func(w http.ResponseWriter, r *http.Request) {
		if user, _, ok := r.BasicAuth(); !ok || user != "robot" {
			n.t.Errorf("the token service was sent the credentials %q", r.Header.Get("Authorization"))
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.issued++
		k.left = k.uses
		fmt.Fprintf(w, `{"token":"t%d"}`, k.issued)
	}
	n.handler[registryHost] = func(w http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		opens := r.Header.Get("Authorization") == fmt.Sprintf("Bearer t%d", k.issued) && k.left > 0 && !k.broken
		if opens {
			k.left--
		}
		k.mu.Unlock()
		if opens {
			n.real.real.ServeHTTP(w, r)
			return
		}
		if !k.bare || r.URL.Path == "/v2/" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://`+tokenHost+`/token",service="x"`)
		}
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// A token that ends in the middle of a pull is replaced, whether the registry says
// where there are others or not; one that opens nothing is not asked for without end.
func TestFetchReplacesTokens(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tokens *tokens
		issued int
		denied bool
	}{
		{"a token for everything", &tokens{uses: 100}, 1, false},
		{"a token that ends, and where there are others", &tokens{uses: 1}, 3, false},
		{"a token that ends, without a word", &tokens{uses: 1, bare: true}, 3, false},
		{"a token that opens nothing", &tokens{broken: true}, 2, true},
		{"a token that opens nothing, without a word", &tokens{broken: true, bare: true}, 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNamed(t)
			tt.tokens.register(n)
			err := n.pull(true)
			if tt.denied {
				wantError(t, err, oci.ReasonDenied, "401")
			} else if err != nil {
				t.Error(err)
			}
			if tt.tokens.issued != tt.issued {
				t.Errorf("%d tokens were issued, want %d", tt.tokens.issued, tt.issued)
			}
			for _, c := range n.sent(registryHost) {
				if strings.HasPrefix(c, "Basic") {
					t.Error("the registry was sent the password")
				}
			}
		})
	}
}

// Authorities of the directory hold for the registry, for where it keeps blobs, and
// for where its tokens come from; without them none is spoken to.
func TestFetchTrustsAuthoritiesEverywhere(t *testing.T) {
	n := newNamed(t)
	(&tokens{uses: 100}).register(n)
	if err := n.pull(true); err != nil {
		t.Error(err)
	}
	if len(n.sent(tokenHost)) == 0 {
		t.Error("the token service was not asked: the test shows nothing")
	}
	before := len(n.seen)
	wantError(t, n.pull(false), oci.ReasonRefused, "ending in .crt")
	if len(n.seen) != before {
		t.Error("a host was spoken to whose authority is not trusted")
	}
}

// Whoever limits requests is waited for: the registry, the storage that it leads
// to, and the token service.
func TestFetchIsPatientWithEverybody(t *testing.T) {
	for _, limits := range []string{registryHost, storageHost, tokenHost} {
		t.Run(limits, func(t *testing.T) {
			n := newNamed(t)
			(&tokens{uses: 100}).register(n)
			opens := n.handler[registryHost]
			n.handler[registryHost] = func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, n.whole.layer.String()) {
					redirect(w, "https://"+storageHost+r.URL.Path)
					return
				}
				opens(w, r)
			}
			answers, asked := n.handler[limits], 0
			if answers == nil {
				answers = n.real.real.ServeHTTP
			}
			n.handler[limits] = func(w http.ResponseWriter, r *http.Request) {
				if asked++; asked%2 == 1 {
					limited(http.StatusTooManyRequests, "0")(w, r)
					return
				}
				answers(w, r)
			}
			if err := n.pull(true); err != nil || asked < 2 {
				t.Errorf("asked %d times: %v", asked, err)
			}
		})
	}
}

// What does not pass is not asked for again: a certificate that is not trusted, and
// plain HTTP where TLS is wanted.
func TestFetchAsksOnceForWhatLasts(t *testing.T) {
	n := newNamed(t)
	slow := fetch.Patience{Pause: 5 * time.Second}
	untrusted, plain := setting{options: n.options(false)}, setting{strict: true}
	untrusted.options.Patience, plain.options.Patience = slow, slow
	begin := time.Now()
	_, _, err := pullFrom(t, registryHost, n.whole.manifest, untrusted)
	wantError(t, err, oci.ReasonRefused, "ending in .crt")
	_, _, err = n.real.pull(t, n.whole.manifest, plain)
	wantError(t, err, oci.ReasonRefused, "revet-registries")
	if took := time.Since(begin); took > slow.Pause {
		t.Errorf("it took %s", took)
	}
}

// Whatever a registry calls a manifest, its fields decide.
func TestFetchBelievesNoContentType(t *testing.T) {
	for _, contentType := range []string{
		"application/vnd.oci.image.manifest.v1+json; charset=utf-8", "application/json", "text/plain", "text/html", "",
		"application/vnd.oci.image.index.v1+json",
	} {
		t.Run(contentType, func(t *testing.T) {
			s := newServer(t)
			w := pushWhole(t, s)
			s.lieAbout(w.manifest, func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header()["Content-Type"] = []string{contentType}
				_, _ = rw.Write(w.manifestBytes)
			})
			if tree, _, err := s.pull(t, w.manifest, setting{}); err != nil || len(tree.Images) != 1 {
				t.Errorf("images %d, %v", len(tree.Images), err)
			}
		})
	}
}
