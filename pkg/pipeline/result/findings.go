package result

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

const (
	scanFolder   = "scan"
	findingsName = "findings.json"
	maxFindings  = 64 << 20
)

// Level is the severity of a vulnerability, in the words of CVSS. The zero value is not a level,
// and is refused.
type Level string

// The levels, worst first.
const (
	LevelCritical Level = "critical"
	LevelHigh     Level = "high"
	LevelMedium   Level = "medium"
	LevelLow      Level = "low"
	// Unknown means that the source gives no severity.
	LevelUnknown Level = "unknown"
)

// Levels returns all levels, worst first. Unknown comes last, because it says nothing.
func Levels() []Level { return []Level{LevelCritical, LevelHigh, LevelMedium, LevelLow, LevelUnknown} }

// Findings is the result of one scan.
type Findings struct {
	// Digest is the image or index that fetch pulled.
	Digest   image.Digest `json:"digest"`
	Scanner  Tool         `json:"scanner"`
	Database ScanDatabase `json:"database"`
	// Inventory is the digest of the inventory's bytes that the scanner judged. It is zero for a
	// scanner that reads none.
	Inventory image.Digest `json:"inventory,omitzero"`
	// Images are all scanned images.
	Images []ScannedImage `json:"images"`
	// Vulnerabilities are sorted: worst first, then by package and identifier.
	Vulnerabilities []Vulnerability `json:"vulnerabilities"`
}

// Tool is a program that examined images.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// ScanDatabase is the vulnerability database of a scan.
type ScanDatabase struct {
	// Reference is the location that the database was pulled from. Digest is the digest of what was
	// pulled.
	Reference string       `json:"reference"`
	Digest    image.Digest `json:"digest"`
	// AsOf is the time at which its source was current. The age of the database counts from it.
	AsOf time.Time `json:"asOf"`
	// Schema is the version of its format, in the scanner's notation: "6.1.9".
	Schema string `json:"schema,omitempty"`
	// Ecosystems are the ecosystems it has records for, in OSV's names: "Debian:12", "Go".
	Ecosystems []string `json:"ecosystems"`
}

// ScannedImage is a scanned image.
type ScannedImage struct {
	Platform string       `json:"platform"`
	Digest   image.Digest `json:"digest"`
	// Distribution is ID:VERSION_ID from its os-release, "debian:12", or empty.
	Distribution string `json:"distribution,omitempty"`
	// Packages is the number of packages found in it.
	Packages int `json:"packages"`
	// Kinds counts the packages by kind, in the words of package URLs: "deb", "golang", "npm".
	Kinds map[string]int `json:"kinds,omitempty"`
	// Gaps are the parts of the image that the scanner could not check.
	Gaps []Gap `json:"gaps,omitempty"`
}

// Gap is a part of an image that the scanner could not check, or not in full. The policy decides by
// the gap's rule whether it fails the image.
type Gap struct {
	// Rule is one of the Rule constants.
	Rule string `json:"rule"`
	// Subject is what the gap is about: a distribution and release ("debian:13"), a kind
	// of package ("conda"), a path; or empty.
	Subject string `json:"subject,omitempty"`
	// Message says in one line what was not checked and why, and how to fix that.
	Message string `json:"message"`
	// Count is the number of packages or files that the gap is about. Examples names a few of them.
	Count    int      `json:"count,omitempty"`
	Examples []string `json:"examples,omitempty"`
}

// The rules for what a scanner could not check. By default each fails the image.
const (
	// RuleUncoveredRelease: the database has no records of the distribution, or of its release.
	RuleUncoveredRelease = "uncovered-release"
	// RuleUncoveredPackages: the database has no records for a kind of package.
	RuleUncoveredPackages = "uncovered-packages"
	// RuleUncomparedPackages: packages have no version, or a version that cannot be compared.
	RuleUncomparedPackages = "uncompared-packages"
	// RuleUnreadFiles: files that name packages are unreadable, or in a format that Revet does not
	// read.
	RuleUnreadFiles = "unread-files"
	// RuleNoPackages: the scanner found no packages in the image.
	RuleNoPackages = "no-packages"
	// RuleLimitedSupport: the distribution no longer supports the release, or gives fixes to
	// subscribers only. The database learns nothing new about it.
	RuleLimitedSupport = "limited-support"
)

// Vulnerability is one vulnerability of one package of one image.
type Vulnerability struct {
	ID      string   `json:"id"`
	Aliases []string `json:"aliases,omitempty"`
	Level   Level    `json:"level"`
	// Score is the CVSS base score. It is 0 if the source gives none.
	Score   float64           `json:"score,omitempty"`
	Summary string            `json:"summary,omitempty"`
	URL     string            `json:"url,omitempty"`
	Package VulnerablePackage `json:"package"`
	// Malware is set if the package itself is malicious.
	Malware bool `json:"malware,omitempty"`
	// KnownExploited is set if CISA's catalogue of exploited vulnerabilities lists it.
	KnownExploited bool `json:"knownExploited,omitempty"`
	// FixedIn lists the versions with a fix. It is empty while no fix exists.
	FixedIn  []string     `json:"fixedIn,omitempty"`
	Platform string       `json:"platform"`
	Digest   image.Digest `json:"digest"` // the image, not the index that fetch pulled
	// Ignored says why the finding fails nothing. It is nil unless the finding is ignored.
	Ignored *Ignored `json:"ignored,omitempty"`
}

// VulnerablePackage is the package of an image that a vulnerability affects.
type VulnerablePackage struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Ecosystem string `json:"ecosystem"` // OSV's name
	// Kind is the kind in the words of package URLs: "deb", "golang", "npm".
	Kind string `json:"kind,omitempty"`
	PURL string `json:"purl"`
	// Locations are paths in the image, at most 5.
	Locations []string `json:"locations,omitempty"`
}

// Ignored says why a finding fails nothing.
type Ignored struct {
	Reason string `json:"reason"`
	// Owner is the person or team that answers for it, if the entry names one.
	Owner string `json:"owner,omitempty"`
	// By names the source: "policy", or the identifier of an OpenVEX document.
	By string `json:"by"`
	// Expires is the time from which the finding counts again. Zero means never.
	Expires time.Time `json:"expires,omitzero"`
}

// ErrNoFindings means that no scanner wrote into the layout.
var ErrNoFindings = errors.New("no findings: the scan step did not run, or did not finish")

// FindingsPath returns the path of the findings in the layout in dir.
func FindingsPath(dir string) string { return filepath.Join(dir, scanFolder, findingsName) }

var findingsFile = document{Name: "findings", Limit: maxFindings}

// WriteFindings stores f in the layout in dir.
func WriteFindings(dir string, f Findings) error { return findingsFile.write(FindingsPath(dir), f) }

// ReadFindings returns the findings in the layout in dir.
func ReadFindings(dir string) (Findings, error) {
	var f Findings
	err := findingsFile.read(FindingsPath(dir), &f)
	if errors.Is(err, fs.ErrNotExist) {
		return Findings{}, ErrNoFindings
	}
	if err != nil {
		return Findings{}, err
	}
	return f, f.check()
}

func (f Findings) check() error {
	if f.Digest.IsZero() {
		return errors.New("the findings name no digest; run the scan step again")
	}
	if f.Database.Digest.IsZero() || f.Database.AsOf.IsZero() {
		return errors.New("the findings do not name the vulnerability database or its age; run the scan step again")
	}
	for _, v := range f.Vulnerabilities {
		if !knownLevel(v.Level) {
			return fmt.Errorf("vulnerability %q has the unknown level %q", v.ID, v.Level)
		}
	}
	return nil
}

func knownLevel(l Level) bool {
	for _, other := range Levels() {
		if l == other {
			return true
		}
	}
	return false
}
