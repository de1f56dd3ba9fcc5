package vulndb_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/osv"
	"github.com/revet-dev/revet/pkg/pipeline/report"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb/mirror"
)

var (
	now     = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	asOf    = now.Add(-24 * time.Hour)
	digests = cmp.Comparer(func(a, b image.Digest) bool { return a == b })
)

func record(id string, packages ...string) string {
	var affected []string
	for _, p := range packages {
		ecosystem, name, _ := strings.Cut(p, "/")
		affected = append(affected, fmt.Sprintf(`{"package":{"ecosystem":%q,"name":%q},"versions":["1"]}`, ecosystem, name))
	}
	return fmt.Sprintf(`{"id":%q,"modified":%q,"affected":[%s]}`, id, asOf.Format(time.RFC3339), strings.Join(affected, ","))
}

// bench is a registry that hands out what meddle makes of what it has.
type bench struct {
	t        *testing.T
	host     string
	meddle   func(path string, body []byte) []byte
	artifact vulndb.Artifact
}

// newBench has a database of two ecosystems under the tag 1.
func newBench(t *testing.T, records ...string) *bench {
	t.Helper()
	b := &bench{t: t}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.meddle == nil || r.Method != http.MethodGet {
			inner.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		inner.ServeHTTP(answer, r)
		for _, h := range []string{"Content-Type", "Docker-Content-Digest"} {
			w.Header().Set(h, answer.Header().Get(h))
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(b.meddle(r.URL.Path, answer.Body.Bytes()))
	}))
	t.Cleanup(s.Close)
	b.host = strings.TrimPrefix(s.URL, "http://")
	source := t.TempDir()
	if len(records) == 0 {
		records = []string{
			record("DSA-1", "Debian:12/openssl", "Debian:11/openssl"), record("DSA-2", "Debian:12/curl", "Debian:12/openssl"),
			record("GO-1", "Go/golang.org/x/text"), record("GHSA-1", "Go/example.com/a", "Go/example.com/ü\t", "Debian:12/a"),
		}
	}
	for i, r := range records {
		if err := os.WriteFile(filepath.Join(source, fmt.Sprintf("%d.json", i)), []byte(r), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	to, err := vulndb.ParseReference(b.ref())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mirror.Run(t.Context(), mirror.Options{From: source, To: to, Registry: b.trusted(), Now: now, Dir: t.TempDir(), MaxDownload: 1}); err != nil {
		t.Fatal(err)
	}
	if b.artifact, err = vulndb.Inspect(t.Context(), to, b.trusted()); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) ref() string { return b.host + "/revet/db:1" }

func (b *bench) trusted() fetch.Options {
	b.t.Helper()
	trust, err := fetch.LoadTrust("", []string{b.host})
	if err != nil {
		b.t.Fatal(err)
	}
	return fetch.Options{Trust: trust}
}

func (b *bench) options() vulndb.Options {
	return vulndb.Options{Registry: b.trusted(), MaxAge: 48 * time.Hour, Now: now, Dir: b.t.TempDir()}
}

// open opens the database and reads it with an unfriendly eye.
func (b *bench) open(reference string, o vulndb.Options) error {
	db, err := vulndb.Open(b.t.Context(), reference, o)
	if left, e := os.ReadDir(o.Dir); e != nil || len(left) > 0 {
		b.t.Errorf("left in the directory: %v, %v", left, e)
	}
	if err != nil {
		return err
	}
	defer db.Close()
	return errors.Join(
		db.Each(b.t.Context(), func(string, string) bool { return true }, func(osv.Record) error { return nil }),
		db.Verify(b.t.Context()))
}

// A scan gets the records of its packages, each once, narrowed to the ecosystem;
// it can tell what the database has nothing of.
func TestOpen(t *testing.T) {
	b := newBench(t)
	for _, reference := range []string{b.ref(), b.host + "/revet/db@" + b.artifact.Digest.String()} {
		db, err := vulndb.Open(t.Context(), reference, b.options())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if diff := cmp.Diff(report.Database{Digest: b.artifact.Digest, AsOf: asOf}, db.Info(), digests); diff != "" {
			t.Errorf("info (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"Debian", "Go"}, db.Ecosystems()); diff != "" {
			t.Errorf("ecosystems (-want +got):\n%s", diff)
		}
		for _, test := range []struct {
			wanted string
			want   []string
		}{
			{"Debian openssl", []string{"DSA-2 Debian:12/curl Debian:12/openssl", "DSA-1 Debian:12/openssl Debian:11/openssl"}},
			{"Debian curl, Debian openssl", []string{"DSA-2 Debian:12/curl Debian:12/openssl", "DSA-1 Debian:12/openssl Debian:11/openssl"}},
			{"Go example.com/a, Debian a", []string{"GHSA-1 Debian:12/a", "GHSA-1 Go/example.com/a Go/example.com/ü\t"}},
			{"Go example.com/ü\t", []string{"GHSA-1 Go/example.com/a Go/example.com/ü\t"}},
			{"Go openssl, npm openssl", nil},
		} {
			var got []string
			err := db.Each(t.Context(), func(ecosystem, name string) bool {
				return strings.Contains(test.wanted+",", ecosystem+" "+name+",")
			}, func(r osv.Record) error {
				text := r.ID
				for _, a := range r.Affected {
					text += " " + a.Package.Ecosystem + "/" + a.Package.Name
				}
				got = append(got, text)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("records of %s (-want +got):\n%s", test.wanted, diff)
			}
		}
		if err := db.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		stop := errors.New("stop")
		if err := db.Each(t.Context(), func(string, string) bool { return true }, func(osv.Record) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("the caller's error came back as %v", err)
		}
	}
}

// What is not chosen is not pulled, and nobody can take it for looked at.
func TestOnly(t *testing.T) {
	b := newBench(t)
	var pulled []string
	b.meddle = func(path string, body []byte) []byte {
		pulled = append(pulled, path)
		return body
	}
	o := b.options()
	o.Only = func(ecosystem string) bool { return ecosystem == "Go" }
	db, err := vulndb.Open(t.Context(), b.ref(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if diff := cmp.Diff([]string{"Go"}, db.Ecosystems()); diff != "" {
		t.Errorf("ecosystems (-want +got):\n%s", diff)
	}
	debian, _ := b.artifact.Config.Ecosystem("Debian")
	if strings.Contains(strings.Join(pulled, " "), debian.Digest.String()) {
		t.Errorf("pulled %q", pulled)
	}
}

// A database that grows over many blocks is read one block at a time.
func TestManyBlocks(t *testing.T) {
	var records []string
	for i := range 600 {
		r := record(fmt.Sprintf("GO-%d", i), fmt.Sprintf("Go/p%d", i%50))
		records = append(records, strings.Replace(r, "{", fmt.Sprintf(`{"details":%q,`, strings.Repeat("x", 2000)), 1))
	}
	b := newBench(t, records...)
	db, err := vulndb.Open(t.Context(), b.ref(), b.options())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	n := 0
	if err := db.Each(t.Context(), func(_, name string) bool { return name == "p7" }, func(r osv.Record) error {
		n++
		if r.Affected[0].Package.Name != "p7" {
			t.Errorf("record %s is of %s", r.ID, r.Affected[0].Package.Name)
		}
		return nil
	}); err != nil || n != 12 {
		t.Errorf("%d records, %v; want 12", n, err)
	}
	if err := db.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// How old a database is counts from its data, and too old is an error that says so.
func TestAge(t *testing.T) {
	b := newBench(t)
	tests := []struct {
		name   string
		now    time.Time
		maxAge time.Duration
		want   content.Reason
	}{
		{"young enough", now, 24 * time.Hour, ""},
		{"a second too old", now.Add(time.Second), 24 * time.Hour, vulndb.ReasonTooOld},
		{"clocks that differ a little", asOf.Add(-5 * time.Minute), time.Hour, ""},
		{"of the future", asOf.Add(-time.Hour), time.Hour, vulndb.ReasonBroken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := b.options()
			o.Now, o.MaxAge = tt.now, tt.maxAge
			if err := b.open(b.ref(), o); reason(err) != tt.want {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	for _, o := range []vulndb.Options{{Now: now}, {Now: now, MaxAge: -1}, {MaxAge: time.Hour}} {
		if _, err := vulndb.Open(t.Context(), b.ref(), o); err == nil || !strings.Contains(err.Error(), "must be positive") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func reason(err error) content.Reason {
	var e *content.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	if err != nil {
		return "(none)"
	}
	return ""
}

// Whatever is changed on the way, or in the registry, is seen before any record of
// it is believed.
func TestTampered(t *testing.T) {
	flip := func(body []byte) []byte {
		body = bytes.Clone(body)
		body[len(body)/2] ^= 1
		return body
	}
	b := newBench(t)
	config, manifest := digestOf(b.artifact.RawConfig), b.artifact.Digest
	debian, goes := b.artifact.Config.Ecosystems[0], b.artifact.Config.Ecosystems[1]
	layers := map[string][]byte{}
	b.meddle = func(path string, body []byte) []byte {
		layers[path[strings.LastIndex(path, "/")+1:]] = body
		return body
	}
	if err := b.open(b.ref(), b.options()); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, blob string
		change     func([]byte) []byte
		byDigest   bool
		want       content.Reason
	}{
		{"a byte of the manifest, by digest", manifest.String(), flip, true, vulndb.ReasonTampered},
		{"a byte of the config", config.String(), flip, false, vulndb.ReasonTampered},
		{"a byte of a layer", debian.Digest.String(), flip, false, vulndb.ReasonTampered},
		{"a byte of the last layer", goes.Digest.String(), flip, true, vulndb.ReasonTampered},
		{"a layer in another's place", goes.Digest.String(), func([]byte) []byte { return layers[debian.Digest.String()] }, false, vulndb.ReasonTampered},
		{"half a layer", goes.Digest.String(), func(b []byte) []byte { return b[:len(b)/2] }, false, vulndb.ReasonTampered},
		{"a layer and more", goes.Digest.String(), func(b []byte) []byte { return append(bytes.Clone(b), 0) }, false, vulndb.ReasonTampered},
		{"half a config", config.String(), func(b []byte) []byte { return b[:len(b)/2] }, false, vulndb.ReasonTampered},
		{"half a manifest", "1", func(b []byte) []byte { return b[:len(b)/2] }, false, vulndb.ReasonBroken},
		{"no manifest", "1", func([]byte) []byte { return nil }, false, vulndb.ReasonBroken},
		{"a manifest without an end", "1", func(b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), content.MaxManifest)...) }, false, vulndb.ReasonBroken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changed := false
			b.meddle = func(path string, body []byte) []byte {
				if !strings.HasSuffix(path, "/"+tt.blob) {
					return body
				}
				changed = true
				return tt.change(body)
			}
			reference := b.ref()
			if tt.byDigest {
				reference = b.host + "/revet/db@" + manifest.String()
			}
			err := b.open(reference, b.options())
			if reason(err) != tt.want || !changed || !strings.Contains(err.Error(), "database "+b.host+"/revet/db") {
				t.Errorf("error %v, want %s; changed %t", err, tt.want, changed)
			}
		})
	}
}

// What is not there says what to do.
func TestMissing(t *testing.T) {
	b := newBench(t)
	tests := []struct {
		name, reference string
		want            content.Reason
		text            string
	}{
		{"a tag", b.host + "/revet/db:2", vulndb.ReasonMissing, "step database mirror"},
		{"a repository", b.host + "/revet/other:1", vulndb.ReasonMissing, "correct the parameter database"},
		{"a digest", b.host + "/revet/db@" + digestOf([]byte("x")).String(), vulndb.ReasonMissing, "there is none"},
		{"a reference without a tag", b.host + "/revet/db", "(none)", "write host/path:tag or host/path@sha256:hex"},
		{"a reference with both", b.host + "/revet/db:1@" + b.artifact.Digest.String(), "(none)", "no valid path"},
		{"nothing", "", "(none)", "names no tag and no digest"},
		{"a registry that is not there", "127.0.0.1:1/db:1", content.ReasonRefused, "plain HTTP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := b.open(tt.reference, b.options()); reason(err) != tt.want || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v, want %s with %q", err, tt.want, tt.text)
			}
		})
	}
	repository, err := name.NewRepository(b.host + "/revet/db")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Put(repository.Tag("image"), empty.Image); err != nil {
		t.Fatal(err)
	}
	if err := b.open(b.host+"/revet/db:image", b.options()); reason(err) != vulndb.ReasonFormat || !strings.Contains(err.Error(), "no vulnerability database") {
		t.Errorf("an image: %v", err)
	}
}

// forge pushes a database that was written by somebody else, with digests that fit.
func (b *bench) forge(config func(map[string]any), manifest func(map[string]any), layers map[string][]byte) string {
	b.t.Helper()
	repository, err := name.NewRepository(b.host + "/revet/db")
	if err != nil {
		b.t.Fatal(err)
	}
	put := func(raw []byte) string {
		l := static.NewLayer(raw, types.MediaType(vulndb.ConfigType))
		if err := remote.WriteLayer(repository, l); err != nil {
			b.t.Fatal(err)
		}
		return digestOf(raw).String()
	}
	var c, m map[string]any
	if err := errors.Join(json.Unmarshal(b.artifact.RawConfig, &c), json.Unmarshal(b.artifact.Manifest, &m)); err != nil {
		b.t.Fatal(err)
	}
	for i, e := range b.artifact.Config.Ecosystems {
		if raw, ok := layers[e.Name]; ok {
			for _, place := range []any{c["ecosystems"].([]any)[i], m["layers"].([]any)[i]} {
				place.(map[string]any)["digest"], place.(map[string]any)["size"] = put(raw), len(raw)
			}
		}
	}
	if config != nil {
		config(c)
	}
	raw, err := json.Marshal(c)
	if err != nil {
		b.t.Fatal(err)
	}
	m["config"].(map[string]any)["digest"], m["config"].(map[string]any)["size"] = put(raw), len(raw)
	if manifest != nil {
		manifest(m)
	}
	if raw, err = json.Marshal(m); err != nil {
		b.t.Fatal(err)
	}
	if err := remote.Put(repository.Tag("forged"), rawManifest(raw)); err != nil {
		b.t.Fatal(err)
	}
	return b.host + "/revet/db:forged"
}

type rawManifest []byte

func (m rawManifest) RawManifest() ([]byte, error)        { return m, nil }
func (m rawManifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

func digestOf(raw []byte) image.Digest {
	h, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		panic(err)
	}
	d, err := image.ParseDigest(h.String())
	if err != nil {
		panic(err)
	}
	return d
}

// A config that lies, and a manifest that does not fit, are found out.
func TestLies(t *testing.T) {
	b := newBench(t)
	first := func(c map[string]any) map[string]any { return c["ecosystems"].([]any)[0].(map[string]any) }
	layer := func(m map[string]any) map[string]any { return m["layers"].([]any)[0].(map[string]any) }
	tests := []struct {
		name             string
		config, manifest func(map[string]any)
		want             content.Reason
		text             string
	}{
		{"nothing changed", nil, nil, "", ""},
		{"more records", func(c map[string]any) { first(c)["records"] = 300 }, nil, vulndb.ReasonBroken, "Records:300"},
		{"fewer packages", func(c map[string]any) { first(c)["packages"] = 1 }, nil, vulndb.ReasonBroken, "Packages:1"},
		{"another ecosystem", func(c map[string]any) { first(c)["name"] = "Alpine" }, nil, vulndb.ReasonBroken, "Ecosystem:Alpine"},
		{"an ecosystem with a release", func(c map[string]any) { first(c)["name"] = "Debian:12" }, nil, vulndb.ReasonBroken, "not the name of an ecosystem"},
		{"an ecosystem twice", func(c map[string]any) { first(c)["name"] = "Go" }, nil, vulndb.ReasonBroken, "there twice"},
		{"ecosystems in no order", func(c map[string]any) { first(c)["name"] = "Zig" }, nil, vulndb.ReasonBroken, "not sorted"},
		{"no ecosystems", func(c map[string]any) { c["ecosystems"] = nil }, nil, vulndb.ReasonEmpty, "holds no record"},
		{"no records", func(c map[string]any) {
			for _, e := range c["ecosystems"].([]any) {
				e.(map[string]any)["records"] = 0
			}
		}, nil, vulndb.ReasonEmpty, "mirror it again from a source that has records"},
		{"newer than its records", func(c map[string]any) { c["asOf"] = now }, nil, vulndb.ReasonBroken, "its ecosystems say 2026-03-09"},
		{"newer than its records, consistently", func(c map[string]any) { c["asOf"], first(c)["modified"] = now, now }, nil, vulndb.ReasonBroken, "no record is of 2026-03-10"},
		{"without an age", func(c map[string]any) { delete(c, "asOf") }, nil, vulndb.ReasonBroken, "how old"},
		{"mirrored before it was there", func(c map[string]any) { c["mirrored"] = asOf.Add(-time.Hour) }, nil, vulndb.ReasonBroken, "mirrored before"},
		{"a later format", func(c map[string]any) { c["format"], c["index"] = 2, "x" }, nil, vulndb.ReasonFormat, "format 2, and this version reads 1"},
		{"no format", func(c map[string]any) { delete(c, "format") }, nil, vulndb.ReasonFormat, "format 0"},
		{"a field that is not known", func(c map[string]any) { c["trusted"] = true }, nil, vulndb.ReasonBroken, "unknown field"},
		{"a layer without an end", func(c map[string]any) { first(c)["size"] = int64(3) << 30 }, nil, vulndb.ReasonBroken, "at most 2147483648"},
		{"another size", func(c map[string]any) { first(c)["size"] = 5 }, nil, vulndb.ReasonBroken, "another layer than the config"},
		{"another artifactType", nil, func(m map[string]any) { m["artifactType"] = "application/sarif+json" }, vulndb.ReasonFormat, "no vulnerability database"},
		{"another type of config", nil, func(m map[string]any) { m["config"].(map[string]any)["mediaType"] = vulndb.ConfigType + "2" }, vulndb.ReasonFormat, "its config is a"},
		{"a config without an end", nil, func(m map[string]any) { m["config"].(map[string]any)["size"] = 2 << 20 }, vulndb.ReasonBroken, "at most 1048576"},
		{"another type of layer", nil, func(m map[string]any) { layer(m)["mediaType"] = types.OCILayer }, vulndb.ReasonBroken, "its type is"},
		{"layers swapped", nil, func(m map[string]any) { l := m["layers"].([]any); l[0], l[1] = l[1], l[0] }, vulndb.ReasonBroken, "another layer than the config"},
		{"layers swapped, consistently", func(c map[string]any) {
			x, y := first(c), c["ecosystems"].([]any)[1].(map[string]any)
			for _, k := range []string{"digest", "size", "records", "packages"} {
				x[k], y[k] = y[k], x[k]
			}
		}, func(m map[string]any) { l := m["layers"].([]any); l[0], l[1] = l[1], l[0] }, vulndb.ReasonBroken, "its index is of"},
		{"a layer less", nil, func(m map[string]any) { m["layers"] = m["layers"].([]any)[:1] }, vulndb.ReasonBroken, "1 layers and its config 2"},
		{"a layer that is gone", func(c map[string]any) { first(c)["digest"] = digestOf([]byte("x")) },
			func(m map[string]any) { layer(m)["digest"] = digestOf([]byte("x")) }, vulndb.ReasonBroken, "gone from the registry"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := b.open(b.forge(tt.config, tt.manifest, nil), b.options())
			if reason(err) != tt.want || err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v, want %s with %q", err, tt.want, tt.text)
			}
		})
	}
}

// zipped makes a layer of files, in order.
func zipped(t *testing.T, files ...[2]string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range files {
		w, err := z.Create(f[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A layer that a stranger wrote is read within bounds, and never believed more than
// it is worth.
func TestForgedLayers(t *testing.T) {
	b := newBench(t, record("GO-1", "Go/a"), record("GO-2", "Go/b"))
	block := record("GO-1", "Go/a") + "\n" + record("GO-2", "Go/b") + "\n"
	const header = `{"format":1,"ecosystem":"Go","records":2,"packages":2,"blocks":1}` + "\n"
	tests := []struct {
		name  string
		files [][2]string
		want  string // "" for a good one
	}{
		{"a good one", [][2]string{{"records/0", block}, {"index", header + "\"a\" 0.0\n\"b\" 0.1\n"}}, ""},
		{"no index", [][2]string{{"records/0", block}}, `the last is not "index"`},
		{"nothing", nil, "it has 0 files"},
		{"another file", [][2]string{{"records/0", block}, {"../x", ""}, {"index", header}}, `its file 1 is "../x"`},
		{"an empty index", [][2]string{{"records/0", block}, {"index", ""}}, "its index is empty"},
		{"an index without a header", [][2]string{{"records/0", block}, {"index", "\"a\" 0.0\n"}}, "first line"},
		{"a name that is none", [][2]string{{"records/0", block}, {"index", header + "a 0.0\n\"b\" 0.1\n"}}, "does not begin with a name"},
		{"names in no order", [][2]string{{"records/0", block}, {"index", header + "\"b\" 0.1\n\"a\" 0.0\n"}}, "not in order"},
		{"a name twice", [][2]string{{"records/0", block}, {"index", header + "\"a\" 0.1\n\"a\" 0.0\n"}}, "not in order"},
		{"a name without records", [][2]string{{"records/0", block}, {"index", header + "\"a\"\n\"b\" 0.1\n"}}, "no place"},
		{"a place twice", [][2]string{{"records/0", block}, {"index", header + "\"a\" 0.0 0.0\n\"b\" 0.1\n"}}, "not in order"},
		{"a block that is not there", [][2]string{{"records/0", block}, {"index", header + "\"a\" 0.0\n\"b\" 1.0\n"}}, "no place"},
		{"a record that is not there", [][2]string{{"records/0", block}, {"index", header + "\"a\" 0.0\n\"b\" 0.2\n"}}, "names number 2"},
		{"a negative place", [][2]string{{"records/0", block}, {"index", header + "\"a\" 0.-1\n\"b\" 0.1\n"}}, "no place"},
		{"a record that is left out of the index", [][2]string{{"records/0", block}, {"index", header + "\"a\" 0.0\n\"b\" 0.0\n"}}, "it has 1 records"},
		{"a package that is left out of the index", [][2]string{{"records/0", block}, {"index", header + "\"a\" 0.0 0.1\n"}}, "of 1 packages"},
		{"a record under another name", [][2]string{{"records/0", block}, {"index", header + "\"a\" 0.0\n\"c\" 0.1\n"}}, `the index finds it by ["c"]`},
		{"more packages than the config says", [][2]string{{"records/0", block}, {"index", header + "\"a\" 0.0\n\"b\" 0.1\n\"c\" 0.1\n"}}, "it has more than"},
		{"a record that is none", [][2]string{{"records/0", "{}\n" + block}, {"index", header + "\"a\" 0.0\n\"b\" 0.1\n"}}, "its id is"},
		{"a record twice", [][2]string{{"records/0", strings.ReplaceAll(block, "GO-2", "GO-1")}, {"index", header + "\"a\" 0.0\n\"b\" 0.1\n"}}, "GO-1 is there twice"},
		{"a block that is a bomb", [][2]string{{"records/0", strings.Repeat(" ", 20<<20)}, {"index", header + "\"a\" 0.0\n\"b\" 0.1\n"}}, "more than"},
		{"a line without an end", [][2]string{{"records/0", block}, {"index", header + "\"" + strings.Repeat("a", 2<<20) + "\" 0.0\n"}}, "token too long"},
		{"a name that is too long", [][2]string{{"records/0", block}, {"index", header + "\"" + strings.Repeat("a", 2<<10) + "\" 0.0\n"}}, "is no name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := b.open(b.forge(nil, nil, map[string][]byte{"Go": zipped(t, tt.files...)}), b.options())
			if tt.want == "" && err == nil {
				return
			}
			if reason(err) != vulndb.ReasonBroken || tt.want == "" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	t.Run("no zip file", func(t *testing.T) {
		err := b.open(b.forge(nil, nil, map[string][]byte{"Go": []byte("x")}), b.options())
		if reason(err) != vulndb.ReasonBroken {
			t.Errorf("error %v", err)
		}
	})
}

// A registry that stalls, and time that runs out, end the opening.
func TestTimeRunsOut(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	if _, err := vulndb.Open(ctx, b.ref(), b.options()); reason(err) != content.ReasonTimedOut {
		t.Errorf("error %v", err)
	}
}
