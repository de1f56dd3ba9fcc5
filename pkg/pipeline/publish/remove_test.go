package publish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

func (s *site) digests() map[string]bool {
	s.t.Helper()
	all := map[string]bool{}
	for _, d := range s.listed() {
		all[d.Digest.String()] = true
	}
	return all
}

func (s *site) mustPush(kind, text string) image.Digest {
	s.t.Helper()
	a := s.artifact(sarifType, text)
	a.Kind = kind
	d, err := s.to.Push(s.t.Context(), a)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// What is removed is gone from the list and from the registry, nothing else is, and what is
// not there is removed already.
func TestRemove(t *testing.T) {
	for api, handler := range map[string]http.Handler{
		"referrers API": quiet(registry.WithReferrersSupport(true)),
		"fallback tag":  quiet(),
		"OpenShift's":   openshift(quiet()),
	} {
		t.Run(api, func(t *testing.T) {
			s := newSite(t, handler)
			s.push()
			keep, drop := s.mustPush("a", "1"), s.mustPush("b", "2")
			if diff := cmp.Diff(map[string]bool{keep.String(): true, drop.String(): true}, s.digests()); diff != "" {
				t.Fatalf("kinds replace one another (-want +got):\n%s", diff)
			}
			for range 2 {
				if err := s.to.Remove(t.Context(), s.subject.Digest, drop); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(map[string]bool{keep.String(): true}, s.digests()); diff != "" {
					t.Errorf("listed (-want +got):\n%s", diff)
				}
				if _, err := remote.Head(s.to.repository.Digest(drop.String())); !notFound(err) {
					t.Errorf("the manifest is still there: %v", err)
				}
			}
			if err := s.to.Remove(t.Context(), s.subject.Digest, keep); err != nil {
				t.Fatal(err)
			}
			if got := s.digests(); len(got) != 0 {
				t.Errorf("listed are %v", got)
			}
			if again := s.mustPush("b", "2"); again != drop {
				t.Errorf("again it is %s, want %s", again, drop)
			}
		})
	}
}

// Where nothing was ever pushed there is nothing to remove, and nothing is written.
func TestRemoveOfNothing(t *testing.T) {
	real := quiet()
	var writes atomic.Int64
	s := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			writes.Add(1)
		}
		real.ServeHTTP(w, r)
	}))
	s.push()
	before := writes.Load()
	if err := s.to.Remove(t.Context(), s.subject.Digest, s.subject.Digest); err != nil {
		t.Error(err)
	}
	if writes.Load() != before {
		t.Error("it wrote a list that nobody had")
	}
}

// Other writers of the list lose nothing to removals, and bring nothing back.
func TestRemovalsAmongPushes(t *testing.T) {
	s := newSite(t, slowly(quiet()))
	s.push()
	s.to.pause = 100 * time.Millisecond // a busy machine takes long from reading to writing, too
	const n = 4
	var drop []image.Digest
	for i := range n {
		drop = append(drop, s.mustPush(fmt.Sprint("old", i), fmt.Sprint(i)))
	}
	var want sync.Map
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			if err := s.to.Remove(t.Context(), s.subject.Digest, drop[i]); err != nil {
				t.Error(err)
			}
		})
		wait.Go(func() {
			a := s.artifact(sarifType, fmt.Sprint("new", i))
			a.Kind = fmt.Sprint("new", i)
			d, err := s.to.Push(t.Context(), a)
			if err != nil {
				t.Error(err)
			}
			want.Store(d.String(), true)
		})
	}
	wait.Wait()
	expected := map[string]bool{}
	want.Range(func(d, _ any) bool { expected[fmt.Sprint(d)] = true; return true })
	if diff := cmp.Diff(expected, s.digests()); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

// A registry that refuses to delete says so with its reason; where it lets the list be written,
// the list no longer names it.
func TestRemoveIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		want   oci.Reason
	}{
		{"deletes are switched off", http.StatusMethodNotAllowed, oci.ReasonPushRefused},
		{"deletes are not implemented", http.StatusNotImplemented, oci.ReasonPushRefused},
		{"no right to delete", http.StatusForbidden, oci.ReasonDenied},
		{"it fails", http.StatusInternalServerError, oci.ReasonUnavailable},
	} {
		for api, options := range map[string][]registry.Option{"referrers API": {registry.WithReferrersSupport(true)}, "fallback tag": nil} {
			t.Run(tt.name+", "+api, func(t *testing.T) {
				real := quiet(options...)
				s := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodDelete {
						w.WriteHeader(tt.status)
						return
					}
					real.ServeHTTP(w, r)
				}))
				s.push()
				d := s.mustPush("a", "1")
				err := s.to.Remove(t.Context(), s.subject.Digest, d)
				var e *oci.Error
				if !errors.As(err, &e) || e.Reason != tt.want || tt.want == oci.ReasonPushRefused && !strings.Contains(err.Error(), "refuses to delete it") {
					t.Errorf("error is %v, want the reason %s", err, tt.want)
				}
				if listed := len(s.digests()); options == nil && listed != 0 || options != nil && listed != 1 {
					t.Errorf("%d are listed", listed)
				}
				if err := s.to.Remove(t.Context(), s.subject.Digest, image.DigestOf([]byte("never pushed"))); tt.status < 500 && err != nil {
					t.Errorf("what was never there is not removed: %v", err)
				}
			})
		}
	}
}

// A writer that always brings it back is not outlasted in silence.
func TestRemoveGivesUp(t *testing.T) {
	real := quiet()
	var list atomic.Pointer[string]
	s := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text := list.Load(); text != nil && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/sha256-") {
			w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			_, _ = w.Write([]byte(*text))
			return
		}
		real.ServeHTTP(w, r)
	}))
	s.push()
	s.to.pause = time.Millisecond
	d := s.mustPush("a", "1")
	text := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":2,"digest":%q}]}`, d)
	list.Store(&text)
	if err := s.to.Remove(t.Context(), s.subject.Digest, d); err == nil || !strings.Contains(err.Error(), "other writers kept replacing") {
		t.Errorf("error is %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	var e *oci.Error
	if err := s.to.Remove(ctx, s.subject.Digest, d); !errors.As(err, &e) || e.Reason != oci.ReasonTimedOut {
		t.Errorf("without time the error is %v", err)
	}
}

// The digests of what Push may write are known before, and one of them is what it wrote.
func TestManifestsAreKnownBeforeThePush(t *testing.T) {
	noArtifactType := onPut(quiet(), func(w http.ResponseWriter, r *http.Request, body []byte) bool {
		if !strings.Contains(string(body), `"artifactType"`) || strings.Contains(r.URL.Path, "/manifests/sha256-") {
			return false
		}
		refuseWith(w, http.StatusBadRequest, "MANIFEST_INVALID", "manifest invalid", nil)
		return true
	})
	for i, handler := range []http.Handler{quiet(), noArtifactType} {
		s := newSite(t, handler)
		s.push()
		a := s.artifact(sarifType, "1")
		before, err := Manifests(a)
		if err != nil || len(before) != 2 {
			t.Fatalf("they are %v, %v", before, err)
		}
		if d, err := s.to.Push(t.Context(), a); err != nil || d != before[i] {
			t.Errorf("pushed %s, %v; want %s", d, err, before[i])
		}
	}
	if all, err := Manifests(Artifact{}); err == nil {
		t.Errorf("an artefact about nothing has the manifests %v", all)
	}
}

// What is described is what the bytes say, and what is listed is what the registry says.
func TestDescribe(t *testing.T) {
	s := newSite(t, quiet())
	s.push()
	got, err := s.to.Describe(t.Context(), s.subject.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.subject.MediaType, got.MediaType); diff != "" || got.Size != s.subject.Size || got.Digest != s.subject.Digest {
		t.Errorf("described as %+v, want %+v", got, s.subject)
	}
	var e *oci.Error
	if _, err := s.to.Describe(t.Context(), image.DigestOf([]byte("x"))); !errors.As(err, &e) || e.Reason != oci.ReasonMissing {
		t.Errorf("what is not there: %v", err)
	}
	d := s.mustPush("a", "1")
	for manifest, want := range map[image.Digest]bool{d: true, s.subject.Digest: false} {
		if got, err := s.to.Listed(t.Context(), s.subject.Digest, manifest); err != nil || got != want {
			t.Errorf("%s is listed: %v, %v", manifest, got, err)
		}
	}
}

// Bytes that have another digest describe nothing.
func TestDescribeRecomputes(t *testing.T) {
	real := quiet()
	var wrong atomic.Bool
	s := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wrong.Load() && strings.Contains(r.URL.Path, "/manifests/") {
			_, _ = w.Write([]byte("{}"))
			return
		}
		real.ServeHTTP(w, r)
	}))
	s.push()
	wrong.Store(true)
	var e *oci.Error
	if _, err := s.to.Describe(t.Context(), s.subject.Digest); !errors.As(err, &e) || e.Reason != oci.ReasonCorrupted {
		t.Errorf("error is %v", err)
	}
}
