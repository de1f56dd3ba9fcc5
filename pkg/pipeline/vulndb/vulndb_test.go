package vulndb_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

var now = time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)

// bench is a registry that hands out what meddle makes of what it has.
type bench struct {
	t      *testing.T
	host   string
	meddle func(path string, body []byte) []byte
	file   []byte
	dir    string
	config vulndb.Config
	pushed vulndb.Artifact
}

// newBench has a database of two parts under the tag 1; change edits its config.
func newBench(t *testing.T, change func(*vulndb.Config)) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.meddle == nil || r.Method != http.MethodGet {
			inner.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		inner.ServeHTTP(answer, r)
		body := b.meddle(r.URL.Path, answer.Body.Bytes())
		if body == nil && answer.Body.Len() > 0 {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	b.host = strings.TrimPrefix(s.URL, "http://")
	b.file = make([]byte, vulndb.PartSize+1000)
	random := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < 100_000; i++ {
		b.file[i*600] = byte(random.Uint32())
	}
	path := filepath.Join(b.dir, "file")
	if err := os.WriteFile(path, b.file, 0o600); err != nil {
		t.Fatal(err)
	}
	stored, err := vulndb.Compress(t.Context(), path, b.dir)
	if err != nil {
		t.Fatal(err)
	}
	b.config = vulndb.Config{
		Schema: "6.1.10", Indexed: "6.1.10", Source: "https://example.com", AsOf: now.Add(-time.Hour), Mirrored: now,
		Providers: []vulndb.Provider{{Name: "b", Records: 1}, {Name: "a", Records: 2}}, Ecosystems: []vulndb.Ecosystem{{Name: "npm", Records: 3}},
		File: stored.File, Parts: stored.Parts,
	}
	if change != nil {
		change(&b.config)
	}
	if b.pushed, err = vulndb.Pack(b.config); err != nil {
		t.Fatal(err)
	}
	if err := vulndb.Push(t.Context(), b.reference(":1"), b.pushed, b.dir, b.trusted()); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) trusted() fetch.Options {
	trust, err := fetch.LoadTrust("", []string{b.host})
	if err != nil {
		b.t.Fatal(err)
	}
	return fetch.Options{Trust: trust}
}

func (b *bench) reference(suffix string) vulndb.Reference {
	ref, err := vulndb.ParseReference(b.host + "/revet/database" + suffix)
	if err != nil {
		b.t.Fatal(err)
	}
	return ref
}

func reason(err error) oci.Reason {
	var e *oci.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// What was pushed comes back, or an error that says what it is, and then no file.
func TestPull(t *testing.T) {
	b := newBench(t, nil)
	byDigest := "@" + b.pushed.Digest.String()
	manifest, config := b.pushed.Digest.String(), configOf(b.pushed.Manifest)
	first, second := b.config.Parts[0].Digest.String(), b.config.Parts[1].Digest.String()
	flip := func(body []byte) []byte {
		body = bytes.Clone(body)
		body[len(body)/2] ^= 1
		return body
	}
	gone := func([]byte) []byte { return nil }
	swap := func(old, with string) func([]byte) []byte {
		return func(body []byte) []byte {
			if !bytes.Contains(body, []byte(old)) {
				t.Errorf("%q is not there to be changed", old)
			}
			return bytes.Replace(body, []byte(old), []byte(with), 1)
		}
	}
	for _, test := range []struct {
		name, reference, blob string
		change                func([]byte) []byte
		most                  time.Duration
		want                  oci.Reason
	}{
		{"by tag", ":1", "", nil, 0, ""},
		{"by digest", byDigest, "", nil, 2 * time.Hour, ""},
		{"no such tag", ":2", "", nil, 0, vulndb.ReasonMissing},
		{"too old", ":1", "", nil, time.Minute, vulndb.ReasonTooOld},
		{"a byte of the manifest", byDigest, manifest, flip, 0, vulndb.ReasonTampered},
		{"a byte of the config", ":1", config, flip, 0, vulndb.ReasonTampered},
		{"a byte of a part", ":1", second, flip, 0, vulndb.ReasonTampered},
		{"half of a part", ":1", first, func(body []byte) []byte { return body[:len(body)/2] }, 0, vulndb.ReasonTampered},
		{"a part and more", ":1", second, func(body []byte) []byte { return append(bytes.Clone(body), 0) }, 0, vulndb.ReasonTampered},
		{"a part is gone", ":1", second, gone, 0, vulndb.ReasonBroken},
		{"the config is gone", ":1", config, gone, 0, vulndb.ReasonBroken},
		{"another artefact", ":1", "/1", swap(vulndb.ArtifactType, "application/vnd.example"), 0, vulndb.ReasonFormat},
		{"another version of the config", ":1", "/1", swap("config.v2", "config.v3"), 0, vulndb.ReasonFormat},
		{"another type of layer", ":1", "/1", swap("part.v2", "part.v3"), 0, vulndb.ReasonBroken},
		{"no manifest", ":1", "/1", func([]byte) []byte { return []byte("<html>") }, 0, vulndb.ReasonBroken},
		{"other parts than the config's", ":1", "/1", swap(first, second), 0, vulndb.ReasonBroken},
	} {
		t.Run(test.name, func(t *testing.T) {
			b.meddle = func(path string, body []byte) []byte {
				if test.change == nil || !strings.HasSuffix(path, test.blob) {
					return body
				}
				return test.change(body)
			}
			path := filepath.Join(t.TempDir(), "file")
			a, err := vulndb.Pull(t.Context(), b.reference(test.reference), vulndb.Options{Registry: b.trusted(), MaxAge: test.most, Now: now}, path)
			if reason(err) != test.want || err != nil && !strings.Contains(err.Error(), ";") {
				t.Fatalf("error %v, want %q and a cure", err, test.want)
			}
			got, readErr := os.ReadFile(path)
			if test.want != "" {
				if !os.IsNotExist(readErr) {
					t.Error("there is a file")
				}
				return
			}
			if a.Digest != b.pushed.Digest || !bytes.Equal(got, b.file) {
				t.Errorf("pulled %s, %d bytes (%v)", a.Digest, len(got), readErr)
			}
		})
	}
}

func configOf(raw []byte) string {
	var m struct {
		Config struct{ Digest string } `json:"config"`
	}
	_ = json.Unmarshal(raw, &m)
	return m.Config.Digest
}

// A config that contradicts itself is refused, whoever packs it.
func TestConfig(t *testing.T) {
	good := newBench(t, nil).config
	for _, test := range []struct {
		name   string
		change func(*vulndb.Config)
		want   oci.Reason
	}{
		{"nothing", func(*vulndb.Config) {}, ""},
		{"no records", func(c *vulndb.Config) { c.Providers = []vulndb.Provider{{Name: "a"}} }, vulndb.ReasonEmpty},
		{"negative records", func(c *vulndb.Config) { c.Providers[0].Records = -1 }, vulndb.ReasonBroken},
		{"a provider twice", func(c *vulndb.Config) { c.Providers[0].Name = "a" }, vulndb.ReasonBroken},
		{"too many records", func(c *vulndb.Config) { c.Ecosystems[0].Records = vulndb.MaxRecords + 1 }, vulndb.ReasonBroken},
		{"no schema", func(c *vulndb.Config) { c.Schema = "" }, vulndb.ReasonBroken},
		{"no time", func(c *vulndb.Config) { c.AsOf = time.Time{} }, vulndb.ReasonBroken},
		{"newer than its mirror", func(c *vulndb.Config) { c.AsOf = c.Mirrored.Add(time.Hour) }, vulndb.ReasonBroken},
		{"no parts", func(c *vulndb.Config) { c.Parts = nil }, vulndb.ReasonBroken},
		{"a part too few", func(c *vulndb.Config) { c.Parts = c.Parts[:1] }, vulndb.ReasonBroken},
		{"a part that is too large", func(c *vulndb.Config) { c.Parts[0].Unpacked++; c.File.Size++ }, vulndb.ReasonBroken},
		{"a part that is stored too large", func(c *vulndb.Config) { c.Parts[0].Size = 1 << 30 }, vulndb.ReasonBroken},
		{"too large a file", func(c *vulndb.Config) { c.File.Size = vulndb.MaxFile + 1 }, vulndb.ReasonBroken},
		{"too many parts", func(c *vulndb.Config) { c.Parts = append(c.Parts, make([]vulndb.Part, 100)...) }, vulndb.ReasonBroken},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := good
			c.Providers, c.Ecosystems, c.Parts = append(c.Providers[:0:0], c.Providers...), append(c.Ecosystems[:0:0], c.Ecosystems...), append(c.Parts[:0:0], c.Parts...)
			test.change(&c)
			if _, err := vulndb.Pack(c); reason(err) != test.want {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// A file that does not have the digest that the config names, though all parts have
// theirs, is as if it was tampered with; a part that is no part is broken.
func TestPullOfLies(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*vulndb.Config)
		want   oci.Reason
	}{
		{"the file's digest", func(c *vulndb.Config) { c.File.Digest = c.Parts[0].Digest }, vulndb.ReasonTampered},
		{"what a part unpacks to", func(c *vulndb.Config) { c.Parts[1].Unpacked--; c.File.Size-- }, vulndb.ReasonBroken},
		{"more than a part unpacks to", func(c *vulndb.Config) { c.Parts[1].Unpacked++; c.File.Size++ }, vulndb.ReasonBroken},
	} {
		b := newBench(t, test.change)
		path := filepath.Join(t.TempDir(), "file")
		if _, err := vulndb.Pull(t.Context(), b.reference(":1"), vulndb.Options{Registry: b.trusted(), Now: now}, path); reason(err) != test.want {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s: there is a file", test.name)
		}
	}
}

// A claim to be of the future would never be too old.
func TestCheckAge(t *testing.T) {
	c := vulndb.Config{AsOf: now}
	for _, test := range []struct {
		at   time.Time
		most time.Duration
		want oci.Reason
	}{
		{now.Add(time.Hour), time.Hour, ""},
		{now.Add(time.Hour + 1), time.Hour, vulndb.ReasonTooOld},
		{now.Add(1000 * time.Hour), 0, ""},
		{now.Add(-10 * time.Minute), time.Hour, ""},
		{now.Add(-11 * time.Minute), 0, vulndb.ReasonBroken},
	} {
		if err := c.CheckAge(test.most, test.at); reason(err) != test.want {
			t.Errorf("at %s: %v, want %q", test.at, err, test.want)
		}
	}
}

// A scan whose time runs out says so.
func TestPullRunsOutOfTime(t *testing.T) {
	b := newBench(t, nil)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := vulndb.Pull(ctx, b.reference(":1"), vulndb.Options{Registry: b.trusted(), Now: now}, filepath.Join(t.TempDir(), "f")); reason(err) != oci.ReasonTimedOut {
		t.Errorf("error %v", err)
	}
}
