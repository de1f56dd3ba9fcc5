package findings

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/document"
)

const (
	folder  = "scan"
	file    = "findings.json"
	maxFile = 64 << 20
)

// Level is how bad a vulnerability is, in the words of CVSS. The zero value is
// none; it is refused.
type Level string

// The levels, worst first.
const (
	Critical Level = "critical"
	High     Level = "high"
	Medium   Level = "medium"
	Low      Level = "low"
	// Unknown is of a vulnerability whose source gives no severity.
	Unknown Level = "unknown"
)

// Levels are all levels, worst first. Unknown comes last: it says nothing.
func Levels() []Level { return []Level{Critical, High, Medium, Low, Unknown} }

// File is what one scan found.
type File struct {
	// Digest is what was fetched: of an image or an index.
	Digest   image.Digest `json:"digest"`
	Scanner  Scanner      `json:"scanner"`
	Database Database     `json:"database"`
	// Images are all images that were scanned.
	Images []Image `json:"images"`
	// Vulnerabilities are sorted: worst first, then by package and identifier.
	Vulnerabilities []Vulnerability `json:"vulnerabilities"`
}

// Scanner is the program that looked.
type Scanner struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Database is what a scanner compared with.
type Database struct {
	// Reference is where it was pulled from, and Digest what was pulled.
	Reference string       `json:"reference"`
	Digest    image.Digest `json:"digest"`
	// AsOf is the time at which its source was current. Its age counts from it.
	AsOf time.Time `json:"asOf"`
	// Schema is the version of its format, as the scanner names it: "6.1.9".
	Schema string `json:"schema,omitempty"`
	// Ecosystems are those that it has records of, as OSV names them: "Debian:12", "Go".
	Ecosystems []string `json:"ecosystems"`
}

// Image is an image that was scanned.
type Image struct {
	Platform string       `json:"platform"`
	Digest   image.Digest `json:"digest"`
	// Distribution is ID:VERSION_ID of its os-release, "debian:12", or empty.
	Distribution string `json:"distribution,omitempty"`
	// Packages is how many packages were found in it.
	Packages int `json:"packages"`
	// Kinds counts them by kind, as package URLs name it: "deb", "golang", "npm".
	Kinds map[string]int `json:"kinds,omitempty"`
	// Gaps are what of the image nobody could look at.
	Gaps []Gap `json:"gaps,omitempty"`
}

// Gap is something in an image that the scanner could not look at, or not in full. The
// policy says what comes of it, by its rule.
type Gap struct {
	// Rule is one of the constants Rule...
	Rule string `json:"rule"`
	// Subject is what the gap is about: a distribution and release ("debian:13"), a kind
	// of package ("conda"), a path; or empty.
	Subject string `json:"subject,omitempty"`
	// Message says what was not looked at and why, and how to mend that, in one line.
	Message string `json:"message"`
	// Count is how many packages or files it is about, and Examples names a few of them.
	Count    int      `json:"count,omitempty"`
	Examples []string `json:"examples,omitempty"`
}

// The rules of what nobody could look at. By default each fails the image.
const (
	// RuleUncoveredRelease: the database has no records of the distribution, or of its release.
	RuleUncoveredRelease = "uncovered-release"
	// RuleUncoveredPackages: the database has no records of a kind of package.
	RuleUncoveredPackages = "uncovered-packages"
	// RuleUncomparedPackages: packages have no version, or one that cannot be compared.
	RuleUncomparedPackages = "uncompared-packages"
	// RuleUnreadFiles: files that name packages could not be read, or nothing here reads
	// them.
	RuleUnreadFiles = "unread-files"
	// RuleNoPackages: no package was found in the image.
	RuleNoPackages = "no-packages"
	// RuleLimitedSupport: the distribution ended its support for the release, or gives
	// fixes to subscribers only: what is known of it no longer grows.
	RuleLimitedSupport = "limited-support"
)

// Vulnerability is one vulnerability of one package of one image.
type Vulnerability struct {
	ID      string   `json:"id"`
	Aliases []string `json:"aliases,omitempty"`
	Level   Level    `json:"level"`
	// Score is the CVSS base score, 0 if its source gives none.
	Score   float64 `json:"score,omitempty"`
	Summary string  `json:"summary,omitempty"`
	URL     string  `json:"url,omitempty"`
	Package Package `json:"package"`
	// Malware says that the package itself is malicious.
	Malware bool `json:"malware,omitempty"`
	// KnownExploited says that it is in CISA's catalogue of exploited vulnerabilities.
	KnownExploited bool `json:"knownExploited,omitempty"`
	// FixedIn are the versions that a fix is in; empty if there is none yet.
	FixedIn  []string     `json:"fixedIn,omitempty"`
	Platform string       `json:"platform"`
	Digest   image.Digest `json:"digest"` // of the image, not of what was fetched
	// Ignored says that, and why, the finding fails nothing.
	Ignored *Ignored `json:"ignored,omitempty"`
}

// Package is a package in an image.
type Package struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Ecosystem string `json:"ecosystem"` // as OSV names it
	// Kind is as package URLs name it: "deb", "golang", "npm".
	Kind string `json:"kind,omitempty"`
	PURL string `json:"purl"`
	// Locations are paths in the image, at most 5.
	Locations []string `json:"locations,omitempty"`
}

// Ignored is why a finding fails nothing.
type Ignored struct {
	Reason string `json:"reason"`
	// Owner is who answers for it, where somebody is named.
	Owner string `json:"owner,omitempty"`
	// By is what says so: "policy", or the identifier of an OpenVEX document.
	By string `json:"by"`
	// Expires is when it counts again; zero: never.
	Expires time.Time `json:"expires,omitzero"`
}

// ErrMissing is of a layout that no scanner wrote into.
var ErrMissing = errors.New("no findings: the scan step did not run, or did not finish")

// Path returns where the findings are in the layout in dir.
func Path(dir string) string { return filepath.Join(dir, folder, file) }

var kind = document.Kind{Name: "findings", Limit: maxFile}

// Write stores f in the layout in dir.
func Write(dir string, f File) error { return kind.Write(Path(dir), f) }

// Read returns the findings in the layout in dir.
func Read(dir string) (File, error) {
	var f File
	err := kind.Read(Path(dir), &f)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, ErrMissing
	}
	if err != nil {
		return File{}, err
	}
	return f, f.check()
}

func (f File) check() error {
	if f.Digest.IsZero() {
		return errors.New("the findings do not say what was scanned")
	}
	if f.Database.Digest.IsZero() || f.Database.AsOf.IsZero() {
		return errors.New("the findings do not say which database was used, or how old it is")
	}
	for _, v := range f.Vulnerabilities {
		if !known(v.Level) {
			return fmt.Errorf("vulnerability %q has the unknown level %q", v.ID, v.Level)
		}
	}
	return nil
}

func known(l Level) bool {
	for _, other := range Levels() {
		if l == other {
			return true
		}
	}
	return false
}
