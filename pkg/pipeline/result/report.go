package result

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/revet-dev/revet/pkg/image"
)

const (
	reportsFolder = "reports"
	reportSuffix  = ".json"
	maxReport     = 16 << 20
	maxMessage    = 1024
)

var checkPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Severity says whether a finding fails the image.
type Severity string

// The severities. The zero value is not a severity, and is refused.
const (
	// SeverityError fails the image.
	SeverityError Severity = "error"
	// SeverityWarning is reported but fails nothing.
	SeverityWarning Severity = "warning"
)

// Report is what one check found.
type Report struct {
	// Check is the name of the check, such as validate.
	Check string `json:"check"`
	// Digest is the image or index that fetch pulled.
	Digest image.Digest `json:"digest"`
	// Images are all images that the check looked at.
	Images []CheckedImage `json:"images"`
	// Rules is the number of rules applied to each image.
	Rules int `json:"rules"`
	// Unapplied names rules that could not be applied, because nothing collected the data they
	// need: for example a rule about packages if there is no SBOM. They do not count in Rules.
	Unapplied []string `json:"unapplied,omitempty"`
	// Findings are the broken rules and the vulnerabilities.
	Findings []Finding `json:"findings"`
	// Database is the database that a scanner used. It is nil for checks that need none.
	Database *Database `json:"database,omitempty"`
	// Inventory is the digest of the inventory that a scanner judged. It is zero for checks that
	// read none.
	Inventory image.Digest `json:"inventory,omitzero"`
	// Levels counts the vulnerabilities of all images by level ("critical", "high", "medium",
	// "low", "unknown"), including those that fail nothing.
	Levels map[string]int `json:"levels,omitempty"`
}

// Database is the vulnerability database of a scan.
type Database struct {
	Digest image.Digest `json:"digest"`
	// AsOf is the time at which its source was current.
	AsOf time.Time `json:"asOf"`
	// Schema is the version of its format.
	Schema string `json:"schema,omitempty"`
}

// CheckedImage is an image that a check looked at.
type CheckedImage struct {
	Platform string       `json:"platform"`
	Digest   image.Digest `json:"digest"`
	// Distribution is the distribution that a scanner recognised, such as "debian:13". Packages
	// counts the packages it found, by kind. Other checks leave both out.
	Distribution string         `json:"distribution,omitempty"`
	Packages     map[string]int `json:"packages,omitempty"`
}

// Finding is a rule that an image breaks, or a vulnerability.
type Finding struct {
	Rule     string       `json:"rule"`
	Severity Severity     `json:"severity"`
	Platform string       `json:"platform"`
	Digest   image.Digest `json:"digest"`
	Message  string       `json:"message"`
	// Level is the severity of a vulnerability. It is empty for any other finding.
	Level string `json:"level,omitempty"`
	// Gap is set if the finding is about content that the check could not examine.
	Gap bool `json:"gap,omitempty"`
	// Waiver is set if an owner decided that the finding fails nothing.
	Waiver *Waiver `json:"waiver,omitempty"`
}

// Waiver is an owner's decision that a finding fails nothing.
type Waiver struct {
	// Reason says why, and Owner names the person or team that answers for it.
	Reason string `json:"reason"`
	Owner  string `json:"owner,omitempty"`
	// Expires is the end of the waiver. Zero means never.
	Expires time.Time `json:"expires,omitzero"`
	// By names the source: "policy", or the identifier of an OpenVEX document.
	By string `json:"by"`
}

// WriteReport stores r in the layout in dir.
func WriteReport(dir string, r Report) error {
	path, err := reportPath(dir, r.Check)
	if err != nil {
		return err
	}
	return reportFile(r.Check).write(path, r)
}

func reportFile(check string) document {
	return document{Name: fmt.Sprintf("report of check %q", check), Limit: maxReport}
}

// ErrNoReport means that a check wrote no report.
var ErrNoReport = errors.New("no report: its step did not run, or did not finish")

// ReadReport returns the report of check in the layout in dir.
func ReadReport(dir, check string) (Report, error) {
	path, err := reportPath(dir, check)
	if err != nil {
		return Report{}, err
	}
	var r Report
	err = reportFile(check).read(path, &r)
	if errors.Is(err, os.ErrNotExist) {
		return Report{}, fmt.Errorf("check %q: %w", check, ErrNoReport)
	}
	return r, err
}

// ListReports returns the names of the checks that wrote reports into the layout in
// dir, sorted.
func ListReports(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, reportsFolder))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list reports: %w", err)
	}
	var checks []string
	for _, e := range entries {
		checks = append(checks, strings.TrimSuffix(e.Name(), reportSuffix))
	}
	return checks, nil
}

func reportPath(dir, check string) (string, error) {
	if !checkPattern.MatchString(check) {
		return "", fmt.Errorf("%q is not the name of a check; it must match %s", check, checkPattern)
	}
	return filepath.Join(dir, reportsFolder, check+reportSuffix), nil
}

// Line returns s as one line of bounded length, without control characters. Text from
// images ends up in logs, tables and results.
func Line(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		default:
			return '?'
		}
	}, strings.ToValidUTF8(s, "?"))
	return Clip(strings.Join(strings.Fields(s), " "), maxMessage)
}

// Clip shortens s to at most most bytes, at a character boundary, and marks the cut.
func Clip(s string, most int) string {
	const mark = "..."
	if len(s) <= most {
		return s
	}
	cut := max(most-len(mark), 0)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + mark
}
