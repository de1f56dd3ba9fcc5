package database

import (
	"regexp"
	"slices"
	"strings"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/version"

	"github.com/revet-dev/revet/cmd/scan/internal/osv"
)

// The scanner silently drops a record if it cannot parse one of its versions. So the functions
// below leave unparsable parts out of a range. The range then covers more versions, and scans find
// the vulnerability.

// comparable matches what the scanner's expressions accept as a version without quotes.
var comparable = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+~:^_-]*$`)

// everything returns the range of all versions.
func everything(format version.Format) []v6.Range {
	return []v6.Range{{Version: v6.Version{Type: typeOf(format)}, Fix: &v6.Fix{State: v6.NotFixedStatus}}}
}

func typeOf(format version.Format) string { return strings.ToLower(format.String()) }

// valid reports whether the scanner can compare with v.
func valid(v string, format version.Format) bool {
	return comparable.MatchString(v) && version.New(v, format).Validate() == nil
}

// rangesOf returns the ranges of versions in a record. An empty list would mean all versions too;
// rangesOf returns that range explicitly.
func rangesOf(a osv.Affected, format version.Format) []v6.Range {
	var all []v6.Range
	for _, r := range a.Ranges {
		if r.Type == osv.Git {
			continue
		}
		some := windows(r.Events, format)
		if some == nil {
			return everything(format)
		}
		all = append(all, some...)
	}
	var listed []string
	for _, v := range a.Versions {
		if !valid(v, format) {
			return everything(format)
		}
		listed = append(listed, "= "+v)
	}
	if len(listed) > 0 {
		all = append(all, v6.Range{
			Version: v6.Version{Type: typeOf(format), Constraint: strings.Join(listed, " || ")}, Fix: &v6.Fix{State: v6.NotFixedStatus},
		})
	}
	if len(all) == 0 {
		return everything(format)
	}
	return all
}

// The kinds of events, in the order in which they apply at the same version.
const (
	fixed = iota
	introduced
	last
)

type event struct {
	kind    int
	version string
}

// windows returns the ranges that events describe. It returns nil for all versions, or if a version
// cannot be compared.
func windows(raw []osv.Event, format version.Format) []v6.Range {
	events, ok := sorted(raw, format)
	if !ok {
		return nil
	}
	var out []v6.Range
	open, from := true, "" // until an event says otherwise
	if len(events) > 0 && events[0].kind == introduced {
		open = false
	}
	emit := func(bound string, fix *v6.Fix) {
		var parts []string
		if from != "" {
			parts = append(parts, ">= "+from)
		}
		if bound != "" {
			parts = append(parts, bound)
		}
		out = append(out, v6.Range{Version: v6.Version{Type: typeOf(format), Constraint: strings.Join(parts, ", ")}, Fix: fix})
		open, from = false, ""
	}
	for _, e := range events {
		switch {
		case e.kind == introduced && !open:
			open, from = true, e.version
		case e.kind == fixed && open:
			emit("< "+e.version, &v6.Fix{Version: e.version, State: v6.FixedStatus})
		case e.kind == last && open:
			emit("<= "+e.version, &v6.Fix{State: v6.NotFixedStatus})
		}
	}
	if open {
		if from == "" {
			return nil
		}
		emit("", &v6.Fix{State: v6.NotFixedStatus})
	}
	return out
}

// sorted returns the events in the order of their versions. "0" comes first, and limits are
// dropped. It returns false if a version cannot be compared.
func sorted(raw []osv.Event, format version.Format) ([]event, bool) {
	var events []event
	for _, e := range raw {
		switch {
		case e.Introduced == "0":
			events = append(events, event{introduced, ""})
		case e.Introduced != "":
			events = append(events, event{introduced, e.Introduced})
		case e.Fixed != "":
			events = append(events, event{fixed, e.Fixed})
		case e.LastAffected != "":
			events = append(events, event{last, e.LastAffected})
		}
	}
	ok := true
	for _, e := range events {
		ok = ok && (e.version == "" || valid(e.version, format))
	}
	if !ok {
		return nil, false
	}
	slices.SortStableFunc(events, func(a, b event) int {
		switch {
		case a.version == b.version:
			return a.kind - b.kind
		case a.version == "":
			return -1
		case b.version == "":
			return 1
		}
		n, err := version.New(a.version, format).Compare(version.New(b.version, format))
		if err != nil {
			ok = false
		}
		if n == 0 {
			return a.kind - b.kind
		}
		return n
	})
	return events, ok
}

// widen replaces ranges that the scanner cannot parse with the range of all versions.
func widen(ranges []v6.Range) []v6.Range {
	for _, r := range ranges {
		format := version.ParseFormat(r.Version.Type)
		c, err := version.GetConstraint(r.Version.Constraint, format)
		if err == nil && r.Version.Constraint != "" {
			_, err = c.Satisfied(version.New("1.0.0", format))
		}
		if err != nil {
			return everything(format)
		}
	}
	return ranges
}
