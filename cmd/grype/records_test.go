package main

import (
	"archive/tar"
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/klauspost/compress/zstd"
)

// record is what of an OSV record a database of Grype's is made of here.
type record struct {
	ID       string
	Modified time.Time
	Aliases  []string
	Affected []struct {
		Package struct{ Name, Ecosystem string }
		Ranges  []struct {
			Events []struct{ Introduced, Fixed string }
		}
	}
}

// archive makes an archive as Grype distributes them, of the records in dir, as of a
// time.
func archive(t *testing.T, dir string, asOf time.Time) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no records: %v", err)
	}
	config := v6.Config{DBDirPath: t.TempDir()}
	w, err := v6.NewWriter(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SetDBMetadata(); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r record
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := r.write(w); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	backdate(t, config, asOf)
	raw, err := os.ReadFile(config.DBFilePath())
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	a := tar.NewWriter(z)
	if err := a.WriteHeader(&tar.Header{Name: v6.VulnerabilityDBFileName, Mode: 0o644, Size: int64(len(raw))}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// backdate sets when the database says that it was built, which its writer takes
// from the clock.
func backdate(t *testing.T, config v6.Config, asOf time.Time) {
	t.Helper()
	db, err := sql.Open("sqlite", config.DBFilePath())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "UPDATE db_metadata SET build_timestamp = ?", asOf); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func (r record) write(w v6.ReadWriter) error {
	for _, a := range r.Affected {
		base, release, _ := strings.Cut(a.Package.Ecosystem, ":")
		from := &v6.Provider{ID: strings.ToLower(base), Version: "1", DateCaptured: &r.Modified}
		vuln := &v6.VulnerabilityHandle{
			Name: r.ID, Status: v6.VulnerabilityActive, ProviderID: from.ID, Provider: from, PublishedDate: &r.Modified, ModifiedDate: &r.Modified,
			BlobValue: &v6.VulnerabilityBlob{ID: r.ID, Aliases: r.Aliases},
		}
		if err := w.AddVulnerabilities(vuln); err != nil {
			return err
		}
		h := &v6.AffectedPackageHandle{VulnerabilityID: vuln.ID, Vulnerability: vuln, BlobValue: &v6.PackageBlob{CVEs: r.Aliases}}
		// Its version type for Go is go: with semver it finds nothing, and says nothing.
		kind := "go"
		switch base {
		case "Debian":
			kind = "dpkg"
			h.OperatingSystem = &v6.OperatingSystem{Name: "debian", MajorVersion: release, Codename: map[string]string{"11": "bullseye", "12": "bookworm"}[release]}
			h.Package = &v6.Package{Ecosystem: "deb", Name: a.Package.Name}
		case "Go":
			h.Package = &v6.Package{Ecosystem: "go-module", Name: a.Package.Name}
		default:
			return fmt.Errorf("packages of %s are not known here", base)
		}
		for _, g := range a.Ranges {
			next := v6.Range{Version: v6.Version{Type: kind}, Fix: &v6.Fix{State: v6.NotFixedStatus}}
			for _, e := range g.Events {
				switch {
				case e.Fixed != "":
					next.Version.Constraint = "< " + e.Fixed
					next.Fix = &v6.Fix{State: v6.FixedStatus, Version: e.Fixed}
				case e.Introduced != "0":
					return fmt.Errorf("ranges that begin at %s are not known here", e.Introduced)
				}
			}
			h.BlobValue.Ranges = append(h.BlobValue.Ranges, next)
		}
		if err := w.AddAffectedPackages(h); err != nil {
			return err
		}
	}
	return nil
}
