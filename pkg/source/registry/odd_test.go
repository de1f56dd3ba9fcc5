package registry_test

import (
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/registry"
	"github.com/revet-dev/revet/pkg/source/registry/registrytest"
)

// odd returns the host of a registry that can be made odd.
func odd(t *testing.T) (*registrytest.Odd, string) {
	t.Helper()
	var o *registrytest.Odd
	host := server(t, func(next http.Handler) http.Handler {
		o = registrytest.New(next, registrytest.Oddities{})
		return o
	})
	return o, host
}

func testIndex(t *testing.T, img v1.Image) v1.ImageIndex {
	t.Helper()
	return mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}})
}

var (
	sha512Digest = "sha512:" + strings.Repeat("0", 128)
	noSuchDigest = "sha256:" + strings.Repeat("0", 64)
)

// A push is not lost because the registry serves HEAD, headers or types in its own way.
func TestTagsOfOddRegistriesAreRead(t *testing.T) {
	o, host := odd(t)
	single, old := testImage(t), testImage(t)
	index := testIndex(t, single)
	push(t, host+"/shop/web:old", old)
	push(t, host+"/shop/web:v1", index)
	repo, want := repository(t, host+"/shop/web"), digestOf(t, index)
	oldDigest := digestOf(t, old)
	for _, test := range []struct {
		name     string
		oddities registrytest.Oddities
		// head is what Head believes, if that is not right.
		head image.Digest
	}{
		{name: "none"},
		{name: "no HEAD: 404", oddities: registrytest.Oddities{Head: 404}},
		{name: "no HEAD: 405", oddities: registrytest.Oddities{Head: 405}},
		{name: "no HEAD: 400", oddities: registrytest.Oddities{Head: 400}},
		{name: "no HEAD: 403", oddities: registrytest.Oddities{Head: 403}},
		{name: "no HEAD: 500", oddities: registrytest.Oddities{Head: 500}},
		{name: "no HEAD: 501", oddities: registrytest.Oddities{Head: 501}},
		{name: "no HEAD: 502", oddities: registrytest.Oddities{Head: 502}},
		{name: "no HEAD: 204", oddities: registrytest.Oddities{Head: 204}},
		{name: "no digest", oddities: registrytest.Oddities{NoDigest: true}},
		{name: "no digest, no type", oddities: registrytest.Oddities{NoDigest: true, Type: "none"}},
		{name: "a digest of another algorithm", oddities: registrytest.Oddities{Digest: sha512Digest}},
		{name: "a digest that is none", oddities: registrytest.Oddities{Digest: "latest"}},
		{name: "a quoted digest", oddities: registrytest.Oddities{Digest: `"` + want.String() + `"`}},
		{name: "a digest that the registry does not have", oddities: registrytest.Oddities{Digest: noSuchDigest}, head: parse(t, noSuchDigest)},
		{name: "an index as one with a charset", oddities: registrytest.Oddities{Type: "application/vnd.oci.image.index.v1+json; charset=utf-8"}},
		{name: "an index as JSON", oddities: registrytest.Oddities{Type: "application/json"}},
		{name: "an index as text", oddities: registrytest.Oddities{Type: "text/plain"}},
		{name: "an index as an image", oddities: registrytest.Oddities{Type: ociManifest}},
		{name: "an index as schema 1", oddities: registrytest.Oddities{Type: "application/vnd.docker.distribution.manifest.v1+prettyjws"}},
		{name: "an index as a type that is none", oddities: registrytest.Oddities{Type: ";;"}},
		{name: "an index of no type", oddities: registrytest.Oddities{Type: "none"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o.Set(test.oddities)
			if test.head.IsZero() {
				test.head = want
			}
			c := registry.New(plain(host))
			head, err := c.Head(t.Context(), repo, "v1", shop)
			if err != nil || head != test.head {
				t.Fatalf("head: %v, %v; want %v", head, err, test.head)
			}
			got, err := c.Tagged(t.Context(), repo, "v1", head, shop)
			if err != nil || got != want {
				t.Errorf("tagged: %v, %v; want %v", got, err, want)
			}
			content, err := c.Content(t.Context(), repo.At(want), shop)
			if err != nil || content.Kind != image.ContentIndex || !content.Runnable() {
				t.Errorf("content: %+v, %v; want the index", content, err)
			}
			facts, err := c.Facts(t.Context(), repo.At(want), shop, nil)
			if err != nil || !slices.Equal(facts.Image.Platforms, []string{"linux/arm64"}) {
				t.Errorf("facts %+v, %v", facts, err)
			}
			if _, err := c.Head(t.Context(), repo, "gone", shop); kindOf(err) != string(source.NotFound) {
				t.Errorf("a tag that is not there: %v", err)
			}
		})
	}
	o.Set(registrytest.Oddities{Digest: oldDigest.String()})
	got, err := registry.New(plain(host)).Tagged(t.Context(), repo, "v1", oldDigest, shop)
	if err != nil || got != want {
		t.Errorf("a HEAD that lags behind: %v, %v; want %v", got, err, want)
	}
}

func parse(t *testing.T, s string) image.Digest {
	t.Helper()
	d, err := image.ParseDigest(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What is no answer of a registry proves nothing: neither that a tag is gone nor what it
// points to.
func TestAnswersThatProveNothing(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request)
		want   string
	}{
		{"a proxy whose registry is away answers 404 to everything", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "default backend - 404", http.StatusNotFound)
		}, passing},
		{"a registry that answers 404 without its own error", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				w.WriteHeader(http.StatusNotFound)
			}
		}, string(source.NotFound)},
		{"a registry behind credentials that answers 404 without its own error", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(map[bool]int{true: 401, false: 404}[r.URL.Path == "/v2/"])
		}, string(source.NotFound)},
		{"a registry without /v2/ that answers 404 with its own error", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`, http.StatusNotFound)
		}, string(source.NotFound)},
		{"HEAD fails with 500", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}, passing},
		{"HEAD fails with 502", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusBadGateway)
			}
		}, passing},
		{"a page for people", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<html>Log in</html>"))
		}, passing},
		{"a manifest that was cut where its length is not known", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"schemaVersion":2,"config":{"digest":"sha`))
		}, passing},
		{"nothing at all", func(http.ResponseWriter, *http.Request) {}, passing},
		{"more than a manifest has", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				_, _ = w.Write(make([]byte, 4<<20+1))
			}
		}, string(source.Unreadable)},
	} {
		t.Run(test.name, func(t *testing.T) {
			host := server(t, func(http.Handler) http.Handler { return http.HandlerFunc(test.answer) })
			d, err := registry.New(plain(host)).Head(t.Context(), repository(t, host+"/shop/web"), "v1", shop)
			if got := kindOf(err); got != test.want || !d.IsZero() {
				t.Errorf("%v, %q (%v); want %q", d, got, err, test.want)
			}
		})
	}
}

// A manifest that is too large to read is still a push: whoever runs it finds out what it is.
func TestTheDigestOfWhatIsTooLargeIsTheClaimedOne(t *testing.T) {
	host := server(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				_, _ = w.Write(make([]byte, 4<<20+1))
			}
		})
	})
	claimed := parse(t, noSuchDigest)
	d, err := registry.New(plain(host)).Tagged(t.Context(), repository(t, host+"/shop/web"), "v1", claimed, shop)
	if err != nil || d != claimed {
		t.Errorf("%v, %v; want %v", d, err, claimed)
	}
}

// Revet verifies sha256 digests. A tag that can only be pulled by another one is refused
// with a reason, and never passed over.
func TestDigestsOfOtherAlgorithms(t *testing.T) {
	raw := []byte(`{"schemaVersion":2,"mediaType":"` + ociManifest + `","config":{"mediaType":"` + ociConfig + `","digest":"` + noSuchDigest + `","size":2},"layers":[]}`)
	want := image.DigestOf(raw)
	claimed := fmt.Sprintf("sha512:%x", sha512.Sum512(raw))
	for _, test := range []struct {
		name     string
		bySHA256 int
		want     string
	}{
		{"the registry has it under sha256 too", 200, ""},
		{"the registry does not", 404, string(source.DigestUnsupported)},
		{"the registry does not know such digests", 400, string(source.DigestUnsupported)},
		{"the registry is ill", 500, passing},
	} {
		t.Run(test.name, func(t *testing.T) {
			host := server(t, func(http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Docker-Content-Digest", claimed)
					if strings.HasSuffix(r.URL.Path, want.String()) {
						w.WriteHeader(test.bySHA256)
					}
					_, _ = w.Write(raw)
				})
			})
			c, repo := registry.New(plain(host)), repository(t, host+"/shop/web")
			head, err := c.Head(t.Context(), repo, "v1", shop)
			if got := kindOf(err); got != test.want || (err == nil && head != want) {
				t.Errorf("head: %v, %q (%v); want %q", head, got, err, test.want)
			}
			tagged, err := c.Tagged(t.Context(), repo, "v1", image.Digest{}, shop)
			if got := kindOf(err); got != test.want || (err == nil && tagged != want) {
				t.Errorf("tagged: %v, %q (%v); want %q", tagged, got, err, test.want)
			}
		})
	}
}

// listed returns the tags that a client lists, in order.
func listed(t *testing.T, c *registry.Client, r image.Repository) ([]string, error) {
	t.Helper()
	var tags []string
	err := c.Tags(t.Context(), r, shop, func(tag string) { tags = append(tags, tag) })
	slices.Sort(tags)
	return tags, err
}

// A list is whole or an error, however the registry pages.
func TestListsOfOddRegistries(t *testing.T) {
	o, host := odd(t)
	var all []string
	for i := range 120 {
		all = append(all, fmt.Sprintf("v%03d", i))
		fill(t, host, "shop/web:"+all[i])
	}
	for _, test := range []struct {
		name     string
		oddities registrytest.Oddities
		broken   bool
	}{
		{"short pages, relative links", registrytest.Oddities{Page: 7}, false},
		{"absolute links", registrytest.Oddities{Page: 7, Link: registrytest.Absolute}, false},
		{"links to the host behind a proxy", registrytest.Oddities{Page: 7, Link: registrytest.OtherHost}, false},
		{"links without <>", registrytest.Oddities{Page: 7, Link: registrytest.Bare}, false},
		{"links of a query only", registrytest.Oddities{Page: 7, Link: registrytest.ByQuery}, false},
		{"empty pages between", registrytest.Oddities{Page: 50, EmptyPages: 3}, false},
		{"pages of 50 without links", registrytest.Oddities{Page: 50, Link: registrytest.NoLink}, false},
		{"pages of 7 without links", registrytest.Oddities{Page: 7, Link: registrytest.NoLink}, false},
		{"pages of 60 without links, the last one full", registrytest.Oddities{Page: 60, Link: registrytest.NoLink}, false},
		{"a link to the same page", registrytest.Oddities{Page: 7, Link: registrytest.Circle}, true},
		{"empty pages without end", registrytest.Oddities{Page: 7, EmptyPages: 1 << 20}, true},
		{"a page that is cut", registrytest.Oddities{Page: 7, Cut: 4}, true},
		{"the first page is cut", registrytest.Oddities{Cut: 1}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			o.Set(test.oddities)
			tags, err := listed(t, registry.New(plain(host)), repository(t, host+"/shop/web"))
			if test.broken {
				if !errors.Is(err, source.ErrIncomplete) {
					t.Errorf("%d tags, %v; want an incomplete list", len(tags), err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(all, tags); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		})
	}
}

// pages is a list whose pages are written down, by the query that asks for them.
type pages map[string]struct {
	status int
	body   string
	link   string
}

func (p pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v2/" {
		return
	}
	page, ok := p[r.URL.RawQuery]
	if !ok {
		http.Error(w, "no such page: "+r.URL.RawQuery, http.StatusInternalServerError)
		return
	}
	if page.link != "" {
		w.Header().Set("Link", page.link)
	}
	if page.status != 0 {
		w.WriteHeader(page.status)
	}
	_, _ = w.Write([]byte(page.body))
}

func names(from, to int) string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf(`"t%05d"`, i))
	}
	return `{"name":"shop/web","tags":[` + strings.Join(all, ",") + `]}`
}

// Only the first page can say that a repository does not exist, and only a whole page is
// a page.
func TestPages(t *testing.T) {
	const first = "n=1000"
	for _, test := range []struct {
		name  string
		pages pages
		count int
		want  string // kind of the error
	}{
		{"30,000 tags in one page, whatever was asked for", pages{first: {body: names(0, 30000)}, "last=t29999&n=1000": {body: names(0, 30000)}}, 30000, ""},
		{"the second page is not there", pages{first: {body: names(0, 5), link: `</v2/shop/web/tags/list?p=2>; rel="next"`}, "p=2": {status: 404, body: `{"errors":[{"code":"NAME_UNKNOWN"}]}`}}, 5, passing},
		{"the second page is denied", pages{first: {body: names(0, 5), link: `<?p=2>`}, "p=2": {status: 403}}, 5, string(source.Denied)},
		{"the second page asks for patience", pages{first: {body: names(0, 5), link: `<?p=2>`}, "p=2": {status: 500}}, 5, passing},
		{"the second page is a page for people", pages{first: {body: names(0, 5), link: `<?p=2>`}, "p=2": {body: "<html>"}}, 5, passing},
		{"the second page says nothing", pages{first: {body: names(0, 5), link: `<?p=2>`}, "p=2": {body: `{}`}}, 5, passing},
		{"an error with status 200", pages{first: {body: `{"errors":[{"code":"UNKNOWN"}]}`}}, 0, passing},
		{"no tags, as null", pages{first: {body: `{"name":"shop/web","tags":null}`}}, 0, ""},
		{"no tags, left out", pages{first: {body: `{"name":"shop/web"}`}}, 0, ""},
		{"a link that is no address", pages{first: {body: names(0, 5), link: "<javascript:x>"}}, 0, passing},
		{"a link to a previous page only", pages{first: {body: names(0, 5), link: `<?p=0>; rel="prev"`}, "last=t00004&n=1000": {body: names(0, 0)}}, 5, ""},
		{"several links, the next one last", pages{first: {body: names(0, 5), link: `<?p=0,1>; rel=prev, <?p=2>; title="x"; rel="next"`}, "p=2": {body: names(5, 7)}, "last=t00006&n=1000": {body: names(0, 0)}}, 7, ""},
		{"a full page without a link, and last= is understood", pages{first: {body: names(0, 1000)}, "last=t00999&n=1000": {body: names(1000, 1001)}}, 1001, ""},
		{"a full page without a link, and nothing after it", pages{first: {body: names(0, 1000)}, "last=t00999&n=1000": {body: names(0, 0)}}, 1000, ""},
		{"a full page without a link, and last= is not understood", pages{first: {body: names(0, 1000)}, "last=t00999&n=1000": {body: names(0, 1000)}}, 1000, passing},
		{"a smaller page without a link, and last= is not understood", pages{first: {body: names(0, 999)}, "last=t00998&n=1000": {body: names(0, 999)}}, 999, ""},
		{"a smaller page without a link, and last= is refused", pages{first: {body: names(0, 60)}, "last=t00059&n=1000": {status: 400}}, 60, ""},
		{"a smaller page without a link, and last= is not there", pages{first: {body: names(0, 60)}, "last=t00059&n=1000": {status: 404}}, 60, ""},
		{"what comes after it is denied", pages{first: {body: names(0, 60)}, "last=t00059&n=1000": {status: 403}}, 60, string(source.Denied)},
		{"what comes after it needs a login", pages{first: {body: names(0, 60)}, "last=t00059&n=1000": {status: 401}}, 60, string(source.Denied)},
		{"what comes after it takes too long", pages{first: {body: names(0, 60)}, "last=t00059&n=1000": {status: 408}}, 60, passing},
		{"what comes after a page of two", pages{first: {body: names(0, 2)}, "last=t00001&n=1000": {body: names(2, 3)}}, 3, ""},
		{"a last page that shows what is known", pages{
			first: {body: names(0, 60), link: `<?p=2>`}, "p=2": {body: names(0, 60)},
		}, 60, ""},
		{"what comes after it is not known", pages{first: {body: names(0, 60)}, "last=t00059&n=1000": {status: 500}}, 60, passing},
		{"a page above the limit", pages{first: {body: strings.Repeat(" ", 8<<20) + names(0, 5)}}, 0, string(source.Unreadable)},
	} {
		t.Run(test.name, func(t *testing.T) {
			host := server(t, func(http.Handler) http.Handler { return test.pages })
			tags, err := listed(t, registry.New(plain(host)), repository(t, host+"/shop/web"))
			if got := kindOf(err); got != test.want || len(tags) != test.count {
				t.Errorf("%d tags, %q (%v); want %d, %q", len(tags), got, err, test.count, test.want)
			}
			if err != nil && !errors.Is(err, source.ErrIncomplete) {
				t.Errorf("the error does not say that the list is not complete: %v", err)
			}
		})
	}
}

// A registry with a certificate of a private authority, at an address that looks local.
func TestRegistriesWithPrivateAuthorities(t *testing.T) {
	var o *registrytest.Odd
	s := httptest.NewUnstartedServer(nil)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	plainHost := server(t, func(next http.Handler) http.Handler {
		o = registrytest.New(next, registrytest.Oddities{})
		s.Config.Handler = o
		return next
	})
	s.StartTLS()
	t.Cleanup(s.Close)
	for _, tag := range []string{"v1", "v2", "v3"} {
		fill(t, plainHost, "shop/web:"+tag)
	}
	host := strings.TrimPrefix(s.URL, "https://")
	secure := func(asked, _ string) (insecure, ok bool) { return false, asked == host }
	repo := repository(t, host+"/shop/web")

	_, err := listed(t, registry.New(secure), repo)
	cure := "kubectl create configmap registry-certificates -n revet-system --from-file=" + strings.ReplaceAll(host, ":", "..") + "=ca.crt"
	if kindOf(err) != string(source.Untrusted) || !strings.Contains(err.Error(), cure) || strings.Contains(err.Error(), "plain HTTP") {
		t.Errorf("without the authority: %v; want Untrusted and %q", err, cure)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	var pool *x509.CertPool
	c := registry.New(secure).Trusting(func(asked string) *x509.CertPool {
		if asked != host {
			t.Errorf("asked for the authorities of %q", asked)
		}
		return pool
	})
	if _, err = listed(t, c, repo); kindOf(err) != string(source.Untrusted) {
		t.Errorf("before the authority is added: %v", err)
	}
	pool = roots
	for _, link := range []registrytest.Link{registrytest.Relative, registrytest.Absolute, registrytest.OtherHost} {
		o.Set(registrytest.Oddities{Page: 1, Link: link})
		tags, err := listed(t, c, repo)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"v1", "v2", "v3"}, tags); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
	}
}
