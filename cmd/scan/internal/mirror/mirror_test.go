package mirror_test

import (
	"archive/zip"
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anchore/grype/grype/search"
	"github.com/anchore/grype/grype/vulnerability"
	syftpkg "github.com/anchore/syft/syft/pkg"
	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/cmd/scan/internal/database"
	"github.com/revet-dev/revet/cmd/scan/internal/mirror"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// names returns which vulnerabilities of a package of npm the database under the tag
// knows.
func (b *bench) names(packages ...string) []string {
	b.t.Helper()
	db, err := database.Open(b.t.Context(), b.host+"/revet/database:current", database.Options{Registry: b.trusted(), MaxAge: 48 * time.Hour, Now: now, Dir: b.t.TempDir()})
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close()
	var all []string
	for _, p := range packages {
		found, err := db.Provider().FindVulnerabilities(search.ByPackageName(p), search.ByEcosystem(syftpkg.JavaScript, syftpkg.NpmPkg))
		if err != nil {
			b.t.Fatal(err)
		}
		for _, v := range found {
			all = append(all, v.ID+" of "+p+" "+v.Constraint.Value()+provider(v))
		}
	}
	return all
}

func provider(v vulnerability.Vulnerability) string {
	if strings.HasPrefix(v.Namespace, database.ProviderMalware+":") {
		return " (malware)"
	}
	return ""
}

// What Anchore publishes is checked, indexed, joined with malicious packages and
// loaded; the second time there is nothing to do, and nothing large is downloaded.
func TestListing(t *testing.T) {
	b := newBench(t)
	b.publish(file(t, []string{record("GHSA-1", "a"), record("GHSA-2", "b")}), nil)
	b.files["/osv/npm/all.zip"] = zipOf(t, record("GHSA-9", "ignored"), `{"id":"MAL-2026-1","modified":"2026-11-09T01:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"evil"},"versions":["1.0.0","1.0.1"]}]}`,
		`{"id":"MAL-2026-2","modified":"2026-11-09T01:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`)
	o := b.options(b.site + "/v6")
	o.Malware, o.Ecosystems = b.site+"/osv", []string{"npm"}
	first := b.mirror(o)
	want := []string{"GHSA-1 of a < 2.0.0", "MAL-2026-2 of a  (malware)", "GHSA-2 of b < 2.0.0", "MAL-2026-1 of evil = 1.0.0 || = 1.0.1 (malware)"}
	if diff := cmp.Diff(want, b.names("a", "b", "evil", "ignored")); diff != "" {
		t.Errorf("vulnerabilities (-want +got):\n%s", diff)
	}
	if got := b.downloads(); got != "/v6/latest.json /osv/npm/all.zip /v6/vulnerability-db_v6.tar.zst" {
		t.Errorf("downloaded %s", got)
	}
	c := first.Config
	if !first.Changed || !c.AsOf.Equal(asOf) || c.Schema != database.Library.String() || c.Records() != 4 {
		t.Errorf("mirrored %+v", first)
	}
	o.Now = now.Add(time.Hour)
	second := b.mirror(o)
	if got := b.downloads(); got != "/v6/latest.json" || second.Changed || second.Digest != first.Digest {
		t.Errorf("the second time, changed %t, downloaded %s", second.Changed, got)
	}
	// What is new in one source takes the other along.
	b.publish(file(t, []string{record("GHSA-1", "a"), record("GHSA-2", "b"), record("GHSA-3", "c")}), nil)
	third := b.mirror(o)
	if !third.Changed || third.Config.Records() != 5 {
		t.Errorf("the third time, changed %t, records %d", third.Changed, third.Config.Records())
	}
	if diff := cmp.Diff([]string{"GHSA-3 of c < 2.0.0", "MAL-2026-1 of evil = 1.0.0 || = 1.0.1 (malware)"}, b.names("c", "evil")); diff != "" {
		t.Errorf("vulnerabilities (-want +got):\n%s", diff)
	}
}

func zipOf(t *testing.T, records ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i, r := range records {
		w, err := z.Create(strings.Repeat("x", i+1) + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A database that scans could not use, or that lost something, leaves the good one.
func TestRefusals(t *testing.T) {
	five := []string{record("GHSA-1", "a"), record("GHSA-2", "b"), record("GHSA-3", "c"), record("GHSA-4", "d"), record("GHSA-5", "e")}
	older := []string{}
	for _, r := range five {
		older = append(older, strings.ReplaceAll(r, asOf.Format(time.RFC3339), asOf.Add(-time.Hour).Format(time.RFC3339)))
	}
	built := func(at time.Time) func(*listing) {
		return func(l *listing) { l.Built = at.Format(time.RFC3339) }
	}
	six := slices.Concat(five, []string{record("GHSA-6", "f")})
	for _, test := range []struct {
		name    string
		records []string
		change  func(*listing)
		// meddle changes the file of the database.
		meddle string
		reason oci.Reason
		says   string
	}{
		{"too new a model", six, func(l *listing) { l.SchemaVersion = "v7.0.0" }, "", vulndb.ReasonTooNew, "upgrade Revet"},
		{"too new a revision", six, func(l *listing) { l.SchemaVersion = "v6.2.0" }, "", vulndb.ReasonTooNew, "upgrade Revet"},
		{"too old a model", six, func(l *listing) { l.SchemaVersion = "5.0.0" }, "", vulndb.ReasonFormat, "mirror a newer one"},
		{"given up", six, func(l *listing) { l.Status = "eol" }, "", vulndb.ReasonTooNew, "upgrade Revet"},
		{"another checksum", six, func(l *listing) { l.Checksum = "sha256:" + strings.Repeat("0", 64) }, "", vulndb.ReasonTampered, "latest.json names sha256:0000"},
		{"no checksum", six, func(l *listing) { l.Checksum = "" }, "", vulndb.ReasonBroken, "its checksum is"},
		{"an archive elsewhere", six, func(l *listing) { l.Path = "../x.tar.zst" }, "", vulndb.ReasonBroken, "a file beside it"},
		{"another schema than the listing's", six, func(l *listing) { l.SchemaVersion = "v6.1.9" }, "", vulndb.ReasonBroken, "its file has the schema 6.1.10"},
		{"another time than the listing's", six, built(asOf.Add(time.Second)), "", vulndb.ReasonBroken, "its file has the schema"},
		{"no time", six, func(l *listing) { l.Built = "0001-01-01T00:00:00Z" }, "", vulndb.ReasonBroken, "the build time of the database"},
		{"of the future", six, built(now.Add(time.Hour)), `UPDATE db_metadata SET build_timestamp = '2026-11-10 13:00:00+00:00'`, vulndb.ReasonBroken, "in the future"},
		{"a file of a newer revision", six, nil, "UPDATE db_metadata SET revision = 2", vulndb.ReasonTooNew, "upgrade Revet"},
		{"a newer schema that does not load", six, func(l *listing) { l.SchemaVersion = "v6.1.99" }, "UPDATE db_metadata SET addition = 99; UPDATE blobs SET value = '[1]'", vulndb.ReasonTooNew, "upgrade Revet"},
		{"blobs that are none", six, nil, "UPDATE blobs SET value = '[1]'", vulndb.ReasonBroken, "does not load"},
		{"constraints that are none", six, nil, `UPDATE blobs SET value = replace(value, '< 2.0.0', '< (2.0.0')`, vulndb.ReasonBroken, "the library finds none of 6"},
		{"no packages", six, nil, "UPDATE packages SET name = 'z' || name || (SELECT name FROM vulnerability_handles v WHERE v.id = packages.id); DELETE FROM affected_package_handles", "", "no records of the ecosystem npm"},
		{"no records", six, nil, "DELETE FROM affected_package_handles; DELETE FROM vulnerability_handles", vulndb.ReasonEmpty, "no record"},
		{"all withdrawn", six, nil, "UPDATE vulnerability_handles SET status = 'rejected'", vulndb.ReasonEmpty, "no record"},
		{"half withdrawn", six, nil, "UPDATE vulnerability_handles SET status = 'rejected' WHERE id < 4", "", "3 records of the provider osv; the old one has 5"},
		{"a quarter is gone", five[:3], nil, "", "", "3 records of the provider osv; the old one has 5"},
		{"a provider is gone", six, nil, "UPDATE providers SET id = 'other'; UPDATE vulnerability_handles SET provider_id = 'other'", "", "no records of the provider osv"},
		{"older", older, built(asOf.Add(-time.Hour)), "", "", "--allow-smaller"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			b.publish(file(t, five), nil)
			before := b.mirror(b.options(b.site + "/v6")).Digest.String()
			var statements []string
			if test.meddle != "" {
				statements = append([]string{"PRAGMA foreign_keys = OFF"}, strings.Split(test.meddle, "; ")...)
			}
			b.publish(file(t, test.records, statements...), test.change)
			o := b.options(b.site + "/v6")
			_, err := mirror.Run(t.Context(), o)
			if err == nil || reason(err) != test.reason || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "is left as it is") {
				t.Errorf("the error is %v\nwant reason %q and %q", err, test.reason, test.says)
			}
			if got := b.digest(); got != before {
				t.Errorf("the tag names %s, and named %s", got, before)
			}
			o.AllowSmaller = true
			if _, err := mirror.Run(t.Context(), o); (err == nil) != (test.reason == "") {
				t.Errorf("with --allow-smaller the error is %v", err)
			}
		})
	}
}

// The same records give the same digest, in whatever order they come, and are not
// written again.
func TestSameRecordsSameDigest(t *testing.T) {
	records := map[string]string{}
	for i, id := range []string{"GHSA-1", "GHSA-2", "GHSA-3", "MAL-2026-1"} {
		records["npm/"+string(rune('a'+i))+".json"] = strings.Replace(record(id, "p"+id), `"affected"`, `"aliases":["CVE-1","CVE-2","CVE-3","CVE-4","CVE-5"],"affected"`, 1)
	}
	records["Go/GO-2026-1.json"] = recordOf("GO-2026-1", "Go", "example.com/m", asOf)
	other := map[string]string{}
	for name, body := range records {
		other["z"+strings.ReplaceAll(name, "/", "/q")] = body
	}
	digests := map[string]bool{}
	for range 3 {
		for _, files := range []map[string]string{records, other} {
			b := newBench(t)
			dir := directory(t, files)
			done := b.mirror(b.options(dir))
			digests[done.Config.File.Digest.String()] = true
			o := b.options(dir)
			o.Now = now.Add(time.Hour)
			if again := b.mirror(o); again.Changed || again.Digest != done.Digest {
				t.Error("the same records were written again")
			}
		}
	}
	if len(digests) != 1 {
		t.Errorf("the same records made %d files", len(digests))
	}
	published := map[string]bool{}
	distributed := file(t, []string{record("GHSA-1", "a"), record("GHSA-2", "b")})
	for range 3 {
		b := newBench(t)
		b.publish(distributed, nil)
		o := b.options(b.site + "/v6")
		o.Malware = directory(t, map[string]string{"a.json": record("MAL-2026-1", "a"), "b.json": record("MAL-2026-2", "c")})
		published[b.mirror(o).Config.File.Digest.String()] = true
	}
	if len(published) != 1 {
		t.Errorf("the same archive made %d files", len(published))
	}
}

// A registry that takes all but the manifest has the old database.
func TestInterrupted(t *testing.T) {
	b := newBench(t)
	b.mirror(b.options(directory(t, map[string]string{"a.json": record("GHSA-1", "a")})))
	before := b.digest()
	for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodPut} {
		b.refuse = func(r *http.Request) bool { return r.Method == method }
		_, err := mirror.Run(t.Context(), b.options(directory(t, map[string]string{"a.json": record("GHSA-1", "a"), "b.json": record("GHSA-2", "b")})))
		b.refuse = nil
		if reason(err) != oci.ReasonDenied || b.digest() != before {
			t.Errorf("after a refused %s, the error is %v, and the tag names %s", method, err, b.digest())
		}
	}
}

// A copy of a mirror has its digest.
func TestMirrorOfAMirror(t *testing.T) {
	b := newBench(t)
	b.mirror(b.options(directory(t, map[string]string{"a.json": record("GHSA-1", "a")})))
	o := b.options(b.host + "/revet/database:current")
	o.To = b.reference(b.host + "/other/database:current")
	for _, changed := range []bool{true, false} {
		done := b.mirror(o)
		if done.Changed != changed || done.Digest.String() != b.digest() {
			t.Errorf("copied %s, changed %t, of %s", done.Digest, done.Changed, b.digest())
		}
	}
	if err := database.Verify(t.Context(), o.To.String(), database.Options{Registry: b.trusted(), Now: now, Dir: t.TempDir()}); err != nil {
		t.Error(err)
	}
}

// A directory is what is in it.
func TestDirectories(t *testing.T) {
	good := file(t, []string{record("GHSA-1", "a")})
	raw, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	logged := bytes.Clone(raw)
	copy(logged[18:], "\x02\x02")
	for _, test := range []struct {
		name   string
		files  map[string]string
		reason oci.Reason
		says   string // of an error, or of a note
		asOf   time.Time
	}{
		{"a file", map[string]string{"vulnerability.db": string(raw)}, "", "", asOf},
		{"a file with a log", map[string]string{"vulnerability.db": string(raw), "vulnerability.db-wal": "x"}, vulndb.ReasonBroken, "was not closed", asOf},
		{"a file that has a log", map[string]string{"vulnerability.db": string(logged)}, vulndb.ReasonBroken, "write-ahead log", asOf},
		{"half of a file", map[string]string{"vulnerability.db": string(raw[:len(raw)/2])}, vulndb.ReasonBroken, "mirror it again", asOf},
		{"no file", map[string]string{"vulnerability.db": "text"}, vulndb.ReasonBroken, "not an SQLite file", asOf},
		{"folders", map[string]string{"npm/a.json": record("GHSA-1", "a"), "npm/deep/er/b.json": record("GHSA-2", "b")}, "", "", asOf},
		{"a zip file", map[string]string{"npm/all.zip": string(zipOf(t, record("GHSA-1", "a")))}, "", "", asOf},
		{"a time", map[string]string{"as-of": now.Add(-time.Hour).Format(time.RFC3339), "a.json": record("GHSA-1", "a")}, "", "", now.Add(-time.Hour)},
		{"a time of the future", map[string]string{"as-of": now.Add(time.Hour).Format(time.RFC3339), "a.json": record("GHSA-1", "a")}, "", "", now},
		{"no time", map[string]string{"as-of": "yesterday", "a.json": record("GHSA-1", "a")}, "", "must be a time like", asOf},
		{"records of the future", map[string]string{"a.json": recordOf("GHSA-1", "npm", "a", now.Add(time.Hour))}, "", "their age is unknown", asOf},
		{"the folder of a Go module", map[string]string{"m@v0.0.0-20261109000000-e22db6528018/a.json": record("GHSA-1", "a")}, "", "", asOf},
		{"a record twice", map[string]string{"a.json": record("GHSA-1", "a"), "b.json": record("GHSA-1", "b")}, "", "appears twice", asOf},
		{"no record", map[string]string{"a.json": "{}"}, "", "--max-unreadable", asOf},
		{"unknown ecosystems", map[string]string{"a.json": record("GHSA-1", "a"), "b.json": recordOf("X-1", "Plan 9", "b", asOf)}, "", `1 records of "Plan 9"`, asOf},
		{"only unknown ecosystems", map[string]string{"b.json": recordOf("X-1", "Plan 9", "b", asOf)}, vulndb.ReasonEmpty, "nothing was written", asOf},
		{"only withdrawn records", map[string]string{"a.json": strings.Replace(record("GHSA-1", "a"), "{", `{"withdrawn":"2026-11-09T12:00:00Z",`, 1)}, vulndb.ReasonEmpty, "no record", asOf},
		{"a release that is none", map[string]string{"b.json": recordOf("X-1", "Debian", "b", asOf)}, "", "names no known release", asOf},
		{"nothing", nil, vulndb.ReasonEmpty, "nothing was written", asOf},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			done, err := mirror.Run(t.Context(), b.options(directory(t, test.files)))
			told := strings.Join(done.Notes, "\n")
			if err != nil {
				told = err.Error()
			}
			if reason(err) != test.reason || !strings.Contains(told, test.says) {
				t.Fatalf("told %q (%v), want %q and %q", told, err, test.reason, test.says)
			}
			if err == nil && !done.Config.AsOf.Equal(test.asOf) {
				t.Errorf("it is of %s, want %s", done.Config.AsOf, test.asOf)
			}
			if (err == nil) != (b.digest() != "") {
				t.Errorf("the tag names %q after %v", b.digest(), err)
			}
		})
	}
}

// A folder of a Go module's version is as old as that says.
func TestModuleTime(t *testing.T) {
	b := newBench(t)
	dir := directory(t, map[string]string{"vulndb@v0.0.0-20261110010203-e22db6528018/data/osv/a.json": record("GHSA-1", "a")})
	done := b.mirror(b.options(filepath.Join(dir, "vulndb@v0.0.0-20261110010203-e22db6528018", "data", "osv")))
	if want := time.Date(2026, 11, 10, 1, 2, 3, 0, time.UTC); !done.Config.AsOf.Equal(want) {
		t.Errorf("it is of %s, want %s", done.Config.AsOf, want)
	}
}
