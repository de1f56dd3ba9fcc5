package signature

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/sigstore"
)

// world is a repository with the image that cosign's signatures were recorded for.
type world struct {
	t          *testing.T
	host       string
	repository name.Repository
	digest     image.Digest
	source     *Remote
}

func newWorld(t *testing.T, options ...registry.Option) *world {
	t.Helper()
	s := httptest.NewServer(registry.New(append(options, registry.Logger(log.New(io.Discard, "", 0)))...))
	t.Cleanup(s.Close)
	return worldAt(t, s, time.Minute)
}

func worldAt(t *testing.T, s *httptest.Server, stall time.Duration) *world {
	t.Helper()
	w := &world{t: t, host: strings.TrimPrefix(s.URL, "http://"), digest: signedDigest(t)}
	repository, err := image.ParseRepository(w.host + "/team/app")
	if err != nil {
		t.Fatal(err)
	}
	trust, err := fetch.LoadTrust("", []string{w.host})
	if err != nil {
		t.Fatal(err)
	}
	options := fetch.Options{Trust: trust, Stall: stall, Patience: fetch.Patience{Pause: time.Millisecond, Repeats: 1}}
	if w.source, err = NewRemote(t.Context(), repository, options); err != nil {
		t.Fatal(err)
	}
	if w.repository, err = name.NewRepository(w.host + "/team/app"); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) push(ref name.Reference, what remote.Taggable) {
	w.t.Helper()
	if err := remote.Push(ref, what); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) blob(b []byte, mediaType types.MediaType) {
	w.t.Helper()
	if err := remote.WriteLayer(w.repository, static.NewLayer(b, mediaType)); err != nil {
		w.t.Fatal(err)
	}
}

// image pushes what was signed.
func (w *world) image() {
	img := mutate.Annotations(empty.Image, map[string]string{"a": "fixed"})
	w.push(w.repository.Tag("v1"), img.(v1.Image))
}

// simple pushes cosign's signature in the older form.
func (w *world) simple(kind string) {
	w.blob(recorded(w.t, kind+".payload.json"), simpleSigningLayer)
	w.put(w.repository.Tag("sha256-"+w.digest.Hex()+".sig"), recorded(w.t, kind+".sig.json"))
}

// bundle pushes it in the newer form.
func (w *world) bundle(kind string) {
	w.blob(recorded(w.t, kind+".bundle.json"), sigstore.BundleType)
	w.put(w.repository.Tag("bundle-"+kind), recorded(w.t, kind+".referrer.json"))
}

func (w *world) put(ref name.Reference, raw []byte) {
	w.t.Helper()
	w.blob([]byte("{}"), "application/vnd.oci.empty.v1+json")
	if err := remote.Put(ref, manifestBytes(raw)); err != nil {
		w.t.Fatal(err)
	}
}

type manifestBytes []byte

func (m manifestBytes) RawManifest() ([]byte, error)        { return m, nil }
func (m manifestBytes) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// Signatures are found in both forms, in registries with and without the
// referrers API; what else is about the image is passed over.
func TestLook(t *testing.T) {
	attest := func(w *world) {
		statement := `{"mediaType":"` + sigstore.BundleType + `","dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}}`
		w.blob([]byte(statement), sigstore.BundleType)
		h, n, err := v1.SHA256(strings.NewReader(statement))
		if err != nil {
			w.t.Fatal(err)
		}
		raw := strings.Replace(string(recorded(w.t, "rsa.referrer.json")), fmt.Sprintf(`"size":%d`, len(recorded(w.t, "rsa.bundle.json"))), fmt.Sprintf(`"size":%d`, n), 1)
		var m manifest
		if err := json.Unmarshal([]byte(raw), &m); err != nil {
			w.t.Fatal(err)
		}
		w.put(w.repository.Tag("attestation"), []byte(strings.Replace(raw, m.Layers[0].Digest, h.String(), 1)))
	}
	tests := []struct {
		name    string
		push    func(*world)
		trusted []string
		by      []string
		refused int
	}{
		{"nothing", func(*world) {}, kinds, nil, 0},
		{"the older form", func(w *world) { w.simple("ecdsa") }, kinds, []string{"ecdsa"}, 0},
		{"the newer form", func(w *world) { w.bundle("rsa") }, kinds, []string{"rsa"}, 0},
		{"both forms by one key", func(w *world) { w.simple("ed25519"); w.bundle("ed25519") }, kinds, []string{"ed25519"}, 0},
		{"two keys, of which one is trusted", func(w *world) { w.bundle("rsa"); w.bundle("ecdsa") }, []string{"ecdsa"}, []string{"ecdsa"}, 1},
		{"a key that is not trusted", func(w *world) { w.simple("rsa"); w.bundle("rsa") }, []string{"ecdsa"}, nil, 2},
		{"an attestation", attest, kinds, nil, 0},
		{"a signature without its payload", func(w *world) {
			w.put(w.repository.Tag("sha256-"+w.digest.Hex()+".sig"), recorded(w.t, "ecdsa.sig.json"))
		}, kinds, nil, 1},
		{"a signature under the tag that is an image", func(w *world) {
			img, err := mutate.AppendLayers(empty.Image, static.NewLayer([]byte("x"), types.DockerLayer))
			if err != nil {
				w.t.Fatal(err)
			}
			w.push(w.repository.Tag("sha256-"+w.digest.Hex()+".sig"), img)
		}, kinds, nil, 1},
	}
	for api, options := range map[string][]registry.Option{
		"referrers API": {registry.WithReferrersSupport(true)},
		"fallback tag":  nil,
	} {
		for _, tt := range tests {
			t.Run(api+" "+tt.name, func(t *testing.T) {
				w := newWorld(t, options...)
				w.image()
				tt.push(w)
				got, err := Look(t.Context(), w.source, w.digest, keysOf(t, tt.trusted...))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.by, got.By, cmpopts.EquateEmpty()); diff != "" || len(got.Refused) != tt.refused {
					t.Errorf("refused %q, want %d; signed by (-want +got):\n%s", got.Refused, tt.refused, diff)
				}
			})
		}
	}
}

// A registry that cannot be read is no registry without signatures.
func TestLookWithoutAnAnswer(t *testing.T) {
	tests := []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request)
		want   oci.Reason
	}{
		{"it fails", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, oci.ReasonUnavailable},
		{"it denies", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, oci.ReasonDenied},
		{"it answers without end", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			_, _ = w.Write(make([]byte, oci.MaxManifest+1))
		}, oci.ReasonTooLarge},
		{"it stalls", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, oci.ReasonTimedOut},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					return
				}
				tt.answer(w, r)
			}))
			t.Cleanup(s.Close)
			w := worldAt(t, s, 200*time.Millisecond)
			got, err := Look(t.Context(), w.source, w.digest, keysOf(t, "ecdsa"))
			var e *oci.Error
			if !errors.As(err, &e) || e.Reason != tt.want {
				t.Errorf("found %+v, error %v; want the reason %s", got, err, tt.want)
			}
		})
	}
}

// What comes of signatures under each policy.
func TestJudge(t *testing.T) {
	digest := signedDigest(t)
	trusted, untrusted := Found{By: []string{"a"}, Refused: []string{"x: " + strings.Repeat("no ", 500)}}, Found{Refused: []string{"x: no trusted key made it"}}
	tests := []struct {
		name   string
		policy Policy
		found  Found
		want   taskresult.Signature
		rule   string
	}{
		{"required and signed", Required, trusted, taskresult.SignatureValid, ""},
		{"required and signed by somebody else", Required, untrusted, taskresult.SignatureInvalid, "valid-signature"},
		{"required and not signed", Required, Found{}, taskresult.SignatureNone, "signed"},
		{"optional and signed", Optional, trusted, taskresult.SignatureValid, ""},
		{"optional and signed by somebody else", Optional, untrusted, taskresult.SignatureInvalid, "valid-signature"},
		{"optional and not signed", Optional, Found{}, taskresult.SignatureNone, ""},
		{"a policy that is none", "", Found{}, taskresult.SignatureNone, "signed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Judge(tt.policy, digest, tt.found)
			rule := ""
			if len(got.Findings) > 0 {
				rule = got.Findings[0].Rule
			}
			if got.Signature != tt.want || rule != tt.rule || (got.Errors > 0) != (tt.rule != "") {
				t.Errorf("signature %q, rule %q, errors %d; want %q and %q", got.Signature, rule, got.Errors, tt.want, tt.rule)
			}
			text, err := got.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := taskresult.Decode(text); err != nil {
				t.Error(err)
			}
		})
	}
	text, err := NotLooked(digest).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := taskresult.Decode(text); err != nil || got.Signature != taskresult.SignatureOff || !got.Checks[0].Off {
		t.Errorf("%+v, %v", got, err)
	}
}

// Signatures are looked for where there is something to compare them with.
func TestLooks(t *testing.T) {
	keys := []Key{{}}
	for _, tt := range []struct {
		policy Policy
		keys   []Key
		want   bool
		err    string
	}{
		{Required, keys, true, ""},
		{Required, nil, false, "there is no key"},
		{Optional, keys, true, ""},
		{Optional, nil, false, ""},
		{Off, keys, false, ""},
		{"", keys, false, "unknown signature policy"},
	} {
		got, err := tt.policy.Looks(tt.keys)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("policy %q, %d keys: %t, %v", tt.policy, len(tt.keys), got, err)
		}
	}
}
