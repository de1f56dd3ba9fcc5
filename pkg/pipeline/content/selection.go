package content

import (
	"fmt"
	"regexp"
	"strings"
)

var platformPattern = regexp.MustCompile(`^[a-z0-9_.-]+/[a-z0-9_.-]+(/[a-z0-9_.-]+)?$`)

// Selection is the platforms that are looked at. The zero value is all of them.
type Selection []Platform

// ParseSelection reads a list such as linux/amd64,linux/arm64/v8. Empty is all.
func ParseSelection(s string) (Selection, error) {
	var all Selection
	for _, p := range strings.Split(s, ",") {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		if !platformPattern.MatchString(p) {
			return nil, fmt.Errorf("%q is not a platform; write os/architecture or os/architecture/variant, with commas between several", clip(p))
		}
		parts := append(strings.Split(p, "/"), "")
		all = append(all, Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]})
	}
	return all, nil
}

// String returns what ParseSelection reads.
func (s Selection) String() string {
	var all []string
	for _, p := range s {
		all = append(all, p.String())
	}
	return strings.Join(all, ",")
}

// admits reports whether p was chosen, and by which platforms. A choice without a
// variant is of every variant.
func (s Selection) admits(p Platform) (by []Platform, ok bool) {
	for _, chosen := range s {
		if chosen.OS == p.OS && chosen.Architecture == p.Architecture && (chosen.Variant == "" || chosen.Variant == p.Variant) {
			by = append(by, chosen)
		}
	}
	return by, len(s) == 0 || len(by) > 0
}
