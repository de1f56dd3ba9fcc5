package mirror_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/osv"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb/mirror"
)

var (
	now     = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	day     = 24 * time.Hour
	digests = cmp.Comparer(func(a, b image.Digest) bool { return a == b })
)

// record is an OSV record of packages, each written ECOSYSTEM/NAME.
func record(id string, modified time.Time, packages ...string) string {
	var affected []string
	for _, p := range packages {
		ecosystem, name, _ := strings.Cut(p, "/")
		affected = append(affected, fmt.Sprintf(`{"package":{"ecosystem":%q,"name":%q},
  "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2"}]}]}`, ecosystem, name))
	}
	return fmt.Sprintf("{\n \"id\":%q, \"modified\":%q, \"affected\":[%s]}", id, modified.Format(time.RFC3339), strings.Join(affected, ","))
}

// bench is a registry and a source.
type bench struct {
	t      *testing.T
	host   string
	source string // a directory
	now    time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return &bench{t: t, host: strings.TrimPrefix(s.URL, "http://"), source: t.TempDir(), now: now}
}

func (b *bench) write(path, text string) {
	b.t.Helper()
	path = filepath.Join(b.source, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// archive writes ECOSYSTEM/all.zip with records in the order given.
func archive(t *testing.T, records ...string) string {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i, r := range records {
		w, err := z.Create(fmt.Sprintf("record-%d.json", i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func (b *bench) options(tag string) mirror.Options {
	b.t.Helper()
	to, err := vulndb.ParseReference(b.host + "/db:" + tag)
	if err != nil {
		b.t.Fatal(err)
	}
	return mirror.Options{From: b.source, To: to, Registry: trusted(b.t, b.host), Now: b.now, Dir: b.t.TempDir(), MaxDownload: 1 << 20}
}

func trusted(t *testing.T, hosts ...string) fetch.Options {
	t.Helper()
	trust, err := fetch.LoadTrust("", hosts)
	if err != nil {
		t.Fatal(err)
	}
	return fetch.Options{Trust: trust}
}

func (b *bench) run(o mirror.Options) mirror.Result {
	b.t.Helper()
	got, err := mirror.Run(b.t.Context(), o)
	if err != nil {
		b.t.Fatal(err)
	}
	left, err := os.ReadDir(o.Dir)
	if err != nil || len(left) > 0 {
		b.t.Errorf("left in the directory of downloads: %v, %v", left, err)
	}
	return got
}

// ids returns what the database under a tag has of all packages.
func (b *bench) ids(tag string) []string {
	b.t.Helper()
	db, err := vulndb.Open(b.t.Context(), b.host+"/db:"+tag, vulndb.Options{Registry: trusted(b.t, b.host), MaxAge: 1000 * day, Now: b.now})
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close()
	if err := db.Verify(b.t.Context()); err != nil {
		b.t.Error(err)
	}
	var all []string
	err = db.Each(b.t.Context(), func(string, string) bool { return true }, func(r osv.Record) error {
		all = append(all, r.Affected[0].Package.Ecosystem+" "+r.ID)
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// Every layout of a directory gives the same records; those of an ecosystem with
// releases come together.
func TestDirectories(t *testing.T) {
	one := record("DSA-1", now.Add(-2*day), "Debian:12/openssl", "Debian:11/openssl")
	two := record("GO-1", now.Add(-3*day), "Go/golang.org/x/text")
	both := record("GHSA-1", now.Add(-4*day), "Go/example.com/a", "npm/a")
	tests := []struct {
		name  string
		files map[string]string
		only  []string
		want  []string
		notes int
	}{
		{"archives by ecosystem", map[string]string{"Debian/all.zip": archive(t, one), "Go/all.zip": archive(t, two, both), "npm/all.zip": archive(t, both)}, nil,
			[]string{"Debian:12 DSA-1", "Go GHSA-1", "Go GO-1", "npm GHSA-1"}, 0},
		{"records by ecosystem", map[string]string{"Debian/DSA-1.json": one, "Go/GO-1.json": two}, nil, []string{"Debian:12 DSA-1", "Go GO-1"}, 0},
		{"loose records, as a ConfigMap has them", map[string]string{"a.json": both, "b.json": one, "..data/c.json": two}, nil,
			[]string{"Debian:12 DSA-1", "Go GHSA-1", "npm GHSA-1"}, 0},
		{"some ecosystems", map[string]string{"Debian/all.zip": archive(t, one), "Go/all.zip": archive(t, two)}, []string{"Go"}, []string{"Go GO-1"}, 0},
		{"folders of releases, which are in the ecosystem's", map[string]string{"Debian/all.zip": archive(t, one), "Debian:12/all.zip": archive(t, one)}, nil,
			[]string{"Debian:12 DSA-1"}, 1},
		{"a folder that has records of other ecosystems only", map[string]string{"Debian/all.zip": archive(t, one), "Hex/all.zip": archive(t, two)}, nil,
			[]string{"Debian:12 DSA-1"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			for path, text := range tt.files {
				b.write(path, text)
			}
			o := b.options("1")
			o.Ecosystems = tt.only
			got := b.run(o)
			if diff := cmp.Diff(tt.want, b.ids("1")); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if len(got.Notes) != tt.notes {
				t.Errorf("notes %q, want %d", got.Notes, tt.notes)
			}
		})
	}
}

// What a database says of itself is what is in it; it is of its newest record.
func TestConfig(t *testing.T) {
	b := newBench(t)
	b.write("Debian/all.zip", archive(t, record("DSA-1", now.Add(-2*day), "Debian:12/openssl"), record("DSA-2", now.Add(-9*day), "Debian:12/openssl", "Debian:12/curl"),
		record("DSA-3", now.Add(9*day), "Debian:12/zlib")))
	got := b.run(b.options("1"))
	e := got.Config.Ecosystems[0]
	want := vulndb.Config{
		Format: 1, Source: "directory " + b.source, AsOf: now.Add(-2 * day), Mirrored: now,
		Ecosystems: []vulndb.Ecosystem{{Name: "Debian", Records: 3, Packages: 3, Modified: now.Add(-2 * day), Digest: e.Digest, Size: e.Size}},
	}
	if diff := cmp.Diff(want, got.Config, digests); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	b.write("as-of", "2026-03-10T06:00:00Z\n")
	if got := b.run(b.options("1")); !got.Changed || !got.Config.AsOf.Equal(now.Add(-6*time.Hour)) {
		t.Errorf("with a date of its own, changed %t, as of %s", got.Changed, got.Config.AsOf)
	}
}

// The same records give the same digest, in whatever order they lie; and a tag that
// has them already is left alone, whenever that is found out.
func TestTheSameRecordsGiveTheSameDigest(t *testing.T) {
	b := newBench(t)
	records := []string{record("A-1", now.Add(-day), "Go/a", "Go/b"), record("A-2", now.Add(-day), "Go/b"), record("A-3", now.Add(-2*day), "Go/a")}
	b.write("Go/all.zip", archive(t, records...))
	first := b.run(b.options("1"))
	slices.Reverse(records)
	b.write("Go/all.zip", archive(t, records...))
	if again := b.run(b.options("2")); again.Digest != first.Digest {
		t.Errorf("in another order: %s, first %s", again.Digest, first.Digest)
	}
	b.now = now.Add(3 * day)
	later := b.run(b.options("1"))
	if later.Changed || later.Digest != first.Digest || !later.Config.Mirrored.Equal(now) {
		t.Errorf("later: changed %t, %s of %s; first %s", later.Changed, later.Digest, later.Config.Mirrored, first.Digest)
	}
	b.write("Go/all.zip", archive(t, append(records, record("A-4", now, "Go/c"))...))
	if more := b.run(b.options("1")); !more.Changed || more.Digest == first.Digest {
		t.Errorf("with one more: changed %t, %s", more.Changed, more.Digest)
	}
}

// A good database is not lost to a bad one.
func TestGuard(t *testing.T) {
	many := func(ecosystem string, n int, modified time.Time) string {
		var all []string
		for i := range n {
			all = append(all, record(fmt.Sprintf("%s-%d", ecosystem, i), modified, fmt.Sprintf("%s/p%d", ecosystem, i)))
		}
		return archive(t, all...)
	}
	tests := []struct {
		name    string
		next    map[string]string
		want    string // "" for nothing against it
		allowed bool   // with --allow-smaller
	}{
		{"a little less", map[string]string{"Go": many("Go", 15, now), "npm": many("npm", 20, now)}, "", true},
		{"much less", map[string]string{"Go": many("Go", 14, now), "npm": many("npm", 20, now)}, "14 records of Go, and the old one 20", true},
		{"an ecosystem less", map[string]string{"Go": many("Go", 20, now)}, "no records of npm", true},
		{"an older one", map[string]string{"Go": many("Go", 20, now.Add(-2*day)), "npm": many("npm", 20, now.Add(-2*day))}, "is of 2026-03-08", true},
		{"nothing", map[string]string{}, "DatabaseEmpty", false},
		{"empty archives", map[string]string{"Go": many("Go", 0, now), "npm": many("npm", 0, now)}, "DatabaseEmpty", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.write("Go/all.zip", many("Go", 20, now.Add(-day)))
			b.write("npm/all.zip", many("npm", 20, now.Add(-day)))
			first := b.run(b.options("1"))
			b.source = t.TempDir()
			for ecosystem, text := range tt.next {
				b.write(ecosystem+"/all.zip", text)
			}
			o := b.options("1")
			_, err := mirror.Run(t.Context(), o)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if kept, err := vulndb.Inspect(t.Context(), o.To, o.Registry); err != nil || (kept.Digest == first.Digest) != (tt.want != "") {
				t.Errorf("the tag names %s, %v; the first was %s", kept.Digest, err, first.Digest)
			}
			o.AllowSmaller = true
			if _, err := mirror.Run(t.Context(), o); (err == nil) != tt.allowed {
				t.Errorf("where it is allowed: %v", err)
			}
		})
	}
}

// A tag that names something else is somebody's; one that names a database that
// cannot be read is repaired.
func TestWhatWasThere(t *testing.T) {
	b := newBench(t)
	b.write("Go/all.zip", archive(t, record("A-1", now, "Go/a")))
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	o := b.options("app")
	tag, err := name.NewTag(o.To.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, img); err != nil {
		t.Fatal(err)
	}
	o.AllowSmaller = true
	if _, err := mirror.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "choose another tag") {
		t.Errorf("over an image: %v", err)
	}

	o = b.options("broken")
	b.run(o)
	a, err := vulndb.Inspect(t.Context(), o.To, o.Registry)
	if err != nil {
		t.Fatal(err)
	}
	raw := bytes.Replace(a.Manifest, []byte(`"schemaVersion":2`), []byte(`"schemaVersion":3`), 1)
	if tag, err = name.NewTag(o.To.String()); err != nil {
		t.Fatal(err)
	}
	if err := remote.Put(tag, rawManifest(raw)); err != nil {
		t.Fatal(err)
	}
	if got := b.run(o); !got.Changed || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "DatabaseBroken") {
		t.Errorf("over a broken one: %+v", got)
	}
}

// What cannot be trusted to be whole is not written.
func TestRefused(t *testing.T) {
	good := record("A-1", now, "Go/a")
	tests := []struct {
		name  string
		files map[string]string
		edit  func(*mirror.Options)
		want  string
	}{
		{"a record that is none", map[string]string{"Go/all.zip": archive(t, good, `{"id":""}`)}, nil, "allow more than 0 by --max-unreadable"},
		{"half a record", map[string]string{"Go/all.zip": archive(t, good, `{"id":"A-2"`)}, nil, `"record-1.json" in `},
		{"a loose record that is none", map[string]string{"a.json": good, "b.json": "x"}, nil, "correct it, or take it away"},
		{"a record twice", map[string]string{"Go/all.zip": archive(t, good, good)}, nil, "record A-1 is there twice"},
		{"records in a folder and beside it", map[string]string{"Go/all.zip": archive(t, good), "b.json": record("A-2", now, "Go/a")}, nil, "put all into the folder"},
		{"an archive that is none", map[string]string{"Go/all.zip": "x"}, nil, "not a valid zip file"},
		{"records without dates", map[string]string{"Go/all.zip": archive(t, strings.Replace(good, `"modified"`, `"x"`, 1))}, nil, "no record of Go says when"},
		{"an ecosystem that is not there", map[string]string{"Go/all.zip": archive(t, good)}, func(o *mirror.Options) { o.Ecosystems = []string{"Go", "npm"} }, "no records of npm"},
		{"a date that is none", map[string]string{"Go/all.zip": archive(t, good), "as-of": "yesterday"}, nil, "must be a time like"},
		{"a directory that is not there", nil, func(o *mirror.Options) { o.From += "/x" }, "no such file"},
		{"a digest to write to", nil, func(o *mirror.Options) { o.To = vulndb.Reference{} }, "--to names none"},
		{"a URL without ecosystems", nil, func(o *mirror.Options) { o.From = "https://example.com" }, "name some by --ecosystems"},
		{"a URL with a password", nil, func(o *mirror.Options) { o.From, o.Ecosystems = "https://me:secret@example.com", []string{"Go"} }, "https://me:xxxxx@example.com must have no user"},
		{"another scheme", nil, func(o *mirror.Options) { o.From, o.Ecosystems = "gs://osv-vulnerabilities", []string{"Go"} }, "not an https URL"},
		{"an ecosystem with a release", nil, func(o *mirror.Options) { o.Ecosystems = []string{"Debian:12"} }, "not the name of an ecosystem"},
		{"some of a mirror", nil, func(o *mirror.Options) { o.From, o.Ecosystems = "registry.example.com/db:1", []string{"Go"} }, "copied whole"},
		{"a source that is nothing", nil, func(o *mirror.Options) { o.From = "data" }, "no directory (/path or ./path)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			for path, text := range tt.files {
				b.write(path, text)
			}
			o := b.options("1")
			if tt.edit != nil {
				tt.edit(&o)
			}
			_, err := mirror.Run(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// Records that are none are left out if that is allowed, and counted.
func TestUnreadableRecordsAreCounted(t *testing.T) {
	b := newBench(t)
	b.write("Go/all.zip", archive(t, record("A-1", now, "Go/a"), "x", `{"id":"A-2","affected":[{"package":{"ecosystem":"Go","name":"b"},"ranges":[{"events":[{}]}]}]}`))
	o := b.options("1")
	o.MaxUnreadable = 1
	if _, err := mirror.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "allow more than 1") {
		t.Errorf("with one allowed: %v", err)
	}
	o.MaxUnreadable = 2
	if got := b.run(o); got.Config.Ecosystems[0].Unreadable != 2 || got.Config.Records() != 1 {
		t.Errorf("with two allowed: %+v", got.Config)
	}
}

// A copy of another mirror has its digest, and is verified before it is written.
func TestCopy(t *testing.T) {
	b := newBench(t)
	b.write("Go/all.zip", archive(t, record("A-1", now.Add(-day), "Go/a")))
	b.write("npm/all.zip", archive(t, record("B-1", now.Add(-day), "npm/a")))
	first := b.run(b.options("1"))
	for _, from := range []string{b.host + "/db:1", b.host + "/db@" + first.Digest.String()} {
		other := newBench(t)
		other.now = now.Add(day)
		o := other.options("copy")
		o.From, o.Registry = from, trusted(t, b.host, other.host)
		if got := other.run(o); got.Digest != first.Digest || !got.Changed {
			t.Errorf("copy of %s: %+v, want %s", from, got, first.Digest)
		}
		if got := other.run(o); got.Changed {
			t.Error("copied again")
		}
		if diff := cmp.Diff(b.ids("1"), other.ids("copy")); diff != "" {
			t.Errorf("records (-first +copy):\n%s", diff)
		}
	}
	o := b.options("2")
	o.From, o.Now = b.host+"/db:1", now.Add(-5*day)
	if _, err := mirror.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "of the future") {
		t.Errorf("copy of what is of the future: %v", err)
	}
}

// export is a server like OSV's bucket.
type export struct {
	files    map[string]string // by path
	etag     bool
	modified time.Time
	asked    []string // path and status
}

func (e *export) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, ok := e.files[r.URL.Path]
	recorder := &statusRecorder{w, http.StatusOK}
	defer func() { e.asked = append(e.asked, fmt.Sprint(r.URL.Path, " ", recorder.status)) }()
	if !ok {
		http.NotFound(recorder, r)
		return
	}
	if e.etag {
		recorder.Header().Set("ETag", fmt.Sprintf(`"%d"`, len(text)))
	}
	http.ServeContent(recorder, r, "", e.modified, strings.NewReader(text))
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// A URL is asked for what changed only, and what did not is taken from the
// database that is there, unless that is not what it was.
func TestURL(t *testing.T) {
	for _, etag := range []bool{true, false} {
		t.Run(fmt.Sprintf("with an ETag: %t", etag), func(t *testing.T) {
			b := newBench(t)
			e := &export{etag: etag, modified: now.Add(-2 * time.Hour), files: map[string]string{
				"/osv/Red Hat/all.zip": archive(t, record("RHSA-1", now.Add(-2*day), "Red Hat:enterprise_linux:9/openssl")),
				"/osv/Go/all.zip":      archive(t, record("GO-1", now.Add(-day), "Go/a")),
			}}
			s := httptest.NewServer(e)
			t.Cleanup(s.Close)
			o := b.options("1")
			o.From, o.Ecosystems, o.Registry = s.URL+"/osv", []string{"Red Hat", "Go"}, trusted(t, b.host, strings.TrimPrefix(s.URL, "http://"))
			first := b.run(o)
			if !first.Changed || !first.Config.AsOf.Equal(e.modified) || first.Config.Source != s.URL+"/osv" {
				t.Errorf("first: %+v", first)
			}
			if again := b.run(o); again.Changed || again.Digest != first.Digest || !slices.Equal(again.Kept, o.Ecosystems) {
				t.Errorf("again: %+v", again)
			}
			e.files["/osv/Go/all.zip"] = archive(t, record("GO-1", now.Add(-day), "Go/a"), record("GO-2", now.Add(-day), "Go/b"))
			if !etag {
				e.modified = now.Add(-time.Hour)
			}
			more := b.run(o)
			if want := []string{"Red Hat"}; etag && !slices.Equal(more.Kept, want) || !more.Changed {
				t.Errorf("with one more: %+v", more)
			}
			if diff := cmp.Diff([]string{"Go GO-1", "Go GO-2", "Red Hat:enterprise_linux:9 RHSA-1"}, b.ids("1")); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			want := []string{
				"/osv/Red Hat/all.zip 200", "/osv/Go/all.zip 200", "/osv/Red Hat/all.zip 304", "/osv/Go/all.zip 304",
				"/osv/Red Hat/all.zip 304", "/osv/Go/all.zip 200",
			}
			if !etag {
				want[4] = "/osv/Red Hat/all.zip 200" // the same date for both here
			}
			if diff := cmp.Diff(want, e.asked); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// What a source must not do.
func TestURLRefused(t *testing.T) {
	good := archive(t, record("A-1", now, "Go/a"))
	elsewhere := httptest.NewServer(&export{files: map[string]string{"/Go/all.zip": good}})
	t.Cleanup(elsewhere.Close)
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    content.Reason
		text    string
	}{
		{"no such ecosystem", http.NotFound, content.ReasonMissing, `is "Go" the name of an ecosystem`},
		{"a failure", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, content.ReasonUnavailable, "500"},
		{"a page", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, vulndb.ReasonBroken, "no zip file"},
		{"not modified, unasked", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }, content.ReasonUnavailable, "304"},
		{"too much, as it says", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2000000")
			_, _ = w.Write(make([]byte, 2000000))
		}, content.ReasonTooLarge, "--max-download"},
		{"too much, without saying so", func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = w.Write(make([]byte, 2000000))
		}, content.ReasonTooLarge, "--max-download"},
		{"less than it says", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(good[:100]))
		}, content.ReasonUnavailable, "EOF"},
		{"a redirect to another host without TLS", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusFound)
		}, content.ReasonRefused, "plain HTTP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			s := httptest.NewServer(tt.handler)
			t.Cleanup(s.Close)
			o := b.options("1")
			o.From, o.Ecosystems, o.Registry = s.URL, []string{"Go"}, trusted(t, b.host, strings.TrimPrefix(s.URL, "http://"))
			_, err := mirror.Run(t.Context(), o)
			var e *content.Error
			if !errors.As(err, &e) || e.Reason != tt.want || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v, want %s with %q", err, tt.want, tt.text)
			}
		})
	}
}

// A run that is ended leaves the tag as it was.
func TestEnded(t *testing.T) {
	b := newBench(t)
	b.write("Go/all.zip", archive(t, record("A-1", now, "Go/a")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := b.options("1")
	if _, err := mirror.Run(ctx, o); err == nil {
		t.Error("it ran")
	}
	if _, err := vulndb.Inspect(t.Context(), o.To, o.Registry); err == nil {
		t.Error("it wrote")
	}
}

type rawManifest []byte

func (m rawManifest) RawManifest() ([]byte, error) { return m, nil }
func (m rawManifest) MediaType() (types.MediaType, error) {
	return types.OCIManifestSchema1, nil
}
