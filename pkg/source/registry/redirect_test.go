package registry

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
)

// internet is the hosts that a client can reach, by name, without any network.
type internet map[string]http.HandlerFunc

func (i internet) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, ok := i[r.URL.Scheme+"://"+r.URL.Host]
	if !ok {
		return nil, errors.New("no such host: " + r.URL.String())
	}
	w := httptest.NewRecorder()
	answer(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

type basicAuth struct{}

func (basicAuth) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "u", Password: "p"}, nil
}

// Registries keep blobs in the storage of a cloud. Revet follows them there without
// credentials, and nowhere else.
func TestBlobsMayBeRedirected(t *testing.T) {
	const blob = `{"architecture":"amd64"}`
	d := image.DigestOf([]byte(blob))
	var at int
	storage := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusTeapot) // it got the registry's credentials
			return
		}
		at++
		_, _ = w.Write([]byte(blob))
	}
	to := func(target string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target, http.StatusTemporaryRedirect)
		}
	}
	for _, test := range []struct {
		name     string
		target   string
		internet internet
		want     source.Reason
		reached  bool
	}{
		{"to public storage", "https://storage.example.com/x?signature=secret", internet{"https://storage.example.com": storage}, "", true},
		{"over several hosts", "https://a.example.com/x", internet{"https://a.example.com": to("https://b.example.com/y"), "https://b.example.com": storage}, "", true},
		{"to a listed host, whatever its address", "https://10.0.0.1/x", internet{"https://10.0.0.1": storage}, "", true},
		{"to a subdomain of the registry", "https://cdn.registry.example.com/x", internet{"https://cdn.registry.example.com": storage}, "", true},
		{"by plain HTTP", "http://storage.example.com/x", internet{"http://storage.example.com": storage}, source.NotAllowed, false},
		{"to a private address", "https://10.0.0.2/x", internet{"https://10.0.0.2": storage}, source.NotAllowed, false},
		{"to the metadata service", "https://169.254.169.254/x", internet{"https://169.254.169.254": storage}, source.NotAllowed, false},
		{"to this machine", "https://localhost/x", internet{"https://localhost": storage}, source.NotAllowed, false},
		{"from storage to a private address", "https://a.example.com/x", internet{"https://a.example.com": to("https://192.168.0.1/x"), "https://192.168.0.1": storage}, source.NotAllowed, false},
		{"in circles", "https://a.example.com/x", internet{"https://a.example.com": to("https://a.example.com/x")}, source.Unreadable, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			at = 0
			test.internet["https://registry.example.com"] = func(w http.ResponseWriter, r *http.Request) {
				if _, _, ok := r.BasicAuth(); !ok {
					w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				if r.URL.Path != "/v2/" {
					to(test.target)(w, r)
				}
			}
			raw, err := readBlob(t, test.internet, d)
			if got := reason(err); got != test.want || (test.want == "" && (err != nil || string(raw) != blob)) {
				t.Errorf("%q, %q (%v); want %q", raw, got, err, test.want)
			}
			if reached := at > 0; reached != test.reached {
				t.Errorf("the storage was reached: %t, want %t", reached, test.reached)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows the signature: %v", err)
			}
		})
	}
}

func readBlob(t *testing.T, i internet, d image.Digest) ([]byte, error) {
	t.Helper()
	listed := map[string]bool{"registry.example.com": true, "10.0.0.1": true}
	c := New(func(host, _ string) (bool, bool) { return false, listed[host] })
	c.transport = i
	repo, err := image.ParseRepository("registry.example.com/shop/web")
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.reader(t.Context(), repo, Credentials{Namespace: "shop", Keychain: basicAuth{}})
	if err != nil {
		t.Fatal(err)
	}
	return r.read(t.Context(), d, 1<<10)
}

// A manifest, a list and a token come from the hosts that the operator lists, or not at all.
func TestOnlyBlobsMayBeRedirected(t *testing.T) {
	reached := false
	i := internet{
		"https://registry.example.com": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				http.Redirect(w, r, "https://elsewhere.example.com"+r.URL.Path, http.StatusTemporaryRedirect)
			}
		},
		"https://elsewhere.example.com": func(http.ResponseWriter, *http.Request) { reached = true },
	}
	c := New(func(host, _ string) (bool, bool) { return false, host == "registry.example.com" })
	c.transport = i
	repo, err := image.ParseRepository("registry.example.com/shop/web")
	if err != nil {
		t.Fatal(err)
	}
	as := Credentials{Namespace: "shop"}
	_, head := c.Head(t.Context(), repo, "v1", as)
	_, content := c.Content(t.Context(), repo.At(image.DigestOf(nil)), as)
	tags := c.Tags(t.Context(), repo, as, func(string) {})
	for what, err := range map[string]error{"head": head, "content": content, "tags": tags} {
		if source.ReasonOf(err) != source.NotAllowed {
			t.Errorf("%s: %v, want NotAllowed", what, err)
		}
	}
	if reached {
		t.Error("a host that is not listed was reached")
	}
}

// A name can resolve to an address inside of the cluster.
func TestRedirectsConnectToPublicAddressesOnly(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	t.Cleanup(s.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := newTransports(nil).RoundTrip(public(r))
	if err == nil {
		_ = resp.Body.Close()
	}
	if reason(err) != source.NotAllowed || !strings.Contains(err.Error(), netip.MustParseAddr("127.0.0.1").String()) {
		t.Errorf("%v, want a refusal of 127.0.0.1", err)
	}
}

// A blob whose digest differs is an error, and so is one that is cut.
func TestBlobsAreRecomputed(t *testing.T) {
	whole := []byte(`{"architecture":"amd64"}`)
	for name, body := range map[string][]byte{"other content": []byte("x"), "cut": whole[:5], "nothing": nil} {
		i := internet{"https://registry.example.com": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				_, _ = w.Write(body)
				return
			}
			w.WriteHeader(map[bool]int{true: 200, false: 401}[r.Header.Get("Authorization") != ""])
		}}
		if raw, err := readBlob(t, i, image.DigestOf(whole)); err == nil {
			t.Errorf("%s: read %q without an error", name, raw)
		}
	}
}

// A list above a bound is an error, and never a shorter list.
func TestListsAreBounded(t *testing.T) {
	page := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		next := r.URL.Query().Get("p") + "x"
		w.Header().Set("Link", "<?p="+next+`>; rel="next"`)
		_, _ = io.WriteString(w, `{"name":"shop/web","tags":["v`+next+`"]}`)
	}
	for name, bounds := range map[string]listBounds{
		"pages": {pages: 10, names: 1 << 20, bytes: 1 << 20, time: time.Minute},
		"names": {pages: 1 << 20, names: 10, bytes: 1 << 20, time: time.Minute},
		"bytes": {pages: 1 << 20, names: 1 << 20, bytes: 400, time: time.Minute},
		"time":  {pages: 1 << 20, names: 1 << 20, bytes: 1 << 20, time: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			c := New(func(string, string) (bool, bool) { return false, true })
			c.transport, c.lists = internet{"https://registry.example.com": page}, bounds
			repo, err := image.ParseRepository("registry.example.com/shop/web")
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			err = c.Tags(t.Context(), repo, Credentials{}, func(string) { n++ })
			if !errors.Is(err, source.ErrIncomplete) || n == 0 {
				t.Errorf("%d tags, %v; want an incomplete list", n, err)
			}
			if want := source.Unreadable; name != "time" && source.ReasonOf(err) != want {
				t.Errorf("reason %q, want %q", source.ReasonOf(err), want)
			}
		})
	}
}

// What the registry makes up must not take memory for ever.
func TestHostsAreForgotten(t *testing.T) {
	clock := newClock()
	r, p := newRests(), newPace(1)
	r.now, p.now, p.sleep = clock.now, clock.now, clock.sleep
	for range 2 * maxHosts {
		host := strings.Repeat("a", len(r.until)%7) + clock.now().String()
		r.begin(host, time.Second)
		if err := p.wait(t.Context(), host); err != nil {
			t.Fatal(err)
		}
		clock.at = clock.at.Add(time.Millisecond)
	}
	if len(r.until) > maxHosts || len(p.next) > maxHosts {
		t.Errorf("%d and %d hosts are kept, want at most %d", len(r.until), len(p.next), maxHosts)
	}
}

// A sweep of thousands of tags shakes hands once.
func TestHandshakesAreKept(t *testing.T) {
	pings := 0
	c := New(func(string, string) (bool, bool) { return false, true })
	c.transport = internet{"https://registry.example.com": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			pings++
			return
		}
		w.Header().Set(digestHeader, image.DigestOf(nil).String())
	}}
	repo, err := image.ParseRepository("registry.example.com/shop/web")
	if err != nil {
		t.Fatal(err)
	}
	as := Credentials{Namespace: "shop", sessions: &sessions{}}
	for range 3 {
		if _, err := c.Head(t.Context(), repo, "v1", as); err != nil {
			t.Fatal(err)
		}
	}
	if pings != 1 {
		t.Errorf("%d handshakes for three reads, want 1", pings)
	}
}
