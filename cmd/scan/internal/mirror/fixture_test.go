package mirror_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
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
	"sync"
	"testing"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/klauspost/compress/zstd"

	"github.com/revet-dev/revet/cmd/scan/internal/database"
	"github.com/revet-dev/revet/cmd/scan/internal/mirror"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

var (
	now  = time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)
	asOf = now.Add(-24 * time.Hour)
)

// record is a record in OSV's format of a package of npm, of all versions before 2.
func record(id, name string) string { return recordOf(id, "npm", name, asOf) }

func recordOf(id, ecosystem, name string, modified time.Time) string {
	return fmt.Sprintf(`{"id":%q,"modified":%q,"affected":[{"package":{"ecosystem":%q,"name":%q},
		"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"2.0.0"}]}]}]}`, id, modified.Format(time.RFC3339), ecosystem, name)
}

// bench is a registry, and a site that hands out files.
type bench struct {
	t    *testing.T
	host string
	// refuse is asked before each request to the registry.
	refuse func(*http.Request) bool
	site   string
	mu     sync.Mutex
	files  map[string][]byte
	asked  []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, files: map[string][]byte{}}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.refuse != nil && b.refuse(r) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	b.host = strings.TrimPrefix(s.URL, "http://")
	site := httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(site.Close)
	b.site = site.URL
	return b
}

// serve hands out a file under an ETag.
func (b *bench) serve(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body, ok := b.files[r.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	tag := fmt.Sprintf(`"%x"`, sha256.Sum256(body))
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	b.asked = append(b.asked, r.URL.Path)
	_, _ = w.Write(body)
}

// downloads returns what was handed out since the last call.
func (b *bench) downloads() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := strings.Join(b.asked, " ")
	b.asked = nil
	return all
}

func (b *bench) trusted() fetch.Options {
	trust, err := fetch.LoadTrust("", []string{b.host, strings.TrimPrefix(b.site, "http://")})
	if err != nil {
		b.t.Fatal(err)
	}
	return fetch.Options{Trust: trust}
}

func (b *bench) reference(s string) vulndb.Reference {
	ref, err := vulndb.ParseReference(s)
	if err != nil {
		b.t.Fatal(err)
	}
	return ref
}

func (b *bench) options(from string) mirror.Options {
	return mirror.Options{
		From: from, To: b.reference(b.host + "/revet/database:current"), Registry: b.trusted(),
		Now: now, Dir: b.t.TempDir(), MaxDownload: 64 << 20,
	}
}

func (b *bench) mirror(o mirror.Options) mirror.Result {
	b.t.Helper()
	done, err := mirror.Run(b.t.Context(), o)
	if err != nil {
		b.t.Fatal(err)
	}
	return done
}

// digest is what the tag names; empty for nothing.
func (b *bench) digest() string {
	b.t.Helper()
	a, err := vulndb.Inspect(b.t.Context(), b.reference(b.host+"/revet/database:current"), b.trusted())
	if reason(err) == vulndb.ReasonMissing {
		return ""
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return a.Digest.String()
}

// directory holds files by their names.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

type texts []string

func (r texts) Len() int                   { return len(r) }
func (r texts) Name(i int) string          { return fmt.Sprintf("record %d", i) }
func (r texts) Read(i int) ([]byte, error) { return []byte(r[i]), nil }

// file makes a database as builders distribute it: without an index; statements change
// it first.
func file(t *testing.T, records []string, statements ...string) string {
	t.Helper()
	dir := t.TempDir()
	if b, err := database.Build(t.Context(), dir, texts(records), database.BuildOptions{Now: now}); err != nil || b.Records != len(records) {
		t.Fatal(b, err)
	}
	path := filepath.Join(dir, v6.VulnerabilityDBFileName)
	db, err := v6.NewLowLevelDB(path, false, true, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append([]string{"DROP INDEX idx_package", "DROP INDEX idx_package_name"}, statements...) {
		if err := db.Exec(s).Error; err != nil {
			t.Fatal(err)
		}
	}
	inner, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	if err := inner.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// listing is what latest.json says, and the archive that it names.
type listing struct {
	Status        string `json:"status"`
	SchemaVersion string `json:"schemaVersion"`
	Built         string `json:"built"`
	Path          string `json:"path"`
	Checksum      string `json:"checksum"`
}

func archive(t *testing.T, name, path string) []byte {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	err = w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(body))})
	_, writeErr := w.Write(body)
	if err := errors.Join(err, writeErr, w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// publish puts a database on the site as Anchore does; change edits what latest.json
// says of it.
func (b *bench) publish(path string, change func(*listing)) {
	b.t.Helper()
	body := archive(b.t, v6.VulnerabilityDBFileName, path)
	l := listing{"active", "v" + database.Library.String(), asOf.Format(time.RFC3339), "vulnerability-db_v6.tar.zst", fmt.Sprintf("sha256:%x", sha256.Sum256(body))}
	if change != nil {
		change(&l)
	}
	raw, err := json.Marshal(l)
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.files["/v6/latest.json"], b.files["/v6/vulnerability-db_v6.tar.zst"] = raw, body
}

func reason(err error) oci.Reason {
	var e *oci.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}
