package osv

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// MaxRecord bounds a record. The largest known records have about 2 MiB.
const MaxRecord = 16 << 20

// Record is a vulnerability.
type Record struct {
	ID         string      `json:"id"`
	Modified   time.Time   `json:"modified"`
	Published  time.Time   `json:"published"`
	Withdrawn  *time.Time  `json:"withdrawn"`
	Aliases    []string    `json:"aliases"`
	Upstream   []string    `json:"upstream"`
	Related    []string    `json:"related"`
	Summary    string      `json:"summary"`
	Details    string      `json:"details"`
	Severity   []Severity  `json:"severity"`
	Affected   []Affected  `json:"affected"`
	References []Reference `json:"references"`
	Specific   Specific    `json:"database_specific"`
}

// Severity is a CVSS vector or a word.
type Severity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

// Affected is an affected package with its affected versions.
type Affected struct {
	Package  Package    `json:"package"`
	Severity []Severity `json:"severity"`
	Ranges   []Range    `json:"ranges"`
	Versions []string   `json:"versions"`
	// Specific comes from the ecosystem, and Database from the database.
	Specific Specific `json:"ecosystem_specific"`
	Database Specific `json:"database_specific"`
}

// Package names a package.
type Package struct {
	Name      string `json:"name"`
	Ecosystem string `json:"ecosystem"`
}

// Range is a range of versions.
type Range struct {
	Type   string  `json:"type"`
	Events []Event `json:"events"`
}

// Event is the beginning or the end of a range. One of the fields is set.
type Event struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
	Limit        string `json:"limit"`
}

// fields counts the fields of e that are set.
func (e Event) fields() int {
	n := 0
	for _, s := range []string{e.Introduced, e.Fixed, e.LastAffected, e.Limit} {
		if s != "" {
			n++
		}
	}
	return n
}

// Git is the type of ranges of commits. Images do not show commits.
const Git = "GIT"

// Reference is a link to more information.
type Reference struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

// Specific holds fields that databases add in their own words. A field of another form is no reason
// to refuse the record.
type Specific struct {
	// Severity is a word, used by GitHub and others.
	Severity string
	// Urgency is Debian's word.
	Urgency string
	URL     string
	// Modularity is the module stream of a package in an RPM distribution.
	Modularity string
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Specific) UnmarshalJSON(raw []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil //nolint:nilerr // the format promises an object, but nothing about its content
	}
	word := func(name string) string {
		var s string
		if err := json.Unmarshal(fields[name], &s); err != nil {
			return ""
		}
		return s
	}
	*s = Specific{Severity: word("severity"), Urgency: word("urgency"), URL: word("url"), Modularity: word("rpm_modularity")}
	return nil
}

// The identifier becomes the name of a file and part of messages.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:+-]{0,126}$`)

// Parse reads a record.
func Parse(raw []byte) (Record, error) {
	if len(raw) > MaxRecord {
		return Record{}, fmt.Errorf("it has %d bytes; the limit is %d", len(raw), MaxRecord)
	}
	var r Record
	if err := json.Unmarshal(raw, &r); err != nil {
		return Record{}, fmt.Errorf("not an OSV record: %w", err)
	}
	if !idPattern.MatchString(r.ID) {
		return Record{}, fmt.Errorf("not an OSV record: its id is %.80q", r.ID)
	}
	for _, a := range r.Affected {
		for _, g := range a.Ranges {
			for _, e := range g.Events {
				if n := e.fields(); n != 1 {
					return Record{}, fmt.Errorf("record %s: a range of %.80q has an event with %d fields instead of one", r.ID, a.Package.Name, n)
				}
			}
		}
	}
	return r, nil
}

// Title returns its summary, or else the first line of its details.
func (r Record) Title() string {
	if r.Summary != "" {
		return r.Summary
	}
	line, _, _ := strings.Cut(strings.TrimSpace(r.Details), "\n")
	return line
}

// Malware is the prefix of identifiers of malicious packages.
const Malware = "MAL-"

// IsMalware reports whether the record is about a malicious package.
func (r Record) IsMalware() bool { return strings.HasPrefix(r.ID, Malware) }
