package lifecycle

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// The bounds of v1alpha1.RunStatus.Off.
const (
	maxOff   = 8
	unnamed  = "unnamed"
	offField = "off"
)

var checkPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// off returns the checks that a pipeline's summary says were switched off, sorted and
// each once. Pipelines are the users' own: a summary that is no JSON object tells of
// none. What is there and is no name is told as such, and of many the last stands for
// the rest, so that none is passed over.
func off(summary string) []string {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(summary), &fields) != nil {
		return nil
	}
	var names []string
	if said := fields[offField]; len(said) > 0 && json.Unmarshal(said, &names) != nil {
		return []string{unnamed}
	}
	for i, name := range names {
		if !checkPattern.MatchString(name) {
			names[i] = unnamed
		}
	}
	return boundOff(names)
}

// boundOff sorts names and keeps each once, in as many as there is room for.
func boundOff(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > maxOff {
		names = append(names[:maxOff-1], "others")
	}
	return names
}

// notChecked is how the table shows them.
func notChecked(off []string) string { return strings.Join(off, ",") }
