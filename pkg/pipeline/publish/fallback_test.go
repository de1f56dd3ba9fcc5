package publish

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/sigstore"
)

// stage is a registry in which something happens before one of the requests that a test makes.
// Reads of the list while it is written are not counted, as their number is not known.
type stage struct {
	next    http.Handler
	mu      sync.Mutex
	count   int
	act     func(n int, write bool) // before request n
	writing bool
	latest  [2]string    // what was asked for by the latest requests that count
	reads   atomic.Int64 // of the list while it is written, answered
}

const reading, asking = "a read of the list", "a question for the API"

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	list := strings.Contains(r.URL.Path, "/manifests/sha256-")
	write, what := list && r.Method == http.MethodPut, ""
	switch {
	case list && r.Method == http.MethodGet:
		what = reading
	case strings.Contains(r.URL.Path, "/referrers/"):
		what = asking
	}
	s.mu.Lock()
	// Two reads follow a question for the API. Any other second read belongs to a write, which may
	// arrive later.
	besides := what == reading && (s.writing || s.latest[0] == reading && s.latest[1] != asking)
	s.writing = s.writing || write
	n, act := s.count, s.act
	counts := !besides && r.URL.Path != "/v2/"
	if counts {
		s.count++
		s.latest = [2]string{what, s.latest[0]}
	}
	s.mu.Unlock()
	if counts && act != nil {
		act(n, write)
	}
	s.next.ServeHTTP(w, r)
	if besides {
		s.reads.Add(1)
	}
	if write {
		s.mu.Lock()
		s.writing = false
		s.mu.Unlock()
	}
}

// on calls act before each request from now on, and counts these from 0.
func (s *stage) on(act func(n int, write bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count, s.act, s.latest = 0, act, [2]string{}
}

// looked waits until the list was read once more while it is written, or nobody does.
func (s *stage) looked() {
	// One may have read before, and not be counted yet.
	before, deadline := s.reads.Load(), time.After(2*time.Second)
	for s.reads.Load() < before+2 {
		select {
		case <-deadline:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// stranger writes to the list as cosign does: it reads it once, adds an entry, and stores it. It
// never looks again.
type stranger struct {
	t          *testing.T
	repository name.Repository
	entry      v1.Descriptor
	list       v1.IndexManifest
}

// newStranger has pushed its artefact, and not read the list.
func newStranger(t *testing.T, host, text string) *stranger {
	t.Helper()
	repository, err := name.NewRepository(host+"/team/app", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	layer := static.NewLayer([]byte(text), types.OCIUncompressedLayer)
	if err := remote.WriteLayer(repository, layer); err != nil {
		t.Fatal(err)
	}
	m, err := newManifest(Artifact{
		Subject: subjectOf(t, repository), Type: "application/vnd.example.stranger", Content: []byte(text), Title: "stranger",
	}, withArtifactType)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Put(repository.Digest(m.digest.String()), m, remote.WithTransport(lenient{http.DefaultTransport})); err != nil {
		t.Fatal(err)
	}
	e, err := entry(Artifact{Type: "application/vnd.example.stranger"}, m)
	if err != nil {
		t.Fatal(err)
	}
	e.Annotations = nil
	return &stranger{t: t, repository: repository, entry: e}
}

// subjectOf is the image that a site has.
func subjectOf(t *testing.T, repository name.Repository) oci.Descriptor {
	t.Helper()
	desc, err := remote.Head(repository.Tag("v1"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := image.ParseDigest(desc.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	return oci.Descriptor{MediaType: string(desc.MediaType), Digest: d, Size: desc.Size}
}

func (s *stranger) tag() name.Tag {
	return fallbackTag(s.repository, subjectOf(s.t, s.repository).Digest)
}

func (s *stranger) read() {
	var err error
	if s.list, err = readList(s.tag(), nil); err != nil {
		s.t.Error(err)
	}
}

// write reports whether the registry took the list. It refuses one that names what was deleted.
func (s *stranger) write() bool {
	s.list.Manifests = append(s.list.Manifests, s.entry)
	err := writeList(s.tag(), s.list, nil)
	if err != nil && !refusesChildren(err) {
		s.t.Error(err)
	}
	return err == nil
}

// Another writer of the list that reads at any of our requests, and stores at that one or a later
// one, loses nothing to us, and we lose nothing to it: not even if it stores while the registry
// takes our list, as long as the list is read once before that is taken.
func TestNothingIsLostToAWriterThatDoesNotLookAgain(t *testing.T) {
	for what, play := range map[string]func(*site, *stage) map[string]bool{
		"pushing": func(s *site, _ *stage) map[string]bool {
			return map[string]bool{s.mustPush("ours", "1").String(): true}
		},
		"replacing": func(s *site, staged *stage) map[string]bool {
			act := staged.act
			staged.on(nil)
			s.mustPush("ours", "1")
			staged.on(act)
			return map[string]bool{s.mustPush("ours", "2").String(): true}
		},
		"removing": func(s *site, staged *stage) map[string]bool {
			act := staged.act
			staged.on(nil)
			keep, drop := s.mustPush("kept", "1"), s.mustPush("ours", "2")
			staged.on(act)
			if err := s.to.Remove(s.t.Context(), s.subject.Digest, drop); err != nil {
				s.t.Error(err)
			}
			return map[string]bool{keep.String(): true}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			schedules := 0
			for reads := 0; ; reads++ {
				last := false
				for writes := reads; ; writes++ {
					reached := interleaved(t, play, reads, writes)
					if !reached {
						last = writes == reads
						break
					}
					schedules++
				}
				if last {
					break
				}
			}
			if schedules < 20 {
				t.Errorf("only %d schedules were played", schedules)
			}
		})
	}
}

// interleaved plays one schedule. It returns false if there are fewer requests.
func interleaved(t *testing.T, play func(*site, *stage) map[string]bool, reads, writes int) bool {
	t.Helper()
	real := quiet()
	staged := &stage{next: real}
	s := newSite(t, staged)
	s.to.pause = time.Millisecond
	s.push()
	direct := httptest.NewServer(real)
	defer direct.Close()
	other := newStranger(t, strings.TrimPrefix(direct.URL, "http://"), "1")
	reached, stored := false, false
	staged.on(func(n int, write bool) {
		if n == reads {
			other.read()
		}
		if n == writes {
			reached, stored = true, other.write()
			if write && stored {
				staged.looked()
			}
		}
	})
	want := play(s, staged)
	staged.on(nil)
	if !reached {
		return false
	}
	if stored {
		want[other.entry.Digest.String()] = true
	}
	if diff := cmp.Diff(want, s.digests()); diff != "" {
		t.Errorf("the other reads before request %d and stores %s before request %d: listed (-want +got):\n%s", reads, other.entry.Digest, writes, diff)
	}
	return true
}

// What one stranger drops of another's goes back in, if it was seen and is still there.
func TestWhatWasSeenGoesBackIn(t *testing.T) {
	for name, deleted := range map[string]bool{"it is there": false, "it was deleted": true} {
		t.Run(name, func(t *testing.T) {
			real := quiet()
			staged := &stage{next: real}
			s := newSite(t, staged)
			s.to.pause = time.Millisecond
			s.push()
			direct := httptest.NewServer(real)
			defer direct.Close()
			host := strings.TrimPrefix(direct.URL, "http://")
			first, second := newStranger(t, host, "1"), newStranger(t, host, "2")
			second.read() // before the first one writes
			first.read()
			first.write()
			var once sync.Once
			staged.on(func(_ int, write bool) {
				if !write {
					return
				}
				once.Do(func() {
					second.write()
					if deleted {
						if err := remote.Delete(first.repository.Digest(first.entry.Digest.String())); err != nil {
							t.Error(err)
						}
					}
					staged.looked()
				})
			})
			ours := s.mustPush("ours", "1")
			want := map[string]bool{ours.String(): true, second.entry.Digest.String(): true}
			if !deleted {
				want[first.entry.Digest.String()] = true
			}
			if diff := cmp.Diff(want, s.digests()); diff != "" {
				t.Errorf("listed (-want +got):\n%s", diff)
			}
		})
	}
}

// A statement that was withdrawn while something else is pushed does not come back, even if the
// registry keeps it: only who published it puts it into the list.
func TestAWithdrawnStatementDoesNotComeBack(t *testing.T) {
	real := quiet()
	staged := &stage{next: real}
	s := newSite(t, staged)
	s.to.pause = time.Millisecond
	s.push()
	direct := httptest.NewServer(real)
	defer direct.Close()
	other := newStranger(t, strings.TrimPrefix(direct.URL, "http://"), "1")
	a := s.artifact(sigstore.BundleType, "{}")
	a.Kind = "statement"
	statement, err := s.to.Push(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	written := false
	staged.on(func(_ int, write bool) {
		if !write && written {
			written = false
			other.read()
			other.list.Manifests = slices.DeleteFunc(other.list.Manifests, func(d v1.Descriptor) bool { return d.Digest.String() == statement.String() })
			other.write()
		} else if write {
			written = true
		}
	})
	report := s.mustPush("report", "1")
	staged.on(nil)
	if diff := cmp.Diff(map[string]bool{report.String(): true, other.entry.Digest.String(): true}, s.digests()); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

// A list that a registry is too busy for is not sent a second time: it is read again first, as
// others may have changed it.
func TestAListIsNeverSentTwice(t *testing.T) {
	for _, code := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			real := quiet()
			direct := httptest.NewServer(real)
			defer direct.Close()
			var other *stranger
			var refused atomic.Int64
			s := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256-") && refused.Add(1) == 1 {
					other.read()
					other.write()
					w.Header().Set("Retry-After", "0")
					w.WriteHeader(code)
					return
				}
				real.ServeHTTP(w, r)
			}))
			s.to.pause = time.Millisecond
			s.push()
			other = newStranger(t, strings.TrimPrefix(direct.URL, "http://"), "1")
			ours := s.mustPush("ours", "1")
			if diff := cmp.Diff(map[string]bool{ours.String(): true, other.entry.Digest.String(): true}, s.digests()); diff != "" {
				t.Errorf("listed (-want +got):\n%s", diff)
			}
			if refused.Load() != 2 {
				t.Errorf("the list was sent %d times", refused.Load())
			}
		})
	}
}
