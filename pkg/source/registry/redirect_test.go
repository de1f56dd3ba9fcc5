package registry

import (
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
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
		return nil, errors.New("no such host: " + r.URL.Host)
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

// sent is a transport that notes the request.
type sent struct{ request *http.Request }

func (s *sent) RoundTrip(r *http.Request) (*http.Response, error) {
	s.request = r
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// Storage gets no credentials, whoever put them into the request, and its name must not
// resolve to a private address.
func TestStorageIsPublicAndGetsNoCredentials(t *testing.T) {
	ask := func(address string, before *http.Request) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Basic secret")
		if before != nil {
			r.Response = &http.Response{Request: before}
		}
		return r
	}
	to := &sent{}
	g := &guard{next: to, policy: func(host, _ string) (bool, bool) { return false, host == "registry.example.com" }}
	first := ask("https://registry.example.com/v2/shop/web/blobs/"+image.DigestOf(nil).String(), nil)
	for _, r := range []*http.Request{first, ask("https://storage.example.com/x", first)} {
		resp, err := g.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		listed := r == first
		if got := to.request.Header.Get("Authorization") != ""; got != listed || onlyPublic(to.request) == listed {
			t.Errorf("%s: credentials %t, public addresses only %t", r.URL, got, onlyPublic(to.request))
		}
		if r.Header.Get("Authorization") == "" {
			t.Errorf("%s: the caller's request was changed", r.URL)
		}
	}
}

// The query of a storage's address is a credential: it is in no error, whatever fails.
func TestErrorsShowNoSignature(t *testing.T) {
	const target = "https://storage.example.com/x?X-Amz-Signature=secret"
	redirect := func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path != "/v2/" {
			http.Redirect(w, r, target, http.StatusTemporaryRedirect)
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, storage := range map[string]internet{
		"it cannot be reached":     {},
		"it denies":                {"https://storage.example.com": status(403)},
		"it has nothing":           {"https://storage.example.com": status(404)},
		"it fails":                 {"https://storage.example.com": status(500)},
		"it asks for no more":      {"https://storage.example.com": status(429)},
		"it leads to plain HTTP":   {"https://storage.example.com": redirectTo("http://b.example.com/?sig=secret")},
		"it leads to what is away": {"https://storage.example.com": redirectTo("https://b.example.com/?sig=secret")},
		"it leads into circles":    {"https://storage.example.com": redirectTo(target)},
		"it leads nowhere":         {"https://storage.example.com": redirectTo("https://%zz/?sig=secret")},
	} {
		t.Run(name, func(t *testing.T) {
			storage["https://registry.example.com"] = redirect
			_, err := readBlob(t, storage, image.DigestOf(nil))
			if err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v; want one without the signature", err)
			}
		})
	}
}

func redirectTo(target string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", target)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// A host is asked by the scheme that the operator lists, though its address looks local.
func TestAHostThatLooksLocalIsAskedByHTTPS(t *testing.T) {
	for _, host := range []string{"10.0.0.1", "127.0.0.1:5000", "registry.localhost"} {
		c := New(func(string, string) (bool, bool) { return false, true })
		c.transport = internet{"https://" + host: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				w.WriteHeader(http.StatusNotFound) // and no word of the registry's
			}
		}}
		repo, err := image.ParseRepository(host + "/shop/web")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Head(t.Context(), repo, "v1", Credentials{}); source.ReasonOf(err) != source.NotFound {
			t.Errorf("%s: %v, want NotFound", host, err)
		}
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
	large := []byte(strings.Repeat(" ", 1<<10+1))
	i := internet{"https://registry.example.com": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			_, _ = w.Write(large)
		}
	}}
	if raw, err := readBlob(t, i, image.DigestOf(large)); reason(err) != source.Unreadable {
		t.Errorf("a blob above the limit: %d bytes, %v; want Unreadable", len(raw), err)
	}
}

// A list above a bound is an error that says which one, and never a shorter list.
func TestListsAreBounded(t *testing.T) {
	// pages serves one name a page, each linked from the one before.
	pages := func(name, link func(p string) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			next := r.URL.Query().Get("p") + "x"
			w.Header().Set("Link", "<?p="+link(next)+`>; rel="next"`)
			_, _ = io.WriteString(w, `{"name":"shop/web","tags":["v`+name(next)+`"]}`)
		}
	}
	same, one := func(p string) string { return p }, func(string) string { return "1" }
	wide := listBounds{pages: 1 << 20, names: 1 << 20, bytes: 1 << 20, time: 2 * time.Second}
	for name, test := range map[string]struct {
		narrow func(*listBounds)
		pages  http.HandlerFunc
		tags   int
		want   string
		reason source.Reason
	}{
		"pages":       {func(b *listBounds) { b.pages = 10 }, pages(same, same), 10, "more than 10 pages", source.Unreadable},
		"names":       {func(b *listBounds) { b.names = 10 }, pages(same, same), 10, "more than 10 names", source.Unreadable},
		"bytes":       {func(b *listBounds) { b.bytes = 80 }, pages(one, same), 1, "larger than 80 bytes", source.Unreadable},
		"time":        {func(b *listBounds) { b.time = 0 }, pages(same, same), 0, "longer than 0s", ""},
		"nothing new": {func(*listBounds) {}, pages(one, same), 1, "10 pages in a row bring nothing new", source.Unreadable},
		"in circles":  {func(*listBounds) {}, pages(same, one), 2, "comes up again", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := New(func(string, string) (bool, bool) { return false, true })
			c.transport, c.lists = internet{"https://registry.example.com": test.pages}, wide
			test.narrow(&c.lists)
			repo, err := image.ParseRepository("registry.example.com/shop/web")
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			err = c.Tags(t.Context(), repo, Credentials{}, func(string) { n++ })
			if !errors.Is(err, source.ErrIncomplete) || n != test.tags || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d tags, %v; want %d, an incomplete list and %q", n, err, test.tags, test.want)
			}
			if source.ReasonOf(err) != test.reason {
				t.Errorf("reason %q, want %q", source.ReasonOf(err), test.reason)
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
		host := strings.Repeat("a", len(r.scopes["team"])%7) + clock.now().String()
		r.begin("team", host, time.Second)
		if err := p.wait(t.Context(), host); err != nil {
			t.Fatal(err)
		}
		clock.at = clock.at.Add(time.Millisecond)
	}
	if len(r.scopes["team"]) > maxHosts || len(p.next) > maxHosts {
		t.Errorf("%d and %d hosts are kept, want at most %d", len(r.scopes["team"]), len(p.next), maxHosts)
	}
	r.begin("victim", "registry.example.com", time.Hour)
	for n := range 2 * maxHosts { // none of which may be asked yet
		r.begin("team", strconv.Itoa(n), time.Hour)
		r.begin("accomplice", strconv.Itoa(n), time.Minute)
		clock.at = clock.at.Add(time.Millisecond)
	}
	if len(r.scopes["team"]) > maxHosts {
		t.Errorf("%d hosts that asked for an hour are kept, want at most %d", len(r.scopes["team"]), maxHosts)
	}
	if r.until("victim", "registry.example.com").Before(clock.now().Add(50 * time.Minute)) {
		t.Error("what a registry asked of another namespace is forgotten")
	}
	clock.at = clock.at.Add(time.Hour)
	for n := range maxScopes + 10 {
		r.begin(strconv.Itoa(n), "registry.example.com", time.Second)
		clock.at = clock.at.Add(time.Second)
	}
	for n := range 2 * maxHosts {
		r.begin("team", strconv.Itoa(n), time.Second)
		r.begin("accomplice", strconv.Itoa(n), time.Second)
		clock.at = clock.at.Add(2 * time.Second)
	}
	if len(r.scopes) > maxScopes || len(r.shared) > maxHosts {
		t.Errorf("%d scopes and %d shared rests are kept, want at most %d and %d", len(r.scopes), len(r.shared), maxScopes, maxHosts)
	}
}

// Neither do sessions, nor connections for authorities that the operator replaced.
func TestSessionsAndConnectionsAreForgotten(t *testing.T) {
	s, c := &sessions{}, newTransports(nil)
	for n := range 2*maxSessions + 1 {
		s.put(sessionKey{target: strconv.Itoa(n)}, &session{path: "/v2/x"})
		if len(s.kept) > maxSessions {
			t.Fatalf("%d sessions are kept, want at most %d", len(s.kept), maxSessions)
		}
	}
	if latest := s.get(sessionKey{target: strconv.Itoa(2 * maxSessions)}); latest == nil || latest.path != "/v2/x" {
		t.Errorf("the latest session is %+v", latest)
	}
	for range 2 * maxTransports {
		c.to(pool{roots: x509.NewCertPool()})
	}
	if len(c.kept) > maxTransports {
		t.Errorf("%d pools of connections are kept, want at most %d", len(c.kept), maxTransports)
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
