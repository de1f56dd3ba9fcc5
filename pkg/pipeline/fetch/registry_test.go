package fetch_test

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Plain HTTP is for hosts that are listed; the loopback is no exception.
func TestRegistrySpeaksPlainHTTPOnlyToListedHosts(t *testing.T) {
	s := newServer(t)
	w := pushWhole(t, s)
	_, _, err := s.pull(t, w.manifest, setting{strict: true})
	wantError(t, err, oci.ReasonRefused, "revet-registries")
	if _, _, err := s.pull(t, w.manifest, setting{}); err != nil {
		t.Errorf("listed: %v", err)
	}
}

// A registry may keep its blobs elsewhere, but it cannot lead to a host without
// TLS that nobody listed, and that host sees no request and no credentials.
func TestRegistryRedirects(t *testing.T) {
	for _, listed := range []bool{true, false} {
		t.Run(map[bool]string{true: "to a listed host it is followed", false: "to an unlisted host it is refused"}[listed], func(t *testing.T) {
			s := newServer(t)
			w := pushWhole(t, s)
			var asked []string
			elsewhere := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Header.Get("Authorization"))
				s.real.ServeHTTP(rw, r)
			}))
			defer elsewhere.Close()
			s.lieAbout(w.layer, func(rw http.ResponseWriter, r *http.Request) {
				redirect(rw, elsewhere.URL+r.URL.Path)
			})
			set := setting{options: fetch.Options{Keychain: keychain{}}}
			if listed {
				set.insecure = []string{strings.TrimPrefix(elsewhere.URL, "http://")}
			}
			_, _, err := s.pull(t, w.manifest, set)
			if !listed {
				wantError(t, err, oci.ReasonRefused, "plain HTTP to")
				if len(asked) > 0 {
					t.Errorf("the other host was asked %d times", len(asked))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(asked) != 1 || asked[0] != "" {
				t.Errorf("the other host was sent the credentials %q, want one request without any", asked)
			}
		})
	}
}

type keychain struct{}

func (keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "robot", Password: "not-a-real-one"}, nil
}

// Credentials open a registry that wants them; without, the reason says so.
func TestRegistryCredentials(t *testing.T) {
	s := newServer(t)
	w := pushWhole(t, s)
	s.mu.Lock()
	s.lie = func(rw http.ResponseWriter, r *http.Request) bool {
		if user, _, ok := r.BasicAuth(); ok && user == "robot" {
			return false
		}
		rw.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		rw.WriteHeader(http.StatusUnauthorized)
		return true
	}
	s.mu.Unlock()
	if _, _, err := s.pull(t, w.manifest, setting{options: fetch.Options{Keychain: keychain{}}}); err != nil {
		t.Errorf("with credentials: %v", err)
	}
	_, _, err := s.pull(t, w.manifest, setting{})
	wantError(t, err, oci.ReasonDenied, "401")
}

// An authority in the registries directory makes its registry trusted.
func TestRegistryAuthorities(t *testing.T) {
	s := httptest.NewTLSServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer s.Close()
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	host := strings.TrimPrefix(s.URL, "https://")
	img := imageOf(t, "amd64", layerOf(t, "x"))
	d := must(img.Digest())(t)
	ref := must(name.NewDigest(host + "/" + repository + "@" + d.String()))(t)
	if err := remote.Write(ref, img, remote.WithTransport(s.Client().Transport)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "registry.crt"), certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	trust := must(fetch.LoadTrust(dir, nil))(t)
	if _, _, err := pullFrom(t, host, d, setting{options: fetch.Options{Trust: trust}}); err != nil {
		t.Errorf("with the authority: %v", err)
	}
	none := must(fetch.LoadTrust("", nil))(t)
	_, _, err := pullFrom(t, host, d, setting{options: fetch.Options{Trust: none}})
	wantError(t, err, oci.ReasonRefused, "its certificate is not trusted")
}

// The list of insecure registries is read strictly: a line that is misread
// would open what nobody meant.
func TestLoadTrust(t *testing.T) {
	tests := []struct {
		name, insecure, certificate string
		want                        string // part of the error, "" for none
	}{
		{name: "hosts, blank lines and comments", insecure: "# local\nlocalhost:5001\n\nregistry.test # plain\n"},
		{name: "nothing at all"},
		{name: "a URL", insecure: "a.test\nhttp://b.test\n", want: "line 2"},
		{name: "a repository", insecure: "a.test/team", want: "without a scheme or a path"},
		{name: "a wildcard", insecure: "*", want: "not a registry's host"},
		{name: "a certificate that is none", certificate: "hello", want: "no PEM certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string]string{"insecure": tt.insecure, "ca.crt": tt.certificate} {
				if text == "" {
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := fetch.LoadTrust(dir, nil)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := fetch.LoadTrust(filepath.Join(t.TempDir(), "none"), nil); err != nil {
		t.Errorf("a directory that is not there: %v", err)
	}
}
