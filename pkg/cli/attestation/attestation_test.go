package attestation

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/attestation"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
	"github.com/revet-dev/revet/pkg/sigstore"
)

// site is a registry with one image, and a key.
type site struct {
	t     *testing.T
	host  string
	ref   image.Reference
	entry *v1alpha1.ImageVerification
	ring  attestation.Ring
	key   string // the file with the public key
	n     int
}

func newSite(t *testing.T, handler http.Handler) *site {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	s := &site{t: t, host: strings.TrimPrefix(server.URL, "http://")}
	at, err := name.NewTag(s.host+"/team/app:1.0", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := random.Image(32, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(at, img); err != nil {
		t.Fatal(err)
	}
	h, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if s.ref, err = image.ParseReference(s.host + "/team/app@" + h.String()); err != nil {
		t.Fatal(err)
	}
	asOf := metav1.NewTime(commandtest.At(30 * time.Hour))
	s.entry = &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "verification", Name: "app-1"},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: "all", UID: "u"},
			Repository: v1alpha1.RepositoryReference{Pull: s.host + "/team/app"}, Digest: h.String(),
		},
		Status: v1alpha1.ImageVerificationStatus{Verdict: &v1alpha1.Verdict{
			Outcome: v1alpha1.OutcomePass, Run: "app-run", At: metav1.NewTime(commandtest.At(26 * time.Hour)),
			Checks: []string{"validate", "vulnerabilities"}, Off: []string{"signature"}, Platforms: []string{"linux/amd64"},
			Database: &v1alpha1.VerdictDatabase{Digest: commandtest.DigestB, AsOf: &asOf},
			Sandbox:  v1alpha1.VerdictSandbox{Requested: "kata", Observed: []string{"kata"}},
		}},
	}
	s.ring, s.key = s.newKey("trusted.pub")
	return s
}

func (s *site) newKey(file string) (attestation.Ring, string) {
	s.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		s.t.Fatal(err)
	}
	ring, err := attestation.ParseRing(map[string][]byte{"2026-01-01.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})})
	if err != nil {
		s.t.Fatal(err)
	}
	if der, err = x509.MarshalPKIXPublicKey(&private.PublicKey); err != nil {
		s.t.Fatal(err)
	}
	at := filepath.Join(s.t.TempDir(), file)
	if err := os.WriteFile(at, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return ring, at
}

// attach signs the entry's verdict with a key, after texts in it were replaced, and attaches it.
func (s *site) attach(ring attestation.Ring, edits ...string) {
	s.t.Helper()
	statement, err := attestation.Make(s.entry, attestation.Verifier{ID: attestation.DefaultVerifierID, Version: "v1.2.3", Cluster: "prod-1"})
	if err != nil {
		s.t.Fatal(err)
	}
	statement.Payload = []byte(strings.NewReplacer(edits...).Replace(string(statement.Payload)))
	key, ok := ring.Current(commandtest.Now)
	if !ok {
		s.t.Fatal("no key signs")
	}
	bundle, err := attestation.Sign(s.t.Context(), statement, key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.push(sigstore.BundleType, bundle.Content)
}

// push attaches anything to the image.
func (s *site) push(mediaType string, content []byte) {
	s.t.Helper()
	trust, err := fetch.LoadTrust("", []string{s.host})
	if err != nil {
		s.t.Fatal(err)
	}
	to, err := publish.NewRegistry(s.ref.Repository(), fetch.Options{Trust: trust})
	if err != nil {
		s.t.Fatal(err)
	}
	subject, err := to.Describe(s.t.Context(), s.ref.Digest())
	if err != nil {
		s.t.Fatal(err)
	}
	s.n++
	a := publish.Artifact{Subject: subject, Type: mediaType, Content: content, Title: "x", Kind: string(rune('a' + s.n))}
	if _, err := to.WithPause(time.Millisecond).Push(s.t.Context(), a); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) verify(args ...string) commandtest.Result {
	s.t.Helper()
	all := append([]string{"attestation", "verify", s.ref.String(), "--insecure-registry", s.host}, args...)
	got := commandtest.Run(New, "", nil, all...)
	for from, to := range map[string]string{s.host: "registry.example.com", s.ref.Digest().String(): "sha256:IMAGE"} {
		got.Out, got.ErrOut = strings.ReplaceAll(got.Out, from, to), strings.ReplaceAll(got.ErrOut, from, to)
	}
	return got
}

func quiet(options ...registry.Option) http.Handler {
	return registry.New(append(options, registry.Logger(log.New(io.Discard, "", 0)))...)
}

// What is shown of a verdict that holds, and what was not checked.
func TestVerify(t *testing.T) {
	for _, handler := range []http.Handler{quiet(), quiet(registry.WithReferrersSupport(true))} {
		s := newSite(t, handler)
		s.push("application/sarif+json", []byte("{}"))
		s.attach(s.ring)
		got := s.verify("--key", s.key, "--max-age", "48h", "--cluster", "prod-1", "--level", "REVET_SANDBOXED")
		if got.Status != 0 || got.ErrOut != "" {
			t.Errorf("status %d: %s", got.Status, got.ErrOut)
		}
		commandtest.Golden(t, "verified.txt", got.Out)
	}
}

// What does not hold, and what is not known, have a status and a cause each.
func TestVerifyFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		make   func(*site)
		args   []string
		status int
		says   string
	}{
		{"nothing", func(*site) {}, nil, 1, "no signed document about it"},
		{"only a report", func(s *site) { s.push("application/sarif+json", []byte("{}")) }, nil, 1, "no signed document about it"},
		{"a stranger's", func(s *site) { ring, _ := s.newKey("other.pub"); s.attach(ring) }, nil, 1, "no trusted key made it"},
		{"what is no bundle", func(s *site) { s.push(sigstore.BundleType, []byte("hello")) }, nil, 1, "none of the 1 signed documents"},
		{"too old", func(s *site) { s.attach(s.ring) }, []string{"--max-age", "24h"}, 1, "it is 26h0m0s old"},
		{"of another cluster", func(s *site) { s.attach(s.ring) }, []string{"--cluster", "prod-2"}, 1, "for the cluster"},
		{"by another policy", func(s *site) { s.attach(s.ring) }, []string{"--policy", "p"}, 1, "follows the policy"},
		{"without a level", func(s *site) { s.attach(s.ring) }, []string{"--level", "REVET_CHECK_SIGNATURE"}, 1, "does not claim"},
		{"about another image", func(s *site) { s.attach(s.ring, s.ref.Digest().Hex(), strings.Repeat("a", 64)) }, nil, 1, "something other"},
		{"a fail beside a pass", func(s *site) { s.attach(s.ring); s.attach(s.ring, `"PASSED"`, `"FAILED"`) }, nil, 1, "signed a verdict that is not PASSED"},
		{"a fail, which came first", func(s *site) { s.attach(s.ring, `"PASSED"`, `"FAILED"`); s.attach(s.ring) }, nil, 1, "signed a verdict that is not PASSED"},
		{"a pass beside a stranger's", func(s *site) {
			ring, _ := s.newKey("other.pub")
			s.attach(ring, `"PASSED"`, `"FAILED"`)
			s.attach(s.ring)
		}, nil, 0, ""},
		{"no key", func(*site) {}, []string{"--key", "/nowhere"}, 2, `key "/nowhere"`},
		{"a negative age", func(*site) {}, []string{"--max-age", "-1h"}, 2, "must not be negative"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, quiet())
			tt.make(s)
			got := s.verify(append([]string{"--key", s.key}, tt.args...)...)
			if got.Status != tt.status || !strings.Contains(got.ErrOut, tt.says) || (tt.status != 0) != (got.Out == "") {
				t.Errorf("status %d, %s%s; want %d and %q", got.Status, got.Out, got.ErrOut, tt.status, tt.says)
			}
		})
	}
}

// What cannot be read to its end is not known, even if a pass was seen: the rest may say
// otherwise.
func TestVerifyDoesNotKnow(t *testing.T) {
	for name, broken := range map[string]func(*http.Request) bool{
		"the list":  func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/referrers/") },
		"a bundle":  func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/blobs/") },
		"handshake": func(r *http.Request) bool { return r.URL.Path == "/v2/" },
	} {
		t.Run(name, func(t *testing.T) {
			real := quiet(registry.WithReferrersSupport(true))
			var on atomic.Bool
			s := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if on.Load() && broken(r) {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				real.ServeHTTP(w, r)
			}))
			s.attach(s.ring)
			on.Store(true)
			got := s.verify("--key", s.key)
			if got.Status != 2 || !strings.Contains(got.ErrOut, "it is not known whether the image was verified") || got.Out != "" {
				t.Errorf("status %d, %s%s", got.Status, got.Out, got.ErrOut)
			}
		})
	}
}

// A wrong use has status 2 and says what to do.
func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"attestation", "verify", "nginx:1"}, "name it by digest"},
		{[]string{"attestation", "verify", "r.example.com/a@" + commandtest.DigestA}, "--key is missing"},
		{[]string{"attestation", "sign"}, "there is no command"},
		{[]string{"attestation", "verify"}, "exactly one IMAGE@DIGEST"},
	} {
		if got := commandtest.Run(New, "", nil, tt.args...); got.Status != 2 || !strings.Contains(got.ErrOut, tt.says) {
			t.Errorf("%q: status %d, %s", tt.args, got.Status, got.ErrOut)
		}
	}
}
