package fetch_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// storage is a stub that serves one layer as its test wants, and keeps the ranges
// that it was asked for.
type storage struct {
	mu     sync.Mutex
	raw    []byte
	ranges []string
	// serve answers the request n, counted from 1, which begins at from.
	serve func(w http.ResponseWriter, r *http.Request, n, from int)
}

func (s *storage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	n := len(s.ranges)
	s.mu.Unlock()
	from, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-"))
	s.serve(w, r, n, from)
}

// send sends raw[from:to] as the answer to a request from a byte on, and ends the
// connection if that is not all.
func (s *storage) send(w http.ResponseWriter, from, to int) {
	w.Header().Set("Content-Length", strconv.Itoa(len(s.raw)-from))
	if from > 0 {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(s.raw)-1, len(s.raw)))
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = w.Write(s.raw[from:to])
	if to < len(s.raw) {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// closed sends raw[:to] over a connection whose end is the end of the answer.
func (s *storage) closed(t *testing.T, w http.ResponseWriter, to int) {
	conn, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	fmt.Fprint(buffer, "HTTP/1.0 200 OK\r\n\r\n")
	_, _ = buffer.Write(s.raw[:to])
	_ = buffer.Flush()
}

// broken is an image with one layer of some size, which storage serves.
func broken(t *testing.T) (*server, whole, *storage) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 300_000)
	for i := range text {
		text[i] = byte(random.Uint32())
	}
	raw := tarOf(t, string(text))
	s := newServer(t)
	layer := newRawLayer(raw, raw)
	img := imageOf(t, "amd64", layer)
	w := whole{manifest: s.push(t, img), layer: must(layer.Digest())(t), layerBytes: len(raw)}
	store := &storage{raw: raw}
	s.lieAbout(w.layer, store.ServeHTTP)
	return s, w, store
}

// A layer that was cut off is asked for from the byte on that is missing; where
// the registry cannot do so, it is sent again. Its digest is of the whole.
func TestFetchResumes(t *testing.T) {
	const cut = 100_000
	from := func(n int) string { return fmt.Sprintf("bytes=%d-", n) }
	// after cuts the first answer, and then does as it is told.
	after := func(then func(s *storage, w http.ResponseWriter, n, from int)) func(*testing.T, *storage) {
		return func(_ *testing.T, s *storage) {
			s.serve = func(w http.ResponseWriter, _ *http.Request, n, from int) {
				if n == 1 {
					s.send(w, 0, cut)
					return
				}
				then(s, w, n, from)
			}
		}
	}
	rest := func(s *storage, w http.ResponseWriter, _, from int) { s.send(w, from, len(s.raw)) }
	// refusing answers ranges by a status.
	refusing := func(code int) func(s *storage, w http.ResponseWriter, _, from int) {
		return func(s *storage, w http.ResponseWriter, _, from int) {
			if from > 0 {
				w.WriteHeader(code)
				return
			}
			s.send(w, 0, len(s.raw))
		}
	}
	// claiming answers ranges with a header of its own.
	claiming := func(header string) func(s *storage, w http.ResponseWriter, _, from int) {
		return func(s *storage, w http.ResponseWriter, _, from int) {
			if from == 0 {
				s.send(w, 0, len(s.raw))
				return
			}
			w.Header().Set("Content-Range", header)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(s.raw[from:])
		}
	}
	tests := []struct {
		name  string
		serve func(*testing.T, *storage)
		want  []string
	}{
		{"cut once", after(rest), []string{"", from(cut)}},
		{"cut before the first byte", func(_ *testing.T, s *storage) {
			s.serve = func(w http.ResponseWriter, _ *http.Request, n, from int) {
				if n == 1 {
					s.send(w, 0, 0)
				}
				s.send(w, from, len(s.raw))
			}
		}, []string{"", ""}},
		{"cut again and again", after(func(s *storage, w http.ResponseWriter, n, from int) {
			s.send(w, from, min(from+70_000, len(s.raw)))
		}), []string{"", from(cut), from(cut + 70_000), from(cut + 140_000)}},
		{"cut in chunks", func(_ *testing.T, s *storage) {
			s.serve = func(w http.ResponseWriter, _ *http.Request, n, at int) {
				if n > 1 {
					s.send(w, at, len(s.raw))
					return
				}
				_, _ = w.Write(s.raw[:cut])
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
		}, []string{"", from(cut)}},
		{"chunks that end well, and too early", func(_ *testing.T, s *storage) {
			s.serve = func(w http.ResponseWriter, _ *http.Request, n, at int) {
				if n > 1 {
					s.send(w, at, len(s.raw))
					return
				}
				_ = http.NewResponseController(w).Flush()
				_, _ = w.Write(s.raw[:cut])
			}
		}, []string{"", from(cut)}},
		{"closed where no length was announced", func(t *testing.T, s *storage) {
			s.serve = func(w http.ResponseWriter, _ *http.Request, n, at int) {
				if n > 1 {
					s.send(w, at, len(s.raw))
					return
				}
				s.closed(t, w, cut)
			}
		}, []string{"", from(cut)}},
		{"a stall", func(_ *testing.T, s *storage) {
			s.serve = func(w http.ResponseWriter, r *http.Request, n, at int) {
				if n > 1 {
					s.send(w, at, len(s.raw))
					return
				}
				_, _ = w.Write(s.raw[:cut])
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
		}, []string{"", from(cut)}},
		{"a part of what was asked for", after(func(s *storage, w http.ResponseWriter, _, from int) {
			to := min(from+150_000, len(s.raw))
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(s.raw)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(s.raw[from:to])
		}), []string{"", from(cut), from(cut + 150_000)}},
		{"a size that is not told", after(claiming(fmt.Sprintf("bytes %d-300000/*", cut))), []string{"", from(cut)}},
		{"ranges that are passed over", after(func(s *storage, w http.ResponseWriter, _, _ int) { s.send(w, 0, len(s.raw)) }), []string{"", from(cut)}},
		{"ranges that are not satisfiable", after(refusing(416)), []string{"", from(cut), ""}},
		{"ranges that are no method", after(refusing(405)), []string{"", from(cut), ""}},
		{"ranges that are not implemented", after(refusing(501)), []string{"", from(cut), ""}},
		{"ranges that are a bad request", after(refusing(400)), []string{"", from(cut), ""}},
		{"another part", after(claiming("bytes 0-99/*")), []string{"", from(cut), ""}},
		{"a part that says not which", after(claiming("")), []string{"", from(cut), ""}},
		{"a part of something else", after(claiming(fmt.Sprintf("bytes %d-99/7", cut))), []string{"", from(cut), ""}},
		{"a part of something larger", after(claiming(fmt.Sprintf("bytes %d-300000/999999", cut))), []string{"", from(cut), ""}},
		{"a part in another unit", after(claiming(fmt.Sprintf("pages %d-300000/*", cut))), []string{"", from(cut), ""}},
		{"other bytes than the part says", after(func(s *storage, w http.ResponseWriter, n, from int) {
			if from == 0 {
				s.send(w, 0, len(s.raw))
				return
			}
			(&storage{raw: bytes.Repeat([]byte("x"), len(s.raw))}).send(w, from, len(s.raw))
		}), []string{"", from(cut), ""}},
		{"500 when it is resumed", after(func(s *storage, w http.ResponseWriter, n, from int) {
			if n == 2 {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			s.send(w, from, len(s.raw))
		}), []string{"", from(cut), from(cut)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, w, store := broken(t)
			tt.serve(t, store)
			var set setting
			if tt.name == "a stall" {
				set.options.Stall = 300 * time.Millisecond
			}
			if _, _, err := s.pull(t, w.manifest, set); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.want, store.ranges); diff != "" {
				t.Errorf("ranges (-want +got):\n%s", diff)
			}
		})
	}
}

// A layer that never comes to its end costs a bounded number of requests.
func TestFetchGivesUpResuming(t *testing.T) {
	tests := []struct {
		name  string
		serve func(s *storage, w http.ResponseWriter, from int)
		want  oci.Reason
		says  string
		asked int
	}{
		{"no further byte", func(s *storage, w http.ResponseWriter, from int) { s.send(w, from, max(from, 10)) },
			oci.ReasonUnavailable, "broke off 4 times, the last time after 10 bytes", 4},
		{"one byte each time", func(s *storage, w http.ResponseWriter, from int) { s.send(w, from, from+1) },
			oci.ReasonUnavailable, "broke off 33 times, the last time after 33 bytes", 33},
		{"from its first byte each time", func(s *storage, w http.ResponseWriter, _ int) { s.send(w, 0, 50_000*len(s.ranges)) },
			oci.ReasonUnavailable, "sends everything again", 5},
		{"a layer that is gone", func(s *storage, w http.ResponseWriter, from int) {
			if from > 0 {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			s.send(w, 0, 10)
		}, oci.ReasonMissing, "404", 2},
		{"other bytes each time", func(s *storage, w http.ResponseWriter, from int) {
			if from == 0 {
				s.raw[0] ^= 1
			}
			s.send(w, from, len(s.raw))
		}, oci.ReasonCorrupted, "its bytes have the digest", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, w, store := broken(t)
			store.serve = func(w http.ResponseWriter, _ *http.Request, _, from int) { tt.serve(store, w, from) }
			_, dir, err := s.pull(t, w.manifest, setting{})
			wantError(t, err, tt.want, tt.says)
			wantNoLayout(t, dir)
			if n := len(store.ranges); n != tt.asked {
				t.Errorf("it was asked %d times, want %d", n, tt.asked)
			}
		})
	}
}

// A manifest that is cut off is read again, from its first byte.
func TestFetchReadsACutManifestAgain(t *testing.T) {
	s := newServer(t)
	w := pushWhole(t, s)
	asked := s.first(2, manifestPath(w), func(rw http.ResponseWriter, r *http.Request) {
		if part := r.Header.Get("Range"); part != "" {
			t.Errorf("it was asked for the part %q", part)
		}
		rw.Header().Set("Content-Length", strconv.Itoa(len(w.manifestBytes)))
		_, _ = rw.Write(w.manifestBytes[:50])
	})
	if _, _, err := s.pull(t, w.manifest, setting{}); err != nil || asked.Load() != 3 {
		t.Errorf("asked %d times, %v", asked.Load(), err)
	}
}
