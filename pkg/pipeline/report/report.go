package report

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
	"github.com/revet-dev/revet/pkg/pipeline/document"
)

const (
	folder     = "reports"
	suffix     = ".json"
	maxReport  = 16 << 20
	maxMessage = 1024
)

var checkPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Severity says whether a finding fails the image.
type Severity string

// The severities. The zero value is none; it is refused.
const (
	// SeverityError fails the image.
	SeverityError Severity = "error"
	// SeverityWarning is told and fails nothing.
	SeverityWarning Severity = "warning"
)

// Report is what one check found.
type Report struct {
	// Check is the check's name, for example validate.
	Check string `json:"check"`
	// Digest is what was fetched: of an image or an index.
	Digest image.Digest `json:"digest"`
	// Images are all images that the check looked at.
	Images []Image `json:"images"`
	// Rules is how many rules were applied to each image.
	Rules int `json:"rules"`
	// Unapplied are rules that could not be applied, since nobody looked for what
	// they ask: a rule over packages where there is no SBOM. They are not in Rules.
	Unapplied []string `json:"unapplied,omitempty"`
	// Findings are the rules that did not hold.
	Findings []Finding `json:"findings"`
	// Database is what a scanner compared with; nil for checks that need none.
	Database *Database `json:"database,omitempty"`
	// Levels counts the vulnerabilities of all images by level ("critical", "high",
	// "medium", "low", "unknown"), those that fail nothing included.
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

// Image is an image that a check looked at.
type Image struct {
	Platform string       `json:"platform"`
	Digest   image.Digest `json:"digest"`
	// Distribution is what a scanner took it for, as "debian:13", and Packages are
	// those that it found, counted by kind. Other checks leave them out.
	Distribution string         `json:"distribution,omitempty"`
	Packages     map[string]int `json:"packages,omitempty"`
}

// Finding is a rule that did not hold for an image.
type Finding struct {
	Rule     string       `json:"rule"`
	Severity Severity     `json:"severity"`
	Platform string       `json:"platform"`
	Digest   image.Digest `json:"digest"`
	Message  string       `json:"message"`
	// Level is how bad a vulnerability is; empty for what is none.
	Level string `json:"level,omitempty"`
	// Gap says that it is of what nobody could look at, and not of what was found.
	Gap bool `json:"gap,omitempty"`
	// Waiver is why it fails nothing, where somebody said so.
	Waiver *Waiver `json:"waiver,omitempty"`
}

// Waiver is somebody's word that a finding fails nothing.
type Waiver struct {
	// Reason is why, and Owner who answers for it.
	Reason string `json:"reason"`
	Owner  string `json:"owner,omitempty"`
	// Expires is when it ends; zero: never.
	Expires time.Time `json:"expires,omitzero"`
	// By is what says so: "policy", or the identifier of an OpenVEX document.
	By string `json:"by"`
}

// Write stores r in the layout in dir.
func Write(dir string, r Report) error {
	path, err := file(dir, r.Check)
	if err != nil {
		return err
	}
	return kind(r.Check).Write(path, r)
}

func kind(check string) document.Kind {
	return document.Kind{Name: fmt.Sprintf("report of check %q", check), Limit: maxReport}
}

// ErrMissing is of a check that wrote no report.
var ErrMissing = errors.New("no report: its step did not run, or did not finish")

// Read returns the report of check in the layout in dir.
func Read(dir, check string) (Report, error) {
	path, err := file(dir, check)
	if err != nil {
		return Report{}, err
	}
	var r Report
	err = kind(check).Read(path, &r)
	if errors.Is(err, os.ErrNotExist) {
		return Report{}, fmt.Errorf("check %q: %w", check, ErrMissing)
	}
	return r, err
}

// List returns the names of the checks that wrote reports into the layout in
// dir, sorted.
func List(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, folder))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list reports: %w", err)
	}
	var checks []string
	for _, e := range entries {
		checks = append(checks, strings.TrimSuffix(e.Name(), suffix))
	}
	return checks, nil
}

func file(dir, check string) (string, error) {
	if !checkPattern.MatchString(check) {
		return "", fmt.Errorf("%q is not a check's name; it must match %s", check, checkPattern)
	}
	return filepath.Join(dir, folder, check+suffix), nil
}

// Line makes one line of s, without control characters and of bounded length:
// what comes from images ends in logs, tables and results.
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

// Clip cuts s to at most most bytes, at a character, and shows that it did.
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
