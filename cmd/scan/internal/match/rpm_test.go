package match_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/anchore/grype/grype/vulnerability"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/cmd/scan/internal/match"
	"github.com/revet-dev/revet/cmd/scan/internal/sample"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// manifest is how a distribution without RPM's database names its packages.
func manifest(id string) sample.Files {
	return sample.Files{
		"etc/os-release": "ID=\"" + id + "\"\nVERSION_ID=\"9.4\"\nID_LIKE=\"rhel centos fedora\"\n",
	}
}

// packages is an inventory of packages of RPM's, as the step sbom writes it.
func packages(t *testing.T, id string, all ...result.Package) result.InventoryImage {
	t.Helper()
	img := take(t, manifest(id)).Images[0]
	img.Gaps, img.Packages = nil, all
	return img
}

func of(source, module string) result.Package {
	m := `{"epoch":1,"modularityLabel":` + module + `,"architecture":"x86_64"}`
	return result.Package{
		Name: source + "-libs", Version: "1:3.0.7-1.el9", Type: "rpm", PURL: "pkg:rpm/x/" + source + "-libs@3.0.7-1.el9",
		Upstreams: []result.Upstream{{Name: source, Version: "3.0.7-1.el9"}}, Metadata: &result.Metadata{Kind: "rpm", Value: []byte(m)},
	}
}

// RPM's packages are compared by their source, and those of a module within its stream.
func TestRPMNames(t *testing.T) {
	openssl := sample.Record{ID: "CVE-1", OS: "rhel:9", Type: "rpm", Name: "openssl", Below: "1:3.0.8-1.el9", Format: "rpm", Severity: "high"}
	stream18 := sample.Record{ID: "CVE-1", OS: "rhel:9", Type: "rpm", Name: "nodejs-libs", Below: "1:18.0.0-1.el9", Format: "rpm", Severity: "high", Module: "nodejs:18"}
	for _, test := range []struct {
		name, distribution string
		pkg                result.Package
		record             sample.Record
		want               []string
	}{
		{"Rocky's, by its source", "rocky", of("openssl", "null"), openssl, []string{"CVE-1 openssl-libs 1:3.0.7-1.el9 high fix 1:3.0.8-1.el9"}},
		{"AlmaLinux's, by its source", "almalinux", of("openssl", "null"), openssl, []string{"CVE-1 openssl-libs 1:3.0.7-1.el9 high fix 1:3.0.8-1.el9"}},
		{"of another source", "rocky", of("gnutls", "null"), openssl, nil},
		{"of another stream", "almalinux", of("nodejs", `"nodejs:16:8060020220523160029:d9f72c26"`), stream18, nil},
		{"of the stream", "almalinux", of("nodejs", `"nodejs:18:8060020220523160029:d9f72c26"`), stream18, []string{"CVE-1 nodejs-libs 1:3.0.7-1.el9 high fix 1:18.0.0-1.el9"}},
		{"of no stream", "rocky", of("nodejs", `""`), stream18, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			img := packages(t, test.distribution, test.pkg)
			looked, found, err := match.New(sample.NewDatabase(t, test.record), now).Image(t.Context(), img)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, lines(result.Findings{Images: []result.ScannedImage{looked}, Vulnerabilities: found}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
		})
	}
}

// What was written down is matched again with the same result, whatever became of the
// image, and the inventory changes nothing of what a matcher reads.
func TestMatchingAgain(t *testing.T) {
	stanza := "Package: libssl3\nStatus: install ok installed\nSource: openssl (3.0.1-1)\nArchitecture: amd64\nVersion: 3.0.1-1+b1\n\n"
	stock := take(t, debian("12").And(dpkg(stanza), npm("lodash", "4.17.20"), python("urllib3", "1.26.12")))
	db := sample.NewDatabase(t, deb("CVE-1", "debian:12", "openssl", "3.0.1-2"), language("GHSA-1", "npm", "lodash", "4.17.21", "semver"), language("GHSA-2", "python", "urllib3", "2", "python"))
	first, err := match.New(db, now).File(t.Context(), stock)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := result.WriteInventory(dir, stock); err != nil {
		t.Fatal(err)
	}
	read, _, err := result.ReadInventory(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := match.New(db, now).File(t.Context(), read)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again, cmpopts.EquateComparable(image.Digest{})); diff != "" || len(first.Vulnerabilities) != 3 {
		t.Errorf("from memory and from the inventory (-first +again):\n%s", diff)
	}
}

// failing is a database that cannot be read.
type failing struct{ sample.Database }

var errRead = errors.New("disk I/O error")

func (f failing) Provider() vulnerability.Provider { return failingProvider{f.Database.Provider()} }

type failingProvider struct{ vulnerability.Provider }

func (failingProvider) FindVulnerabilities(...vulnerability.Criteria) ([]vulnerability.Vulnerability, error) {
	return nil, errRead
}

// A database that cannot be read is an error: Grype's matchers say nothing of it.
func TestDatabaseThatCannotBeRead(t *testing.T) {
	stock := take(t, npm("lodash", "4.17.20"))
	db := failing{sample.NewDatabase(t, language("GHSA-1", "npm", "lodash", "4.17.21", "semver"))}
	_, err := match.New(db, now).File(t.Context(), stock)
	var e *oci.Error
	if !errors.As(err, &e) || e.Reason != vulndb.ReasonBroken || !errors.Is(err, errRead) || !strings.Contains(err.Error(), "mirror it again") {
		t.Errorf("error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := match.New(db, now).File(ctx, stock); !errors.Is(err, context.Canceled) {
		t.Errorf("with no time left, the error is %v", err)
	}
}

// An inventory that another version wrote, or a stranger, is no reason to find nothing.
func TestInventoryThatIsNotKnown(t *testing.T) {
	for name, p := range map[string]result.Package{
		"metadata of an unknown kind":      {Name: "x", Version: "1", Type: "rpm", Metadata: &result.Metadata{Kind: "other", Value: []byte("{}")}},
		"broken metadata":                  {Name: "x", Version: "1", Type: "rpm", Metadata: &result.Metadata{Kind: "rpm", Value: []byte(`{"epoch":"x"}`)}},
		"a name of the NVD's that is none": {Name: "x", Version: "1", Type: "binary", CPEs: []result.CPE{{Value: "cpe:x"}}},
	} {
		_, _, err := match.New(sample.NewDatabase(t), now).Image(t.Context(), result.InventoryImage{Packages: []result.Package{p}})
		if err == nil || !strings.Contains(err.Error(), "the inventory's package") {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}
