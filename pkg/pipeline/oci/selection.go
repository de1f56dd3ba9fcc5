package oci

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
)

var platformPattern = regexp.MustCompile(`^[a-z0-9_.-]+/[a-z0-9_.-]+(/[a-z0-9_.-]+)?$`)

// Selection is a list of platforms to check. The zero value selects all.
type Selection []Platform

// ParseSelection parses a list such as linux/amd64,linux/arm64/v8. An empty list selects all.
func ParseSelection(s string) (Selection, error) {
	var all Selection
	for _, p := range strings.Split(s, ",") {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		if !platformPattern.MatchString(p) {
			return nil, fmt.Errorf("%q is not a platform; write os/architecture or os/architecture/variant, separated by commas", clip(p))
		}
		parts := append(strings.Split(p, "/"), "")
		all = append(all, Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]})
	}
	return all, nil
}

// String returns the form that ParseSelection parses.
func (s Selection) String() string {
	var all []string
	for _, p := range s {
		all = append(all, p.String())
	}
	return strings.Join(all, ",")
}

// choices returns what hosts of the selected platforms could take from an index. If everything is
// selected, it returns nothing.
func (s Selection) choices(index []Descriptor) []image.Choice {
	var platforms []*Platform
	for _, d := range index {
		platforms = append(platforms, d.Platform)
	}
	var all []image.Choice
	for _, p := range s {
		all = append(all, image.Choose(p, platforms))
	}
	return all
}
