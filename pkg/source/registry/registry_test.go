package registry_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	fakeregistry "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/registry"
)

// server is a registry behind a handler that may get in the way.
func server(t *testing.T, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	h := fakeregistry.New(fakeregistry.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		h = wrap(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func repository(t *testing.T, s string) image.Repository {
	t.Helper()
	r, err := image.ParseRepository(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func digest(t *testing.T, h v1.Hash) image.Digest {
	t.Helper()
	d, err := image.ParseDigest(h.String())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

type digester interface{ Digest() (v1.Hash, error) }

func digestOf(t *testing.T, i digester) image.Digest {
	t.Helper()
	h, err := i.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest(t, h)
}

// plain allows plain HTTP to the hosts.
func plain(hosts ...string) registry.Policy {
	return func(host, namespace string) (bool, bool) {
		for _, h := range hosts {
			if h == host && namespace == "shop" {
				return true, true
			}
		}
		return false, false
	}
}

var shop = registry.Credentials{Namespace: "shop"}

const revisionName = "org.opencontainers.image.revision"

func testImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(100, 2)
	if err != nil {
		t.Fatal(err)
	}
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{
		OS: "linux", Architecture: "arm64", Variant: "v8",
		Created: v1.Time{Time: time.Date(2026, 11, 20, 1, 2, 3, 4, time.UTC)},
		Config:  v1.Config{Cmd: []string{"/app"}, Labels: map[string]string{"tier": "prod", "other": "x", "org.opencontainers.image.base.name": "base:1", revisionName: "0abc"}},
		RootFS:  rootFS(t, img),
	})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func rootFS(t *testing.T, img v1.Image) v1.RootFS {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return c.RootFS
}

func push(t *testing.T, ref string, what remote.Taggable) {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Push(r, what); err != nil {
		t.Fatal(err)
	}
}

func TestReadsOfAnImage(t *testing.T) {
	host := server(t, nil)
	img := testImage(t)
	push(t, host+"/shop/web:prod", img)
	repo := repository(t, host+"/shop/web")
	c := registry.New(plain(host))
	want := digestOf(t, img)
	if got, err := c.Head(t.Context(), repo, "prod", shop); err != nil || got != want {
		t.Errorf("Head = %s, %v; want %s", got, err, want)
	}
	content, err := c.Content(t.Context(), repo.At(want), shop)
	if err != nil || !content.Runnable() {
		t.Errorf("Content = %+v, %v; want something that runs", content, err)
	}
	got, err := c.Facts(t.Context(), repo.At(want), shop, []string{"tier", "absent"})
	if err != nil {
		t.Fatal(err)
	}
	size := got.Image.Size
	created := metav1.NewTime(time.Date(2026, 11, 20, 1, 2, 3, 0, time.UTC))
	wantFacts := v1alpha1.ImageFacts{
		MediaType: string(types.DockerManifestSchema2), Platforms: []string{"linux/arm64/v8"}, Labels: map[string]string{"tier": "prod"},
		Layers: 2, Size: size, Created: &created, Base: "base:1", ClaimedRevision: "0abc", Source: "Registry",
	}
	if diff := cmp.Diff(wantFacts, got.Image); diff != "" || size == 0 {
		t.Errorf("facts of size %d (-want +got):\n%s", size, diff)
	}
	if got.Children != nil || got.Missing != nil {
		t.Errorf("a single image has children %v, missing %v", got.Children, got.Missing)
	}
}

func TestReadsOfAnIndex(t *testing.T) {
	img := testImage(t)
	attestation := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.in-toto+json")
	gone := testImage(t)
	var index v1.ImageIndex = empty.Index
	for _, child := range []struct {
		img v1.Image
		p   *v1.Platform
	}{{img, &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}}, {attestation, &v1.Platform{OS: "unknown", Architecture: "unknown"}}, {gone, nil}, {img, nil}} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: child.img, Descriptor: v1.Descriptor{Platform: child.p}})
	}
	missing := digestOf(t, gone).String()
	host := server(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, missing) {
				http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`, http.StatusNotFound)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	push(t, host+"/shop/web:multi", index)
	repo := repository(t, host+"/shop/web")
	got, err := registry.New(plain(host)).Facts(t.Context(), repo.At(digestOf(t, index)), shop, []string{"tier"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"linux/arm64/v8"}, got.Image.Platforms); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	if got.Image.Layers != 2 || got.Image.Labels["tier"] != "prod" || got.Image.ClaimedRevision != "0abc" || got.Image.MediaType != string(types.OCIImageIndex) {
		t.Errorf("facts = %+v", got.Image)
	}
	children := []string{digestOf(t, img).String(), digestOf(t, attestation).String(), missing}
	if diff := cmp.Diff(children, texts(got.Children)); diff != "" {
		t.Errorf("children, each once (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{missing}, texts(got.Missing)); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if !got.Content.Runnable() {
		t.Error("an index with an image cannot run")
	}
}

func texts(ds []image.Digest) []string {
	var s []string
	for _, d := range ds {
		s = append(s, d.String())
	}
	return s
}

// A host is spoken to only if the operator lists it for the namespace.
func TestReadsAreOnlyOfListedHosts(t *testing.T) {
	var asked int
	host := server(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked++; next.ServeHTTP(w, r) })
	})
	repo := repository(t, host+"/shop/web")
	for _, test := range []struct {
		name   string
		policy registry.Policy
		as     registry.Credentials
	}{
		{"a host that is not listed", plain("other.example.com"), shop},
		{"a host that is listed for another namespace", plain(host), registry.Credentials{Namespace: "evil"}},
		{"a host that is listed as HTTPS, read by plain HTTP", func(string, string) (bool, bool) { return false, true }, shop},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked = 0
			_, err := registry.New(test.policy).Head(t.Context(), repo, "prod", test.as)
			if got := kindOf(err); got != string(source.NotAllowed) || asked != 0 {
				t.Errorf("reason = %q (%v) after %d requests, want a refusal after none", got, err, asked)
			}
		})
	}
}

// Neither a redirect nor a token service leads to a host that is not listed.
func TestNoRequestLeavesTheListedHosts(t *testing.T) {
	reached := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	t.Cleanup(elsewhere.Close)
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			http.Redirect(w, r, elsewhere.URL+"/metadata", http.StatusTemporaryRedirect)
		}},
		{"a token service", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			host := server(t, func(http.Handler) http.Handler { return test.answer })
			keychain := authn.NewMultiKeychain(basic{})
			_, err := registry.New(plain(host)).Head(t.Context(), repository(t, host+"/shop/web"), "prod", registry.Credentials{Namespace: "shop", Keychain: keychain})
			if got := kindOf(err); got != string(source.NotAllowed) {
				t.Errorf("reason = %q (%v), want NotAllowed", got, err)
			}
			if reached != 0 {
				t.Error("a host that is not listed was reached")
			}
		})
	}
}

type basic struct{}

func (basic) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "u", Password: "secret"}, nil
}

func TestReasonsOfFailedReads(t *testing.T) {
	wrong := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}`
	schema1 := `{"schemaVersion":1,"name":"shop/web","tag":"v1","fsLayers":[],"signatures":[]}`
	asked := image.Digest{}
	if d, err := image.ParseDigest(fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("something else")))); err == nil {
		asked = d
	}
	answer := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	const manifest = "application/vnd.oci.image.manifest.v1+json"
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"what is not there is NotFound", answer(404, "application/json", `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`), string(source.NotFound)},
		{"no credentials is Denied", answer(401, "application/json", `{"errors":[{"code":"UNAUTHORIZED"}]}`), string(source.Denied)},
		{"too few rights is Denied", answer(403, "application/json", `{"errors":[{"code":"DENIED"}]}`), string(source.Denied)},
		{"an error may pass", answer(500, "text/plain", "oops"), passing},
		{"too many requests asks for patience", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "60")
			answer(429, "text/plain", "slow")(w, r)
		}, retryAfter},
		{"other content than asked for is never believed, and may be right next time", answer(200, manifest, wrong), passing},
		{"a schema 1 manifest whose header claims the digest is Unreadable", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Docker-Content-Digest", asked.String())
			answer(200, string(types.DockerManifestSchema1Signed), schema1)(w, r)
		}, string(source.Unreadable)},
		{"a schema 1 manifest is one whatever its type", answer(200, manifest, schema1), string(source.Unreadable)},
		{"other content is other content, whatever type and digest its header claims", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Docker-Content-Digest", asked.String())
			answer(200, string(types.DockerManifestSchema1Signed), wrong)(w, r)
		}, passing},
		{"a manifest above the limit is Unreadable", answer(200, manifest, strings.Repeat(" ", 5<<20)), string(source.Unreadable)},
	} {
		t.Run(test.name, func(t *testing.T) {
			host := server(t, func(http.Handler) http.Handler { return test.answer })
			_, err := registry.New(plain(host)).Content(t.Context(), repository(t, host+"/shop/web").At(asked), shop)
			if got := kindOf(err); got != test.want {
				t.Errorf("reason = %q (%v), want %q", got, err, test.want)
			}
		})
	}
}

// A registry that hangs holds nobody longer than the caller's deadline.
func TestReadsEndWithTheirContext(t *testing.T) {
	release := make(chan struct{})
	host := server(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		})
	})
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := registry.New(plain(host)).Head(ctx, repository(t, host+"/shop/web"), "prod", shop)
	if got := kindOf(err); got != passing {
		t.Errorf("reason = %q (%v), want an error that may pass", got, err)
	}
}

// The kinds of errors that are no refusal.
const (
	passing    = "may pass"
	retryAfter = "retry after"
)

// kindOf returns the reason of a refusal, or what kind of error it is. It returns "" for
// nil.
func kindOf(err error) string {
	var limited *source.RetryAfterError
	switch {
	case err == nil:
		return ""
	case source.ReasonOf(err) != "":
		return string(source.ReasonOf(err))
	case errors.As(err, &limited):
		return retryAfter
	default:
		return passing
	}
}
