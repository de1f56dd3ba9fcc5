package sample

import (
	"cmp"
	"strings"
	"testing"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/vulnerability"
	"github.com/anchore/syft/syft/cpe"
	_ "github.com/glebarez/sqlite" // the driver of the databases
)

// Record is a record in a database.
type Record struct {
	ID      string
	Aliases []string
	// Provider is the source of the record; if empty, the distribution or the ecosystem.
	Provider string
	// Severity is a word, Score a CVSS 3 score.
	Severity string
	Vector   string
	// OS is NAME:MAJOR[.MINOR][/CODENAME], or NAME:LABEL for a release without a number.
	OS string
	// Type and Name identify the package; CPE replaces them.
	Type, Name, CPE string
	// Below is the version with the fix; empty if there is none. Format says how to compare
	// versions.
	Below, Format string
	// Module is the stream of an RPM module.
	Module string
	// End is the end of the release's support.
	End time.Time
	// Exploited says that CISA's catalogue lists it.
	Exploited bool
	Summary   string
}

// Database is an open database.
type Database struct{ reader v6.Reader }

// Reader returns a reader of its tables.
func (d Database) Reader() v6.Reader { return d.reader }

// Provider returns a provider of its vulnerabilities.
func (d Database) Provider() vulnerability.Provider { return v6.NewVulnerabilityProvider(d.reader) }

// NewDatabase makes a database from records.
func NewDatabase(t testing.TB, records ...Record) Database {
	t.Helper()
	config := v6.Config{DBDirPath: t.TempDir(), CacheSizeKiB: 1024}
	w, err := v6.NewWriter(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SetDBMetadata(); err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := r.write(w); err != nil {
			t.Fatalf("%s: %v", r.ID, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := v6.Hydrater()(config.DBDirPath); err != nil {
		t.Fatal(err)
	}
	reader, err := v6.NewReader(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	})
	return Database{reader}
}

func (r Record) write(w v6.ReadWriter) error {
	provider := &v6.Provider{ID: cmp.Or(r.Provider, strings.Split(r.OS, ":")[0], "github"), Version: "1"}
	vuln := &v6.VulnerabilityHandle{
		Name: r.ID, Status: v6.VulnerabilityActive, ProviderID: provider.ID, Provider: provider,
		BlobValue: &v6.VulnerabilityBlob{
			ID: r.ID, Aliases: r.Aliases, Description: r.Summary, Severities: r.severities(),
			References: []v6.Reference{{URL: "https://example.com/" + r.ID}},
		},
	}
	if err := w.AddVulnerabilities(vuln); err != nil {
		return err
	}
	if r.Exploited {
		if err := w.AddKnownExploitedVulnerabilities(&v6.KnownExploitedVulnerabilityHandle{Cve: r.ID, BlobValue: &v6.KnownExploitedVulnerabilityBlob{Cve: r.ID}}); err != nil {
			return err
		}
	}
	if r.Name == "" && r.CPE == "" {
		return nil
	}
	blob := &v6.PackageBlob{CVEs: r.Aliases, Ranges: []v6.Range{r.affected()}}
	if r.Module != "" {
		blob.Qualifiers = &v6.PackageQualifiers{RpmModularity: &r.Module}
	}
	if r.CPE != "" {
		a, err := cpe.NewAttributes(r.CPE)
		if err != nil {
			return err
		}
		return w.AddAffectedCPEs(&v6.AffectedCPEHandle{
			VulnerabilityID: vuln.ID, Vulnerability: vuln, CPE: &v6.Cpe{Part: a.Part, Vendor: a.Vendor, Product: a.Product}, BlobValue: blob,
		})
	}
	return w.AddAffectedPackages(&v6.AffectedPackageHandle{
		VulnerabilityID: vuln.ID, Vulnerability: vuln, OperatingSystem: r.os(), Package: &v6.Package{Ecosystem: r.Type, Name: r.Name}, BlobValue: blob,
	})
}

func (r Record) severities() []v6.Severity {
	var all []v6.Severity
	if r.Severity != "" {
		all = append(all, v6.Severity{Scheme: v6.SeveritySchemeCHMLN, Value: r.Severity, Rank: 1})
	}
	if r.Vector != "" {
		all = append(all, v6.Severity{Scheme: v6.SeveritySchemeCVSS, Value: v6.CVSSSeverity{Vector: r.Vector, Version: "3.1"}, Rank: 2})
	}
	return all
}

func (r Record) affected() v6.Range {
	if r.Below == "" {
		return v6.Range{Version: v6.Version{Type: r.Format}, Fix: &v6.Fix{State: v6.NotFixedStatus}}
	}
	return v6.Range{
		Version: v6.Version{Type: r.Format, Constraint: "< " + r.Below}, Fix: &v6.Fix{State: v6.FixedStatus, Version: r.Below},
	}
}

func (r Record) os() *v6.OperatingSystem {
	if r.OS == "" {
		return nil
	}
	name, version, _ := strings.Cut(r.OS, ":")
	version, codename, _ := strings.Cut(version, "/")
	os := &v6.OperatingSystem{Name: name, ReleaseID: name, Codename: codename}
	if name == "rhel" {
		os.Name = "redhat" // Grype's name for it
	}
	if version != "" && version[0] >= '0' && version[0] <= '9' {
		os.MajorVersion, os.MinorVersion, _ = strings.Cut(version, ".")
	} else {
		os.LabelVersion = version
	}
	if !r.End.IsZero() {
		os.EOLDate = &r.End
	}
	return os
}
