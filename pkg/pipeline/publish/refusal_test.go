package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

const sarifType = "application/sarif+json"

// onPut lets refuse decide on each manifest that is put, by its bytes.
func onPut(next http.Handler, refuse func(w http.ResponseWriter, r *http.Request, body []byte) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			body, err := io.ReadAll(r.Body)
			if err != nil || refuse(w, r, body) {
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		next.ServeHTTP(w, r)
	})
}

func refuseWith(w http.ResponseWriter, status int, code, message string, detail any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]any{"code": code, "message": message, "detail": detail}}})
}

// openshift behaves as OpenShift's integrated registry: it has no referrers API, and its
// image API refuses an index with a child that has no platform.
func openshift(next http.Handler) http.Handler {
	return onPut(next, func(w http.ResponseWriter, _ *http.Request, body []byte) bool {
		var index v1.IndexManifest
		if err := json.Unmarshal(body, &index); err != nil || !index.MediaType.IsIndex() {
			return false
		}
		for i, m := range index.Manifests {
			if m.Platform == nil || m.Platform.OS == "" || m.Platform.Architecture == "" {
				refuseWith(w, http.StatusInternalServerError, "UNKNOWN", "unknown error", map[string]any{
					"status": "Failure", "reason": "Invalid",
					"message": fmt.Sprintf(`Image "sha256:0" is invalid: dockerImageManifests[%d].architecture: Required value`, i),
				})
				return true
			}
		}
		return false
	})
}

func (s *site) tag() name.Tag { return s.to.repository.Tag("sha256-" + s.subject.Digest.Hex()) }

// list puts a list of referrers under the fallback tag, as another client would.
func (s *site) list(children ...v1.Descriptor) {
	s.t.Helper()
	if err := writeList(s.tag(), v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: children}, nil); err != nil {
		s.t.Fatal(err)
	}
}

// other pushes a manifest of another client and describes it without a platform.
func (s *site) other() v1.Descriptor {
	s.t.Helper()
	img, err := random.Image(16, 1)
	if err != nil {
		s.t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := remote.Write(s.to.repository.Digest(digest.String()), img); err != nil {
		s.t.Fatal(err)
	}
	desc, err := remote.Head(s.to.repository.Digest(digest.String()))
	if err != nil {
		s.t.Fatal(err)
	}
	return v1.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size, ArtifactType: "application/vnd.example", Annotations: map[string]string{"by": "another"}}
}

// A registry that refuses what the OCI specification recommends still gets the report, in
// a form that it takes. What other clients listed stays as it is.
func TestPushFindsTheFormThatTheRegistryTakes(t *testing.T) {
	noArtifactType := func(next http.Handler) http.Handler {
		return onPut(next, func(w http.ResponseWriter, r *http.Request, body []byte) bool {
			if !bytes.Contains(body, []byte(`"artifactType"`)) || strings.Contains(r.URL.Path, "/manifests/sha256-") {
				return false
			}
			refuseWith(w, http.StatusBadRequest, "MANIFEST_INVALID", "manifest invalid", "unknown field artifactType")
			return true
		})
	}
	// asDistribution answers for a child that is gone with the status of Distribution.
	asDistribution := func(next http.Handler) http.Handler {
		return onPut(next, func(w http.ResponseWriter, r *http.Request, body []byte) bool {
			answer := httptest.NewRecorder()
			again := r.Clone(r.Context())
			again.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(answer, again)
			if answer.Code != http.StatusNotFound {
				return false
			}
			refuseWith(w, http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", nil)
			return true
		})
	}
	windows := &v1.Platform{OS: "windows", Architecture: "amd64"}
	tests := []struct {
		name     string
		registry http.Handler
		// platform is that of another client's entry in the list.
		platform *v1.Platform
		// gone adds an entry whose manifest the registry does not have any more.
		gone       bool
		configType types.MediaType
	}{
		{"OpenShift's", openshift(quiet()), windows, false, emptyType},
		{"one that takes all", quiet(), nil, false, emptyType},
		{"one that knows no artifactType", noArtifactType(quiet()), nil, false, sarifType},
		{"one that wants every child to be there", quiet(), nil, true, emptyType},
		{"one that wants every child, as Distribution does", asDistribution(quiet()), nil, true, emptyType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, tt.registry)
			s.push()
			other := s.other()
			other.Platform = tt.platform
			children := []v1.Descriptor{other}
			if tt.gone {
				children = append(children, s.other())
			}
			s.list(children...)
			if tt.gone {
				if err := remote.Delete(s.to.repository.Digest(children[1].Digest.String())); err != nil {
					t.Fatal(err)
				}
			}
			digest, err := s.to.Push(t.Context(), s.artifact(sarifType, "{}"))
			if err != nil {
				t.Fatal(err)
			}
			desc, err := remote.Get(s.to.repository.Digest(digest.String()))
			if err != nil {
				t.Fatal(err)
			}
			var m v1.Manifest
			if err := json.Unmarshal(desc.Manifest, &m); err != nil || m.Config.MediaType != tt.configType {
				t.Errorf("the configuration's type is %s, want %s (%v)", m.Config.MediaType, tt.configType, err)
			}
			unknown := &v1.Platform{OS: "unknown", Architecture: "unknown"}
			own := v1.Descriptor{
				MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size, ArtifactType: sarifType,
				Annotations: map[string]string{kindAnnotation: sarifType}, Platform: unknown,
			}
			if other.Platform == nil {
				other.Platform = unknown
			}
			want := map[string]v1.Descriptor{own.Digest.String(): own, other.Digest.String(): other}
			got := map[string]v1.Descriptor{}
			for _, d := range s.listed() {
				got[d.Digest.String()] = d
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("listed (-want +got):\n%s", diff)
			}
		})
	}
}

// A refusal that lasts is sent once, and its reason is not that of a registry that is
// away; one that may pass is sent again.
func TestPushIsNotRepeatedWhereTheRegistryRefuses(t *testing.T) {
	invalid := map[string]any{"message": `Image "sha256:0" is invalid: dockerImageManifests: Required value`}
	lists := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/sha256-") }
	manifests := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/sha256:") }
	tests := []struct {
		name   string
		what   func(*http.Request) bool
		status int
		code   string
		detail any
		puts   int64
		want   oci.Reason
		says   string
	}{
		{"a list is invalid, told as a failure", lists, 500, "UNKNOWN", invalid, 1, oci.ReasonPushRefused, "would again"},
		{"a list is too large for a proxy", lists, 413, "", nil, 1, oci.ReasonPushRefused, "raise its limit"},
		{"a list is no method", lists, 405, "UNSUPPORTED", nil, 1, oci.ReasonPushRefused, "would again"},
		{"an artefact is refused in both forms", manifests, 400, "MANIFEST_INVALID", nil, 2, oci.ReasonPushRefused, "would again"},
		{"an artefact is not implemented", manifests, 501, "UNSUPPORTED", nil, 2, oci.ReasonPushRefused, "would again"},
		{"an artefact cannot be processed", manifests, 422, "", nil, 2, oci.ReasonPushRefused, "would again"},
		{"no right", manifests, 403, "DENIED", nil, 1, oci.ReasonDenied, ""},
		{"another writer", lists, 409, "", nil, 1, oci.ReasonUnavailable, ""},
		{"a failure", manifests, 500, "UNKNOWN", nil, 3, oci.ReasonUnavailable, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var puts atomic.Int64
			s := newSite(t, onPut(quiet(), func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				if !tt.what(r) {
					return false
				}
				puts.Add(1)
				refuseWith(w, tt.status, tt.code, "told", tt.detail)
				return true
			}))
			s.push()
			_, err := s.to.Push(t.Context(), s.artifact(sarifType, "{}"))
			var e *oci.Error
			if !errors.As(err, &e) || e.Reason != tt.want || !strings.Contains(err.Error(), tt.says) || puts.Load() != tt.puts {
				t.Errorf("after %d requests the error is %v; want %d, %s and %q", puts.Load(), err, tt.puts, tt.want, tt.says)
			}
		})
	}
}

// The tag of the list may name something else, which stays.
func TestPushLeavesAlone(t *testing.T) {
	s := newSite(t, quiet())
	s.push()
	img, err := random.Image(16, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(s.tag(), img); err != nil {
		t.Fatal(err)
	}
	before, err := remote.Head(s.tag())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.to.Push(t.Context(), s.artifact(sarifType, "{}")); err == nil || !strings.Contains(err.Error(), "delete it, or push it under another tag") {
		t.Errorf("error is %v", err)
	}
	if after, err := remote.Head(s.tag()); err != nil || after.Digest != before.Digest {
		t.Errorf("the tag names %v (%v), want %s", after, err, before.Digest)
	}
}

// OpenShift's registry does not show an artefact by its digest until a list or a tag names
// it. The report that is about to be listed is not taken for one that is gone.
func TestPushKeepsItsOwnEntry(t *testing.T) {
	real := quiet()
	var s *site
	hidden := func(digest string) bool {
		list, err := readList(s.tag(), nil)
		return err == nil && !slices.ContainsFunc(list.Manifests, func(d v1.Descriptor) bool { return d.Digest.String() == digest })
	}
	var on atomic.Bool
	var lists atomic.Int64
	s = newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, digest, byDigest := strings.Cut(r.URL.Path, "/manifests/sha256:")
		if on.Load() && byDigest && r.Method != http.MethodPut && hidden("sha256:"+digest) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if on.Load() && r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256-") {
			lists.Add(1)
		}
		real.ServeHTTP(w, r)
	}))
	s.push()
	gone := s.other()
	s.list(gone)
	if err := remote.Delete(s.to.repository.Digest(gone.Digest.String())); err != nil {
		t.Fatal(err)
	}
	on.Store(true)
	digest, err := s.to.Push(t.Context(), s.artifact(sarifType, "{}"))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.listed(); len(got) != 1 || got[0].Digest.String() != digest.String() || lists.Load() != 2 {
		t.Errorf("listed are %v after %d lists; want %s after 2, of which the first was refused", got, lists.Load(), digest)
	}
}
